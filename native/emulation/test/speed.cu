// SPDX-License-Identifier: Apache-2.0
//
// How long the emulation takes for what kernels do most, per operation of a warp or a block.
#include "cuda/ptx.cuh"

#include <algorithm>
#include <chrono>
#include <cmath>
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

// Of the fastest launch: others were disturbed.
template <class Kernel>
double nanoseconds(Kernel* kernel, unsigned threads, int count, int launches) {
  DeviceArray<float> out(threads);
  double best = INFINITY;
  for (int i = 0; i < launches; ++i) {
    const auto start = std::chrono::steady_clock::now();
    test::run({1, threads}, kernel, out.get(), count);
    const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count() / count);
  }
  return best;
}

}  // namespace
}  // namespace gatefuse

int main() {
  using namespace gatefuse;
  std::printf("mma_bf16 of a warp:             %6.0f ns\n", nanoseconds(products, 32, 2000, 100));
  std::printf("shuffle of a warp:              %6.0f ns\n", nanoseconds(shuffles, 32, 2000, 100));
  std::printf("__syncthreads of 256 threads:   %6.0f ns\n", nanoseconds(barriers, 256, 500, 100));
  std::printf("launch of 256 threads:          %6.0f ns\n", nanoseconds(nothing, 256, 1, 1000));
  return test::take_device_error().empty() ? 0 : 1;
}
