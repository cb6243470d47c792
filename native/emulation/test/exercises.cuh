// SPDX-License-Identifier: Apache-2.0
//
// Small kernels that exchange data in each of the ways that the library's kernels do. They are what
// scripts/emulation-mutants seeds bugs into.
#pragma once

#include "cuda/ptx.cuh"

namespace gatefuse::exercises {

using ptx::SharedMemory;

constexpr int kThreads = 64;
constexpr unsigned kAllLanes = 0xffffffffu;

// ---------------------------------------------------------------- through L2, by the whole grid

// All blocks meet: each counts one, release, and polls, acquire. Returns false after the time-out.
GF_DEVICE bool meet(unsigned* counter, unsigned target, uint64_t timeout) {
  GF_SHARED(int, met, [1]);
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::red_add_release(counter, 1);
    const uint64_t start = ptx::global_nanoseconds();
    met[0] = 1;
    while (ptx::ld_acquire(counter) < target) {
      if (ptx::global_nanoseconds() - start > timeout) {
        met[0] = 0;
        break;
      }
    }
  }
  __syncthreads();
  return met[0] != 0;
}

// Every step replaces each of the grid's values [gridDim.x * blockDim.x] by the sum of a value of
// the next block and one of the block after that. values is [2, n], used by turns; counter is 0.
static __global__ void grid_exchange(float* values, unsigned* counter, int* status, int steps) {
  const int n = static_cast<int>(gridDim.x * blockDim.x);
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  for (int step = 0; step < steps; ++step) {
    const float* from = values + (step & 1) * n;
    float* to = values + ((step + 1) & 1) * n;
    const int next = (i + static_cast<int>(blockDim.x)) % n;
    const int after = (i + 2 * static_cast<int>(blockDim.x)) % n;
    to[i] = ptx::ld_global_cg(from + next) + ptx::ld_global_cg(from + after);
    if (!meet(counter, static_cast<unsigned>(step + 1) * gridDim.x, 10'000'000'000u)) {
      if (threadIdx.x == 0) *status = 1;
      return;
    }
  }
}

}  // namespace gatefuse::exercises
