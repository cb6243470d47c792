// SPDX-License-Identifier: Apache-2.0
//
// A stand-in for ONNX Runtime: as much of its table of functions as the custom operators call, over
// structs that a test fills in. Anything else that is called ends the process.
#pragma once

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "onnxruntime/abi.hpp"

namespace gatefuse::onnxruntime {

struct Status {
  int32_t code;
  std::string message;
};

struct Value {
  int32_t type = kFloat;
  std::vector<int64_t> shape;
  std::vector<float> floats;
  std::vector<int32_t> integers;
  float* device = nullptr;  // in place of the floats: memory of a device, which a test owns
};

struct TensorInfo {
  const Value* value;
};

struct KernelInfo {
  std::string name;
  std::vector<std::string> inputs;
  std::map<std::string, int64_t> integers;
  std::map<std::string, float> reals;
  std::map<std::string, std::string> texts;
  std::map<std::string, std::vector<std::string>> lists;
  std::map<size_t, const Value*> constants;
};

struct KernelContext {
  std::vector<const Value*> inputs;
  std::vector<bool> wanted;  // by output
  std::vector<Value> outputs;
  void* stream = nullptr;
};

struct Allocator {};

struct Domain {
  std::string name;
  std::vector<const CustomOp*> operators;
};

struct SessionOptions {
  std::map<std::string, std::string> entries;
  std::vector<Domain*> domains;
};

}  // namespace gatefuse::onnxruntime

namespace gatefuse::test::fake {

using namespace gatefuse::onnxruntime;

inline std::atomic<int> live_statuses{0};
inline std::atomic<int> live_infos{0};
// The functions fail, one after the other: this many calls from now, -1 for never.
inline std::atomic<int> calls_to_failure{-1};

inline Status* failure(const std::string& message, int32_t code = kFail) {
  ++live_statuses;
  return new Status{code, message};
}

inline Status* fails_now() {
  if (calls_to_failure < 0 || calls_to_failure-- != 0) return nullptr;
  return failure("out of luck");
}

inline Status* copy_text(const std::string& text, char* to, size_t* size) {
  if (to == nullptr) {
    *size = text.size() + 1;
  } else if (*size < text.size() + 1) {
    return failure("the buffer is too small");
  } else {
    std::memcpy(to, text.c_str(), text.size() + 1);
  }
  return nullptr;
}

// One of another type and one that is not there have sentences of their own.
template <class T>
Status* attribute(const KernelInfo* info, const std::string& name,
                  const std::map<std::string, T>& values, const T** value) {
  const auto found = values.find(name);
  if (found != values.end()) {
    *value = &found->second;
    return fails_now();
  }
  const bool other = info->integers.count(name) + info->reals.count(name) +
                         info->texts.count(name) + info->lists.count(name) >
                     0;
  return failure(other ? "the type does not match"
                       : "No attribute with name:'" + name + "'is defined.");
}

class Functions {
 public:
  Functions() {
    for (Code& code : table_) code = [] { std::abort(); };
    put_statuses();
    put_options();
    put_attributes();
    put_tensors();
  }
  Table table() const { return table_; }

 private:
  template <class F>
  void put(typename F::Pointer function) {
    table_[F::kPlace] = reinterpret_cast<Code>(function);
  }

  void put_statuses() {
    put<CreateStatus>([](int32_t code, const char* message) { return failure(message, code); });
    put<GetMessage>([](const Status* status) { return status->message.c_str(); });
    put<ReleaseStatus>([](Status* status) {
      --live_statuses;
      delete status;
    });
  }

  void put_options() {
    put<CreateDomain>([](const char* name, Domain** domain) -> Status* {
      *domain = new Domain{name, {}};
      return nullptr;
    });
    put<AddOperator>([](Domain* domain, const CustomOp* op) -> Status* {
      domain->operators.push_back(op);
      return nullptr;
    });
    put<AddDomain>([](SessionOptions* options, Domain* domain) -> Status* {
      options->domains.push_back(domain);
      return nullptr;
    });
    put<AddEntry>([](SessionOptions* options, const char* key, const char* value) -> Status* {
      options->entries[key] = value;
      return nullptr;
    });
    put<HasEntry>([](const SessionOptions* options, const char* key, int* has) {
      *has = static_cast<int>(options->entries.count(key));
      return fails_now();
    });
    put<GetEntry>([](const SessionOptions* options, const char* key, char* value, size_t* size) {
      return copy_text(options->entries.at(key), value, size);
    });
  }

