// SPDX-License-Identifier: Apache-2.0
//
// The blocks that are resident, with their threads: what the rest of the emulation works on. All of
// it is kept from launch to launch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "fiber.hpp"

namespace gatefuse::emulation {

constexpr unsigned kWarp = 32;

struct Block;
struct Cluster;
struct Warp;

struct QueuedCopy {
  AsyncCopy copy;
  bool done;  // early
  Where where;
};

struct Thread : ThreadPlace {
  Fiber fiber;
  Warp* warp = nullptr;
  Block* block = nullptr;
  uint3 index = {};
  // What it waits for, and where.
  const char* activity = nullptr;
  Where where;

  std::vector<QueuedCopy> copies;  // cp.async, in order
  std::vector<size_t> groups;      // the ends of the committed groups, counted in copies
  size_t copied = 0;
  bool arrived_at_cluster = false;  // and has not waited
  uint64_t cluster_generation = 0;  // in which it arrived

  uint32_t bit() const { return 1u << lane; }
};

// A collective for which not all lanes of its mask have come.
struct Collective {
  uint32_t mask;
  uint32_t arrived;
  const char* name;
  unsigned order;
  Where where;
};

struct Warp {
  Block* block = nullptr;
  unsigned index = 0;   // in the block
  uint32_t exited = 0;  // lanes that have ended, or never were
  uint32_t ready = 0;   // lanes that can run
  uint32_t at_block_barrier = 0;
  uint32_t at_cluster_barrier = 0;
  bool listed = false;  // among the scheduler's runnable warps, at `position`
  unsigned position = 0;
  uint64_t priority = 0;

  unsigned open_count = 0;
  unsigned next_order = 0;
  Collective open[kWarp];
  const void* argument[kWarp];
  Thread* thread[kWarp];
  Order orders[2 * kWarp];
};

struct Barrier {
  unsigned arrived = 0;
  uint64_t generation = 0;
  Where where;
  int gathered = 0;
  int result = 0;
  Order orders[2];  // by turns: who is slow still needs the last one
};

struct Block {
  Cluster* cluster = nullptr;
  unsigned rank = 0;
  uint3 index = {};
  unsigned threads = 0, alive = 0;
  Warp** warps = nullptr;
  unsigned warp_count = 0;
  Barrier barrier;
  char* arena = nullptr;  // its shared memory
  uint64_t arrays = 0;    // which arrays of the layout it has
  void* arena_owner = nullptr;
  Order* arena_order = nullptr;
};

struct Cluster {
  Barrier barrier;
  Block** blocks = nullptr;
  unsigned size = 0;
  unsigned alive = 0;  // threads
};

std::string text_of(const uint3& index);

inline bool same_place(const Where& a, const Where& b) {
  return a.line() == b.line() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

}  // namespace gatefuse::emulation
