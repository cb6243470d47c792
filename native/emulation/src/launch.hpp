// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "cuda_runtime.h"
#include "emulation.hpp"

namespace gatefuse::emulation {

// What cudaFuncSetAttribute says of a kernel.
struct Function {
  int dynamic_shared = 48 << 10;
  bool large_clusters = false;
};

// What CUDA answers to a launch before it runs.
cudaError_t check_launch(const Launch& launch, const Function& function);
// How many blocks of a kernel an SM holds at once, as far as threads and shared memory say.
int blocks_per_multiprocessor(int threads, size_t dynamic_shared);
int resident_clusters(const Launch& launch);

// Runs the kernel to its end; a sentence where it failed, empty where it did not.
std::string run_launch(const Launch& launch, Mode mode, uint64_t seed);

}  // namespace gatefuse::emulation
