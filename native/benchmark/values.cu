// SPDX-License-Identifier: Apache-2.0
#include "values.hpp"

#include <algorithm>

#include "cuda/ptx.cuh"

namespace gatefuse::benchmark {
namespace {

constexpr unsigned kThreads = 256;

GF_HOST_DEVICE float value_of(uint32_t seed, uint32_t i) {
  uint32_t z = i * 0x9e3779b9u + seed * 0x85ebca6bu + 0x7f4a7c15u;
  z = (z ^ z >> 16) * 0x7feb352du;
  z = (z ^ z >> 15) * 0x846ca68bu;
  z ^= z >> 16;
  return static_cast<float>(z >> 8) * 0x1p-23f - 1.0f;
}

GF_DEVICE void put(void* values, bool half, int64_t i, float value) {
  if (half) {
    static_cast<uint16_t*>(values)[i] = ptx::to_f16(value);
  } else {
    static_cast<float*>(values)[i] = value;
  }
}

// values from `from`, or random ones.
__global__ void fill_kernel(void* values, bool half, int64_t count, const float* from,
                            uint32_t seed, float bound) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    put(values, half, i,
        from != nullptr ? from[i] : bound * value_of(seed, static_cast<uint32_t>(i)));
  }
}

__global__ void widen_kernel(const uint16_t* values, float* to, int64_t count) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    to[i] = ptx::from_f16(values[i]);
  }
}

template <class... P, class... A>
void launch(void (*kernel)(P...), int64_t count, cudaStream_t stream, A... arguments) {
  cudaLaunchConfig_t config = {};
  config.gridDim =
      dim3(static_cast<unsigned>(std::clamp<int64_t>((count + kThreads - 1) / kThreads, 1, 1024)));
  config.blockDim = dim3(kThreads);
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...), "values");
}

}  // namespace

void fill(void* values, Format format, int64_t count, uint32_t seed, float bound,
          cudaStream_t stream) {
  launch(fill_kernel, count, stream, values, format == Format::kFloat16, count,
         static_cast<const float*>(nullptr), seed, bound);
}

void upload(void* values, Format format, const float* from, int64_t count, cudaStream_t stream) {
  const Memory copy(count * 4);
  check(cudaMemcpyAsync(copy.as<float>(), from, static_cast<size_t>(count) * 4,
                        cudaMemcpyHostToDevice, stream),
        "values");
  launch(fill_kernel, count, stream, values, format == Format::kFloat16, count, copy.as<float>(),
         0u, 0.0f);
  check(cudaStreamSynchronize(stream), "values");
}

std::vector<float> download(const void* values, Format format, int64_t count, cudaStream_t stream) {
  std::vector<float> result(static_cast<size_t>(count));
  const Memory wide(format == Format::kFloat16 ? count * 4 : 0);
  if (format == Format::kFloat16) {
    launch(widen_kernel, count, stream, static_cast<const uint16_t*>(values), wide.as<float>(),
           count);
    values = wide.as<float>();
  }
  check(cudaMemcpyAsync(result.data(), values, result.size() * 4, cudaMemcpyDeviceToHost, stream),
        "values");
  check(cudaStreamSynchronize(stream), "values");
  return result;
}

}  // namespace gatefuse::benchmark
