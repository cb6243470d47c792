// SPDX-License-Identifier: Apache-2.0
//
// What tests tell the emulation and ask it. The environment says the same at start:
//   GATEFUSE_EMULATED_DEVICE          sm_70, sm_75, sm_80, sm_86, sm_90 (default) or sm_100
//   GATEFUSE_EMULATED_MULTIPROCESSORS a smaller device of that kind
//   GATEFUSE_EMULATION_SEED           a number, 1 by default
//   GATEFUSE_EMULATION_MODE           a Mode by its name or number
#pragma once

#include <cstdint>
#include <string>

namespace gatefuse::emulation {

// How the scheduler chooses who runs next, and when what is under way arrives.
enum class Mode {
  in_order,        // warps and lanes in turn, everything as early as possible
  warp_at_a_time,  // a warp runs as far as it can, then another one at random
  random_thread,   // any thread after every wait; everything as late as possible
  priorities,      // the warps have random priorities, which change now and then
  starvation,      // one block runs only when no other can
};
constexpr int kModes = 5;

void set_mode(Mode mode);
Mode mode();
// Starts the random numbers again, those of the scheduler and those of the host's queues.
void set_seed(uint64_t seed);
uint64_t seed();

// sm_70 and so on; false and no change where there is no such device.
bool set_device(const std::string& name);
// The number of multiprocessors; 0 for the device's own.
void set_multiprocessors(int count);

// What cudaFuncGetAttributes says that kernels are compiled for; 0 for the device's own capability.
void set_kernels_capability(int capability);

// The n-th allocation from now on fails, 1 for the next; 0 for none. Memory, streams, events and
// graphs count.
void fail_allocation(int n);

struct Live {
  int64_t device_allocations, device_bytes, host_allocations;
  int64_t streams, events, graphs;
  bool none() const {
    return device_allocations == 0 && host_allocations == 0 && streams == 0 && events == 0 &&
           graphs == 0;
  }
};
Live live();

// Whether the calling thread is in a function of the runtime API: what is allocated now is the
// emulation's and not its caller's.
bool is_in_runtime();

struct Statistics {
  uint64_t launches, threads, switches, collectives, block_barriers, messages;
};
Statistics statistics();

// The sentence of the failure that ended a launch, empty where none did.
std::string failure();
// Forgets the failure and what is queued. Memory, streams and events stay as they are.
void reset();

}  // namespace gatefuse::emulation