  void put_attributes() {
    put<GetFloatAttribute>([](const KernelInfo* info, const char* name, float* out) {
      const float* value = nullptr;
      Status* status = attribute(info, name, info->reals, &value);
      if (status == nullptr) *out = *value;
      return status;
    });
    put<GetIntegerAttribute>([](const KernelInfo* info, const char* name, int64_t* out) {
      const int64_t* value = nullptr;
      Status* status = attribute(info, name, info->integers, &value);
      if (status == nullptr) *out = *value;
      return status;
    });
    put<GetTextAttribute>([](const KernelInfo* info, const char* name, char* text, size_t* size) {
      const std::string* value = nullptr;
      Status* status = attribute(info, name, info->texts, &value);
      return status == nullptr ? copy_text(*value, text, size) : status;
    });
    put<GetTextsAttribute>(
        [](const KernelInfo* info, const char* name, Allocator*, char*** texts, size_t* count) {
          const std::vector<std::string>* value = nullptr;
          Status* status = attribute(info, name, info->lists, &value);
          if (status != nullptr) return status;
          *count = value->size();
          *texts = static_cast<char**>(std::malloc(*count * sizeof(char*)));
          for (size_t i = 0; i < *count; ++i) (*texts)[i] = strdup((*value)[i].c_str());
          return status;
        });
    put<GetDefaultAllocator>([](Allocator** allocator) -> Status* {
      static Allocator one;
      *allocator = &one;
      return nullptr;
    });
    put<Free>([](Allocator*, void* memory) -> Status* {
      std::free(memory);
      return nullptr;
    });
    put<GetInfoInputCount>([](const KernelInfo* info, size_t* count) {
      *count = info->inputs.size();
      return fails_now();
    });
    put<GetInfoInputName>([](const KernelInfo* info, size_t index, char* name, size_t* size) {
      Status* status = fails_now();
      return status == nullptr ? copy_text(info->inputs.at(index), name, size) : status;
    });
    put<GetNodeName>([](const KernelInfo* info, char* name, size_t* size) {
      return copy_text(info->name, name, size);
    });
    put<GetConstantInput>(
        [](const KernelInfo* info, size_t index, int* constant, const Value** value) {
          const auto found = info->constants.find(index);
          *constant = found != info->constants.end();
          *value = *constant ? found->second : nullptr;
          return fails_now();
        });
  }

  void put_tensors() {
    put<GetInput>([](const KernelContext* context, size_t index, const Value** value) {
      *value = index < context->inputs.size() ? context->inputs[index] : nullptr;
      return fails_now();
    });
    put<GetOutput>([](KernelContext* context, size_t index, const int64_t* shape, size_t rank,
                      Value** value) {
      Status* status = fails_now();
      if (status != nullptr || !context->wanted.at(index)) {
        *value = nullptr;
        return status;
      }
      *value = &context->outputs.at(index);
      (*value)->shape.assign(shape, shape + rank);
      int64_t count = 1;
      for (size_t i = 0; i < rank; ++i) count *= shape[i];
      if ((*value)->device != nullptr) return status;
      (*value)->floats.assign(static_cast<size_t>(count), -7.0f);  // all of it has to be written
      return status;
    });
    put<GetData>([](Value* value, void** data) {
      *data = value->device != nullptr ? value->device
              : value->type == kFloat  ? static_cast<void*>(value->floats.data())
                                       : static_cast<void*>(value->integers.data());
      return fails_now();
    });
    put<GetComputeStream>([](const KernelContext* context, void** stream) {
      *stream = context->stream;
      return fails_now();
    });
    put<GetTensorInfo>([](const Value* value, TensorInfo** info) {
      Status* status = fails_now();
      if (status != nullptr) return status;
      ++live_infos;
      *info = new TensorInfo{value};
      return status;
    });
    put<GetElementType>([](const TensorInfo* info, int32_t* type) {
      *type = info->value->type;
      return fails_now();
    });
    put<GetRank>([](const TensorInfo* info, size_t* rank) {
      *rank = info->value->shape.size();
      return fails_now();
    });
    put<GetShape>([](const TensorInfo* info, int64_t* sizes, size_t rank) {
      for (size_t i = 0; i < rank; ++i) sizes[i] = info->value->shape.at(i);
      return fails_now();
    });
    put<ReleaseTensorInfo>([](TensorInfo* info) {
      --live_infos;
      delete info;
    });
  }

  Code table_[424];
};

}  // namespace gatefuse::test::fake
