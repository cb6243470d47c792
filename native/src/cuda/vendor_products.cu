// SPDX-License-Identifier: Apache-2.0
//
// The rows of a product are gathered and rounded first, since they lie where the caller or an
// embedding has them. Then cuBLASLt multiplies. By its reading, W [outputs, k] is a matrix of k
// rows whose columns are the outputs, and so on: results^T = W rows^T + bias.
#include "cuda/vendor_products.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "cuda/products.hpp"

namespace gatefuse::cuda {
namespace {

using namespace cublaslt;

constexpr size_t kMostWorkspaceBytes = size_t{32} << 20;  // what NVIDIA advises for large devices
constexpr const char* kVariable = "GATEFUSE_CUBLASLT";

std::string dl_reason() {
  const char* reason = dlerror();
  return reason == nullptr ? "no reason given" : reason;
}

// The library stays for the rest of the process.
void* open_named(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(GF_BACKEND_UNAVAILABLE, "products: expected cuBLASLt at %s, which %s names: %s",
                path, kVariable, dl_reason().c_str());
  }
  return library;
}

void* open_library() {
  const char* named = std::getenv(kVariable);
  if (named != nullptr && named[0] != '\0') return open_named(named);
  std::string reasons;
  for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"}) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    reasons += "; " + dl_reason();
  }
  throw Error(GF_BACKEND_UNAVAILABLE,
              "products: expected libcublasLt.so.13 or libcublasLt.so.12 where the dynamic linker "
              "looks (LD_LIBRARY_PATH), or its path in %s%s",
              kVariable, reasons.c_str());
}

template <class Function>
void find(void* library, Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) {
    throw Error(GF_BACKEND_UNAVAILABLE,
                "products: expected a cuBLASLt of version 12 or 13, got one without %s: %s", name,
                dl_reason().c_str());
  }
}

Functions load_functions() {
  void* library = open_library();
  Functions lt = {};
#define GF_FIND(name) find(library, lt.name, #name)
  GF_FIND(cublasLtCreate);
  GF_FIND(cublasLtDestroy);
  GF_FIND(cublasLtGetVersion);
  GF_FIND(cublasLtGetStatusName);
  GF_FIND(cublasLtMatmulDescCreate);
  GF_FIND(cublasLtMatmulDescDestroy);
  GF_FIND(cublasLtMatmulDescSetAttribute);
  GF_FIND(cublasLtMatrixLayoutCreate);
  GF_FIND(cublasLtMatrixLayoutDestroy);
  GF_FIND(cublasLtMatmulPreferenceCreate);
  GF_FIND(cublasLtMatmulPreferenceDestroy);
  GF_FIND(cublasLtMatmulPreferenceSetAttribute);
  GF_FIND(cublasLtMatmulAlgoGetHeuristic);
  GF_FIND(cublasLtMatmul);
#undef GF_FIND
  return lt;
}

Type type_of(int32_t precision) {
  return precision == GF_BFLOAT16 ? kBfloat16 : precision == GF_FLOAT16 ? kFloat16 : kFloat32;
}

int64_t bytes_of(Type type) { return type == kFloat32 ? 4 : 2; }

}  // namespace

VendorProducts::VendorProducts(int32_t precision)
    : precision_(precision),
      lt_(load_functions()),
      type_(type_of(precision)),
      compute_(precision == GF_TF32 ? kInTf32 : kExactly) {
  handle_ = make("handle", lt_.cublasLtDestroy,
                 [&](void** handle) { return lt_.cublasLtCreate(handle); });
}

std::string VendorProducts::name() const {
  const size_t version = lt_.cublasLtGetVersion();
  return "cublasLt " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100);
}

void VendorProducts::check(Status status, const char* what) const {
  if (status == kSuccess) return;
  throw Error(status == kAllocationFailed ? GF_OUT_OF_MEMORY : GF_BACKEND_FAILED,
              "products: %s says %s (%d) of its %s", name().c_str(),
              lt_.cublasLtGetStatusName(status), status, what);
}

template <class Make>
VendorProducts::Object VendorProducts::make(const char* what, Status (*destroy)(void*),
                                            Make create) const {
  void* object = nullptr;
  check(create(&object), what);
  return Object(object, Destroy{destroy});
}

VendorProducts::Object VendorProducts::layout(Type type, int64_t rows, int64_t columns,
                                              int64_t stride) const {
  return make("matrix layout", lt_.cublasLtMatrixLayoutDestroy, [&](void** made) {
    return lt_.cublasLtMatrixLayoutCreate(made, type, static_cast<uint64_t>(rows),
                                          static_cast<uint64_t>(columns), stride);
  });
}

