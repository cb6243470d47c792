// SPDX-License-Identifier: Apache-2.0
#include "context.hpp"

#include <cstdlib>
#include <cstring>

#include "memory.hpp"
#include "profile.hpp"
#include "scheduler.hpp"
#include "stream.hpp"

namespace gatefuse::emulation {
namespace {

constexpr const char* kModeNames[kModes] = {"in_order", "warp_at_a_time", "random_thread",
                                            "priorities", "starvation"};

Mode mode_of(const char* text) {
  for (int i = 0; i < kModes; ++i) {
    if (std::strcmp(text, kModeNames[i]) == 0) return static_cast<Mode>(i);
  }
  return static_cast<Mode>(std::abs(std::atoi(text)) % kModes);
}

thread_local cudaError_t last_error = cudaSuccess;
thread_local int runtime_depth = 0;

}  // namespace

Context::Context() {
  const char* mode_text = std::getenv("GATEFUSE_EMULATION_MODE");
  if (mode_text != nullptr) mode = mode_of(mode_text);
  const char* seed_text = std::getenv("GATEFUSE_EMULATION_SEED");
  restart(seed_text == nullptr ? 1 : std::strtoull(seed_text, nullptr, 0));
}

void Context::restart(uint64_t new_seed) {
  seed = new_seed;
  launches = 0;
  random.restart(new_seed);
}

Context& context() {
  static Context* the_context = new Context;  // outlives every static object that still uses it
  return *the_context;
}

cudaError_t note(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) last_error = error;
  return error;
}

bool allocation_fails() {
  int& left = context().allocations_to_failure;
  return left > 0 && --left == 0;
}

cudaError_t call(cudaError_t (*work)(void*), void* of) {
  const InRuntime in_runtime;
  Context& here = context();
  const std::lock_guard<std::recursive_mutex> lock(here.mutex);
  if (!here.failure.empty()) return note(cudaErrorLaunchFailure);
  run_some_of_the_queues();
  const cudaError_t error = here.failure.empty() ? work(of) : cudaErrorLaunchFailure;
  return note(here.failure.empty() ? error : cudaErrorLaunchFailure);
}

// ---------------------------------------------------------------- for tests

void set_mode(Mode mode) {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  context().mode = mode;
}

Mode mode() { return context().mode; }

void set_kernels_capability(int capability) {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  context().kernels_capability = capability;
}

void set_seed(uint64_t seed) {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  context().restart(seed);
}

uint64_t seed() { return context().seed; }

bool set_device(const std::string& name) {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  return choose_profile(name);
}

void set_multiprocessors(int count) {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  choose_multiprocessors(count);
}

void fail_allocation(int n) {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  context().allocations_to_failure = n;
}

Live live() {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  Live live = {};
  count_memory(live);
  count_streams(live);
  return live;
}

InRuntime::InRuntime() { ++runtime_depth; }
InRuntime::~InRuntime() { --runtime_depth; }

bool is_in_runtime() { return runtime_depth > 0; }

Statistics statistics() {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  return counters;
}

std::string failure() {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  return context().failure;
}

void reset() {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  context().failure.clear();
  context().allocations_to_failure = 0;
  forget_queues();
  last_error = cudaSuccess;
}

}  // namespace gatefuse::emulation

using namespace gatefuse::emulation;

cudaError_t cudaGetLastError() {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  if (!context().failure.empty()) return cudaErrorLaunchFailure;
  const cudaError_t error = last_error;
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaPeekAtLastError() {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  return context().failure.empty() ? last_error : cudaErrorLaunchFailure;
}
