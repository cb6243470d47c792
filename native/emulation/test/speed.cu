// SPDX-License-Identifier: Apache-2.0
//
// How long the emulation takes for what kernels do most, per operation of a warp or a block.
#include "cuda/ptx.cuh"

#include <chrono>
#include <cstdio>

#include "device.hpp"

namespace gatefuse {
namespace {

using test::DeviceArray;

__global__ void products(float* out, int count) {
  float d[4] = {};
  const uint32_t a[4] = {1, 2, 3, 4}, b[2] = {5, 6};
  for (int i = 0; i < count; ++i) ptx::mma_bf16(d, a, b);
  out[threadIdx.x] = d[0];
}

__global__ void shuffles(float* out, int count) {
  float value = static_cast<float>(threadIdx.x);
  for (int i = 0; i < count; ++i) value = __shfl_xor_sync(0xffffffffu, value, 1);
  out[threadIdx.x] = value;
}

__global__ void barriers(float* out, int count) {
  for (int i = 0; i < count; ++i) __syncthreads();
  out[threadIdx.x] = 0.0f;
}

__global__ void nothing(float*, int) {}

template <class Kernel>
double nanoseconds(Kernel* kernel, unsigned threads, int count, int launches) {
  DeviceArray<float> out(threads);
  test::run({1, threads}, kernel, out.get(), count);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < launches; ++i) test::run({1, threads}, kernel, out.get(), count);
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
  return spent.count() / launches / count;
}

}  // namespace
}  // namespace gatefuse

int main() {
  using namespace gatefuse;
  std::printf("mma_bf16 of a warp:             %6.0f ns\n", nanoseconds(products, 32, 100000, 3));
  std::printf("shuffle of a warp:              %6.0f ns\n", nanoseconds(shuffles, 32, 100000, 3));
  std::printf("__syncthreads of 256 threads:   %6.0f ns\n", nanoseconds(barriers, 256, 10000, 3));
  std::printf("launch of 256 threads:          %6.0f ns\n", nanoseconds(nothing, 256, 1, 1000));
  return test::take_device_error().empty() ? 0 : 1;
}
