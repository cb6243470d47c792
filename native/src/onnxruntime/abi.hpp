// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

// The small part of ONNX Runtime's C interface that this library uses, declared by itself: no
// package brings the headers along. The interface is a table of functions whose order never
// changes, so a number holds for every version from the one that added the function. All but
// GetTextsAttribute are in 1.20 and later.
namespace gatefuse::onnxruntime {

// Owned by ONNX Runtime, and only ever seen by their addresses.
struct Status;
struct Value;
struct TensorInfo;
struct KernelInfo;
struct KernelContext;
struct SessionOptions;
struct Domain;
struct Allocator;

using Code = void (*)();
using Table = const Code*;

struct ApiBase {
  Table (*table)(uint32_t version);
  const char* (*version)();
};

// A function of the table, by its number and its type. A null status is success; any other is the
// caller's to release.
template <int kNumber, class Signature>
struct Function;
template <int kNumber, class Result, class... Parameters>
struct Function<kNumber, Result(Parameters...)> {
  using Pointer = Result (*)(Parameters...);
  static constexpr int kPlace = kNumber;

  static Result call(Table table, Parameters... parameters) {
    return reinterpret_cast<Pointer>(table[kNumber])(parameters...);
  }
};

using CreateStatus = Function<0, Status*(int32_t code, const char* message)>;
using GetMessage = Function<2, const char*(const Status*)>;
using ReleaseStatus = Function<93, void(Status*)>;

using CreateDomain = Function<26, Status*(const char* name, Domain**)>;
using AddOperator = Function<27, Status*(Domain*, const struct CustomOp*)>;
using AddDomain = Function<28, Status*(SessionOptions*, Domain*)>;
using AddEntry = Function<130, Status*(SessionOptions*, const char* key, const char* value)>;
using HasEntry = Function<237, Status*(const SessionOptions*, const char* key, int* has)>;
// With a null value: only its size, with the zero at its end.
using GetEntry =
    Function<238, Status*(const SessionOptions*, const char* key, char* value, size_t* size)>;

using GetFloatAttribute = Function<85, Status*(const KernelInfo*, const char* name, float*)>;
using GetIntegerAttribute = Function<86, Status*(const KernelInfo*, const char* name, int64_t*)>;
// With a null text: only its size, with the zero at its end.
using GetTextAttribute =
    Function<87, Status*(const KernelInfo*, const char* name, char* text, size_t* size)>;
// Since 1.26. The array and its texts are the caller's.
using GetTextsAttribute = Function<417, Status*(const KernelInfo*, const char* name, Allocator*,
                                                char*** texts, size_t* count)>;
using GetDefaultAllocator = Function<78, Status*(Allocator**)>;
using Free = Function<76, Status*(Allocator*, void*)>;
using GetInfoInputCount = Function<230, Status*(const KernelInfo*, size_t*)>;
using GetInfoInputName =
    Function<232, Status*(const KernelInfo*, size_t index, char* name, size_t* size)>;
using GetNodeName = Function<244, Status*(const KernelInfo*, char* name, size_t* size)>;
using GetConstantInput =
    Function<249, Status*(const KernelInfo*, size_t index, int* constant, const Value**)>;

// An input or output that the node leaves out, also past the last: success and null.
using GetInput = Function<90, Status*(const KernelContext*, size_t index, const Value**)>;
using GetOutput =
    Function<91, Status*(KernelContext*, size_t index, const int64_t* shape, size_t rank, Value**)>;
// The CUDA stream of a kernel of the CUDA provider.
using GetComputeStream = Function<193, Status*(const KernelContext*, void** stream)>;
using GetData = Function<51, Status*(Value*, void**)>;
using GetTensorInfo = Function<65, Status*(const Value*, TensorInfo**)>;
using GetElementType = Function<60, Status*(const TensorInfo*, int32_t*)>;
using GetRank = Function<61, Status*(const TensorInfo*, size_t*)>;
using GetShape = Function<62, Status*(const TensorInfo*, int64_t* sizes, size_t rank)>;
using ReleaseTensorInfo = Function<99, void(TensorInfo*)>;

// Codes of a status.
enum { kFail = 1, kInvalidArgument = 2 };
// Types of elements.
enum { kFloat = 1, kInt32 = 6 };
// Where a kernel wants an input: where its provider computes, or in host memory.
enum { kOfProvider = 0, kOnHost = -2 };
// How often an input or output is there.
enum { kRequired = 0, kOptional = 1 };

// An operator as ONNX Runtime sees it, of the layout that `version` tells it: 16. Before 16 a
// kernel that cannot be created goes unnoticed and crashes the process later.
struct CustomOp {
  uint32_t version;
  void* (*create)(const CustomOp*, Table, const KernelInfo*);
  const char* (*name)(const CustomOp*);
  const char* (*provider)(const CustomOp*);
  int32_t (*input_type)(const CustomOp*, size_t index);
  size_t (*input_count)(const CustomOp*);
  int32_t (*output_type)(const CustomOp*, size_t index);
  size_t (*output_count)(const CustomOp*);
  void (*compute)(void* kernel, KernelContext*);
  void (*destroy)(void* kernel);
  int32_t (*input_presence)(const CustomOp*, size_t index);
  int32_t (*output_presence)(const CustomOp*, size_t index);
  int32_t (*input_memory)(const CustomOp*, size_t index);
  int (*variadic_input_least)(const CustomOp*);
  int (*variadic_input_alike)(const CustomOp*);
  int (*variadic_output_least)(const CustomOp*);
  int (*variadic_output_alike)(const CustomOp*);
  Status* (*create_or_say)(const CustomOp*, Table, const KernelInfo*, void** kernel);
  Status* (*compute_or_say)(void* kernel, KernelContext*);
  Code later[7];  // of versions after 16, which nobody reads
};
static_assert(sizeof(ApiBase) == 16 && sizeof(CustomOp) == 208);
static_assert(offsetof(CustomOp, destroy) == 72 && offsetof(CustomOp, input_memory) == 96 &&
              offsetof(CustomOp, create_or_say) == 136 &&
              offsetof(CustomOp, compute_or_say) == 144 && offsetof(CustomOp, later) == 152);

}  // namespace gatefuse::onnxruntime
