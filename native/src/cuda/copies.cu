// SPDX-License-Identifier: Apache-2.0
#include "cuda/copies.hpp"

#include "batch.hpp"
#include "cuda/launch.hpp"

namespace gatefuse::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void copy_kernel(const gf_copy copy, const float* from, float* to) {
  const int64_t n = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (n >= copy.outer * copy.inner * copy.values) return;
  const int64_t v = n % copy.values;
  const int64_t j = n / copy.values % copy.inner;
  const int64_t i = n / copy.values / copy.inner;
  to[i * copy.to_outer + j * copy.to_inner + v] =
      from[i * copy.from_outer + j * copy.from_inner + v];
}

// Of all pieces together; more than a launch takes is refused.
int64_t values_of(const gf_copy& copy) {
  constexpr int64_t kMost = int64_t{INT32_MAX} * kThreads;
  int64_t pieces = 0;
  int64_t values = 0;
  if (__builtin_mul_overflow(copy.outer, copy.inner, &pieces) ||
      __builtin_mul_overflow(pieces, copy.values, &values) || values > kMost) {
    throw Error(GF_INVALID_ARGUMENT, "outer x inner x values: expected at most %lld, got more",
                static_cast<long long>(kMost));
  }
  return values;
}

void check_place(const char* name, const void* memory, int32_t device) {
  cudaPointerAttributes attributes = {};
  check(cudaPointerGetAttributes(&attributes, memory), name);
  if (attributes.type == cudaMemoryTypeDevice && attributes.device != device) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected memory of device %d, got memory of device %d",
                name, device, attributes.device);
  }
}

// What a copy engine does, and kernels cannot: one side is pageable memory.
void copy_one_by_one(const gf_copy& copy, cudaStream_t stream) {
  for (int64_t i = 0; i < copy.outer; ++i) {
    for (int64_t j = 0; j < copy.inner; ++j) {
      float* to = static_cast<float*>(copy.to) + i * copy.to_outer + j * copy.to_inner;
      const float* from =
          static_cast<const float*>(copy.from) + i * copy.from_outer + j * copy.from_inner;
      check(cudaMemcpyAsync(to, from, static_cast<size_t>(copy.values) * sizeof(float),
                            cudaMemcpyDefault, stream),
            "device copy");
    }
  }
}

}  // namespace

bool is_capturing(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaError_t error = cudaStreamIsCapturing(stream, &status);
  if (error == cudaErrorInvalidResourceHandle || error == cudaErrorInvalidValue) {
    cudaGetLastError();
    wrong("stream", "a CUDA stream that exists", "another handle");
  }
  check(error, "stream");
  return status != cudaStreamCaptureStatusNone;
}

void copy_pieces(const gf_copy& copy) {
  in_range("completion", copy.completion, GF_ON_RETURN, GF_ON_STREAM);
  const int64_t values = values_of(copy);
  check_place("to", copy.to, copy.device);
  check_place("from", copy.from, copy.device);
  const cudaStream_t stream = static_cast<cudaStream_t>(copy.stream);
  if (is_capturing(stream) && copy.completion == GF_ON_RETURN) {
    wrong("completion", "GF_ON_STREAM while the stream is being captured", "GF_ON_RETURN");
  }
  float* to = static_cast<float*>(seen_by_kernels(copy.to));
  const float* from = static_cast<const float*>(seen_by_kernels(copy.from));
  if (to != nullptr && from != nullptr) {
    launch("device copy", copy_kernel, dim3(blocks_for(values, kThreads)), dim3(kThreads), stream,
           copy, from, to);
  } else if (copy.completion == GF_ON_STREAM) {
    wrong("memory", "page-locked host memory for a copy that completes on its stream",
          "pageable memory");
  } else {
    copy_one_by_one(copy, stream);
  }
  if (copy.completion == GF_ON_RETURN) check(cudaStreamSynchronize(stream), "device copy");
}

}  // namespace gatefuse::cuda