// The padding of k is zeros in both operands and multiplied too: so all strides are aligned.
void VendorProducts::prepare(const Matrix& matrix, float* out, int64_t most_rows) {
  Plan plan = {};
  plan.matrix = matrix;
  plan.out = out;
  plan.product = make("product descriptor", lt_.cublasLtMatmulDescDestroy, [&](void** made) {
    return lt_.cublasLtMatmulDescCreate(made, compute_, kFloat32);
  });
  const auto set = [&](ProductAttribute attribute, const auto& value) {
    check(lt_.cublasLtMatmulDescSetAttribute(plan.product.get(), attribute, &value, sizeof value),
          "product descriptor");
  };
  set(kTransposeA, kTransposed);
  set(kEpilogue, kAddBias);
  set(kBiasPointer, matrix.bias);
  plan.weights = layout(type_, matrix.stride, matrix.outputs, matrix.stride);

  const Object preference =
      make("preference", lt_.cublasLtMatmulPreferenceDestroy,
           [&](void** made) { return lt_.cublasLtMatmulPreferenceCreate(made); });
  check(lt_.cublasLtMatmulPreferenceSetAttribute(preference.get(), kMostWorkspace,
                                                 &kMostWorkspaceBytes, sizeof kMostWorkspaceBytes),
        "preference");
  // A call's rows go up to the next size, so that nothing is asked or made in a call.
  for (int64_t rows = most_rows;; rows = (rows + 1) / 2) {
    plan.sizes.push_back(size_of(plan, preference.get(), rows));
    if (rows == 1) break;
  }
  plans_.push_back(std::move(plan));
}

VendorProducts::Size VendorProducts::size_of(const Plan& plan, void* preference,
                                             int64_t rows) const {
  const Matrix& matrix = plan.matrix;
  Size size = {};
  size.rows = rows;
  size.operands = layout(type_, matrix.stride, rows, matrix.stride);
  size.results = layout(kFloat32, matrix.outputs, rows, matrix.outputs);
  int32_t count = 0;
  check(lt_.cublasLtMatmulAlgoGetHeuristic(handle_.get(), plan.product.get(), plan.weights.get(),
                                           size.operands.get(), size.results.get(),
                                           size.results.get(), preference, 1, &size.found, &count),
        "choice of an algorithm");
  if (count < 1) {
    throw Error(GF_BACKEND_FAILED, "products: %s has no algorithm for %lld rows of %d by %d",
                name().c_str(), static_cast<long long>(rows), matrix.k, matrix.outputs);
  }
  check(size.found.state, "choice of an algorithm");
  return size;
}

void VendorProducts::finish(DeviceArena& arena, cudaStream_t stream) {
  int64_t operand_bytes = 0;
  for (const Plan& plan : plans_) {
    const int64_t row_bytes = plan.matrix.stride * bytes_of(type_);
    operand_bytes = std::max(operand_bytes, plan.sizes.front().rows * row_bytes);
    for (const Size& size : plan.sizes) {
      workspace_bytes_ = std::max(workspace_bytes_, size.found.workspace);
    }
  }
  operands_ = arena.take<char>(stream, "session operands of cuBLASLt", operand_bytes);
  workspace_ = arena.take<char>(stream, "session workspace of cuBLASLt",
                                static_cast<int64_t>(workspace_bytes_));
}

void VendorProducts::try_all(cudaStream_t stream) const {
  for (const Plan& plan : plans_) {
    for (const Size& size : plan.sizes) run(plan, size, stream);
  }
}

void VendorProducts::run(const Plan& plan, const Size& size, cudaStream_t stream) const {
  const float one = 1;
  const float zero = 0;
  check(lt_.cublasLtMatmul(handle_.get(), plan.product.get(), &one, plan.matrix.weight,
                           plan.weights.get(), operands_, size.operands.get(), &zero, plan.out,
                           size.results.get(), plan.out, size.results.get(), &size.found.algorithm,
                           workspace_, workspace_bytes_, stream),
        "product");
}

void VendorProducts::multiply(const Product& product, cudaStream_t stream) const {
  const auto plan = std::find_if(plans_.begin(), plans_.end(), [&](const Plan& one) {
    return one.matrix.weight == product.matrix.weight;
  });
  auto size = plan->sizes.end();
  do --size;
  while (size->rows < product.rows.count);
  gather(precision_, product.rows, plan->matrix, operands_, stream);
  run(*plan, *size, stream);
}

}  // namespace gatefuse::cuda
