// SPDX-License-Identifier: Apache-2.0
//
// The state of the emulated device in this process, and what every function of the runtime API does
// around its own work.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "cuda_runtime.h"
#include "emulation.hpp"
#include "launch.hpp"
#include "random.hpp"

namespace gatefuse::emulation {

struct Context {
  Context();
  // Starts the random numbers again.
  void restart(uint64_t new_seed);

  std::recursive_mutex mutex;  // of everything; also launches run one at a time under it
  Mode mode = Mode::warp_at_a_time;
  uint64_t seed = 1;
  uint64_t launches = 0;  // since the seed was set
  Random random;          // of the host's queues
  int allocations_to_failure = 0;
  int kernels_capability = 0;  // 0: the device's
  std::string failure;         // that has ended a launch, and with it the context
  std::map<const void*, Function> functions;
};

Context& context();

// Keeps the error for cudaGetLastError and hands it on.
cudaError_t note(cudaError_t error);

// Whether this allocation is the one that a test lets fail.
bool allocation_fails();

// Runs one function of the API: nothing more where the context has failed, some of what is queued
// before it, its own work, and a failure of what ran meanwhile is its result.
cudaError_t call(cudaError_t (*work)(void*), void* of);
template <class Work>
cudaError_t call(Work work) {
  return call([](void* of) { return (*static_cast<Work*>(of))(); }, static_cast<void*>(&work));
}

}  // namespace gatefuse::emulation
