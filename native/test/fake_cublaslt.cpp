// SPDX-License-Identifier: Apache-2.0
//
// A stand-in for NVIDIA's cuBLASLt in the emulation: it multiplies in a plain kernel, and refuses
// whatever differs from what the backend is meant to ask for, saying so. Compiled with FAKE_PART it
// is a library that lacks a function.
//
// It does not share the backend's declarations: what both say has to fit.
#include <cuda_runtime.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "cuda/ptx.cuh"

namespace {

// Statuses and enumerators as NVIDIA documents them.
enum { CUBLAS_STATUS_SUCCESS = 0, CUBLAS_STATUS_INVALID_VALUE = 7 };
enum { CUDA_R_32F = 0, CUDA_R_16F = 2, CUDA_R_16BF = 14 };
enum { CUBLAS_COMPUTE_32F = 68, CUBLAS_COMPUTE_32F_FAST_TF32 = 77 };
enum { CUBLAS_OP_T = 1 };
enum { CUBLASLT_EPILOGUE_BIAS = 4 };
enum {
  CUBLASLT_MATMUL_DESC_TRANSA = 3,
  CUBLASLT_MATMUL_DESC_EPILOGUE = 7,
  CUBLASLT_MATMUL_DESC_BIAS_POINTER = 8
};
enum { CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES = 1 };

constexpr size_t kWorkspaceBytes = 4096;

std::atomic<int> live{0};     // handles, descriptors and so on
std::atomic<int> fail_at{0};  // the call from now on that fails
std::atomic<int> fail_with{0};
std::atomic<int> lacks_algorithms{0};

// Every function begins with this: whether it is the one that a test lets fail.
bool fails() { return fail_at > 0 && --fail_at == 0; }

int refuse(const std::string& what) {
  std::fprintf(stderr, "cuBLASLt: %s\n", what.c_str());
  return CUBLAS_STATUS_INVALID_VALUE;
}

constexpr uint64_t kAlive = 0x616c697665;

struct Handle {
  uint64_t alive = kAlive;
};
struct Description {
  uint64_t alive = kAlive;
  int compute, scale;
  int transpose_a = 0, epilogue = 1;
  const float* bias = nullptr;
};
struct Layout {
  uint64_t alive = kAlive;
  int type;
  uint64_t rows, columns;
  int64_t stride;
};
struct Preference {
  uint64_t alive = kAlive;
  size_t workspace = 0;
};
// What an algorithm was chosen for.
struct Algorithm {
  uint64_t outputs, rows, k;
  int64_t strides[3];
  int type, compute;
  uint64_t unused;
};
static_assert(sizeof(Algorithm) == 64);
struct Found {
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

template <class T>
int create(void** made, T value) {
  if (fails()) return fail_with;
  *made = new T(value);
  ++live;
  return CUBLAS_STATUS_SUCCESS;
}

template <class T>
int destroy(void* object) {
  T* self = static_cast<T*>(object);
  if (self == nullptr || self->alive != kAlive)
    return refuse("an object that is none is destroyed");
  self->alive = 0;
  delete self;
  --live;
  return CUBLAS_STATUS_SUCCESS;
}

template <class T>
int set(T& field, const void* value, size_t bytes) {
  if (bytes != sizeof field) return refuse("an attribute of another size");
  std::memcpy(&field, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

// weights^T [outputs, k] by operands [k, rows]; all by columns.
struct Shape {
  const Description* product;
  const Layout *weights, *operands, *results;

  std::string wrong() const {
    const Layout &a = *weights, &b = *operands, &d = *results;
    if (product->alive != kAlive || a.alive != kAlive || b.alive != kAlive || d.alive != kAlive) {
      return "an object that has ended";
    }
    const bool narrow = a.type == CUDA_R_16F || a.type == CUDA_R_16BF;
    if (!narrow && a.type != CUDA_R_32F) return "unknown type of weights";
    if (b.type != a.type) return "operands of two types";
    if (d.type != CUDA_R_32F || product->scale != CUDA_R_32F) return "results that are not float32";
    if (product->compute != CUBLAS_COMPUTE_32F &&
        (narrow || product->compute != CUBLAS_COMPUTE_32F_FAST_TF32)) {
      return "a compute type that does not go with the operands";
    }
    if (product->transpose_a != CUBLAS_OP_T) return "weights that are not transposed";
    if (product->epilogue != CUBLASLT_EPILOGUE_BIAS || product->bias == nullptr) return "no bias";
    if (b.rows != a.rows || d.rows != a.columns || d.columns != b.columns || a.rows == 0 ||
        d.rows == 0 || d.columns == 0) {
      return "shapes that do not fit";
    }
    if (a.stride < static_cast<int64_t>(a.rows) || b.stride < static_cast<int64_t>(b.rows) ||
        d.stride < static_cast<int64_t>(d.rows)) {
      return "strides less than a column";
    }
    const int64_t bytes = narrow ? 2 : 4;
    if (a.stride * bytes % 16 != 0 || b.stride * bytes % 16 != 0) return "strides not aligned";
    return "";
  }
  Algorithm algorithm() const {
    return {results->rows,
            results->columns,
            weights->rows,
            {weights->stride, operands->stride, results->stride},
            weights->type,
            product->compute,
            0};
  }
};

struct Operands {
  const void *weights, *rows;
  const float* bias;
  float* results;
  Algorithm shape;

  float value(const void* from, int64_t i) const {
    if (shape.type == CUDA_R_16BF) {
      return gatefuse::ptx::from_bf16(static_cast<const uint16_t*>(from)[i]);
    }
    if (shape.type == CUDA_R_16F) {
      return gatefuse::ptx::from_f16(static_cast<const uint16_t*>(from)[i]);
    }
    return static_cast<const float*>(from)[i];
  }
};

// From the other end, so that the order of the sums is not the backend's own. A thread has many of
// the results: threads are what the emulation, and more so ThreadSanitizer, takes its time for.
__global__ void multiply(const Operands of) {
  const uint64_t threads = uint64_t{gridDim.x} * blockDim.x;
  for (uint64_t i = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
       i < of.shape.outputs * of.shape.rows; i += threads) {
    const int64_t output = static_cast<int64_t>(i % of.shape.outputs);
    const int64_t row = static_cast<int64_t>(i / of.shape.outputs);
    float sum = 0;
    for (int64_t k = static_cast<int64_t>(of.shape.k) - 1; k >= 0; --k) {
      sum += of.value(of.weights, output * of.shape.strides[0] + k) *
             of.value(of.rows, row * of.shape.strides[1] + k);
    }
    of.results[row * of.shape.strides[2] + output] = sum + of.bias[output];
  }
}

bool on_device(const void* pointer) {
  cudaPointerAttributes attributes = {};
  return cudaPointerGetAttributes(&attributes, pointer) == cudaSuccess &&
         attributes.type == cudaMemoryTypeDevice && reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

// ---- For tests ----------------------------------------------------------------------------------

EXPORT int fake_cublaslt_live() { return live; }
// The n-th call of a function from now on gives this status, 0 for none. Destroying does not count.
EXPORT void fake_cublaslt_fail(int n, int status) {
  fail_with = status;
  fail_at = n;
}
EXPORT int fake_cublaslt_failures_to_come() { return fail_at; }
EXPORT void fake_cublaslt_lack_algorithms(int lacks) { lacks_algorithms = lacks; }

// ---- cuBLASLt -----------------------------------------------------------------------------------

EXPORT size_t cublasLtGetVersion() { return 130207; }

EXPORT const char* cublasLtGetStatusName(int status) {
  switch (status) {
    case 3:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    default:
      return "CUBLAS_STATUS_OF_THE_FAKE";
  }
}

EXPORT int cublasLtCreate(void** handle) { return create(handle, Handle{}); }
EXPORT int cublasLtDestroy(void* handle) { return destroy<Handle>(handle); }

EXPORT int cublasLtMatmulDescCreate(void** product, int compute, int scale) {
  Description made;
  made.compute = compute;
  made.scale = scale;
  return create(product, made);
}
EXPORT int cublasLtMatmulDescDestroy(void* product) { return destroy<Description>(product); }
EXPORT int cublasLtMatmulDescSetAttribute(void* product, int attribute, const void* value,
                                          size_t bytes) {
  if (fails()) return fail_with;
  Description& self = *static_cast<Description*>(product);
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return set(self.transpose_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return set(self.epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return set(self.bias, value, bytes);
    default:
      return refuse("an attribute that the backend has no use for");
  }
}

EXPORT int cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t columns,
                                      int64_t stride) {
  return create(layout, Layout{kAlive, type, rows, columns, stride});
}
EXPORT int cublasLtMatrixLayoutDestroy(void* layout) { return destroy<Layout>(layout); }

EXPORT int cublasLtMatmulPreferenceCreate(void** preference) {
  return create(preference, Preference{});
}
EXPORT int cublasLtMatmulPreferenceDestroy(void* preference) {
  return destroy<Preference>(preference);
}
EXPORT int cublasLtMatmulPreferenceSetAttribute(void* preference, int attribute, const void* value,
                                                size_t bytes) {
  if (fails()) return fail_with;
  if (attribute != CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) return refuse("another preference");
  return set(static_cast<Preference*>(preference)->workspace, value, bytes);
}

EXPORT int cublasLtMatmulAlgoGetHeuristic(void* handle, void* product, void* a, void* b, void* c,
                                          void* d, void* preference, int most, Found* found,
                                          int* count) {
  if (fails()) return fail_with;
  const Shape shape = {static_cast<Description*>(product), static_cast<Layout*>(a),
                       static_cast<Layout*>(b), static_cast<Layout*>(d)};
  if (static_cast<Handle*>(handle)->alive != kAlive) return refuse("another handle");
  if (!shape.wrong().empty()) return refuse(shape.wrong());
  if (c != d || most < 1) return refuse("sums that begin with something");
  if (static_cast<Preference*>(preference)->workspace < kWorkspaceBytes) {
    return refuse("no workspace");
  }
  *found = {shape.algorithm(), kWorkspaceBytes, CUBLAS_STATUS_SUCCESS, 1, {}};
  *count = lacks_algorithms != 0 ? 0 : 1;
  return CUBLAS_STATUS_SUCCESS;
}

#if defined(FAKE_PART)
#define cublasLtMatmul cublasLtMatmulOfAnotherAge
#endif
EXPORT int cublasLtMatmul(void* handle, void* product, const void* alpha, const void* a,
                          void* layout_a, const void* b, void* layout_b, const void* beta,
                          const void* c, void* layout_c, void* d, void* layout_d,
                          const Algorithm* algorithm, void* workspace, size_t workspace_bytes,
                          cudaStream_t stream) {
  if (fails()) return fail_with;
  const Shape shape = {static_cast<Description*>(product), static_cast<Layout*>(layout_a),
                       static_cast<Layout*>(layout_b), static_cast<Layout*>(layout_d)};
  if (static_cast<Handle*>(handle)->alive != kAlive) return refuse("another handle");
  if (const std::string wrong = shape.wrong(); !wrong.empty()) return refuse(wrong);
  const Algorithm chosen = shape.algorithm();
  if (algorithm == nullptr || std::memcmp(&chosen, algorithm, sizeof chosen) != 0) {
    return refuse("an algorithm for another product");
  }
  if (*static_cast<const float*>(alpha) != 1 || *static_cast<const float*>(beta) != 0 || c != d ||
      layout_c != layout_d) {
    return refuse("other factors than 1 and 0");
  }
  if (workspace_bytes < kWorkspaceBytes || !on_device(workspace)) return refuse("no workspace");
  if (!on_device(a) || !on_device(b) || !on_device(d) || !on_device(shape.product->bias)) {
    return refuse("operands that are not aligned device memory");
  }
  if (stream == nullptr) return refuse("the legacy stream");
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(3);
  config.blockDim = dim3(32);
  config.stream = stream;
  const Operands of = {a, b, shape.product->bias, static_cast<float*>(d), chosen};
  if (cudaLaunchKernelEx(&config, multiply, of) != cudaSuccess) return refuse("the launch failed");
  return CUBLAS_STATUS_SUCCESS;
}
