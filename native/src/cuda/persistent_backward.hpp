// SPDX-License-Identifier: Apache-2.0
//
// What the host and the persistent kernels of the way back say to each other.
#pragma once

#include <cstdint>

#include "cuda/persistent.hpp"

namespace gatefuse::cuda {

// One layer and direction over a chunk of time, from its last step to its first. A row joins at its
// own last step. B is the batch of the call; rows are places.
struct PersistentBackwardArguments {
  Pass pass;
  PersistentShape shape;
  // Transposed: [H, rows of LayerWeights::recurrent], without a bias; with scans by units: see
  // transpose_by_unit.
  Matrix recurrent;
  int32_t hidden;
  int32_t rows;         // those that run at the first step of the chunk
  int32_t first_slice;  // of this launch
  int32_t slots;        // H / chunk
  int32_t chunk;
  const float* gates;  // [steps, B, scans, 2, H] gates of scans and complements, or null
  const float* kept;   // [steps, B, kept_stride] pre-activations of the blocks, unit by unit
  int64_t kept_stride;
  const float*
      candidate;        // [steps, B, H] the candidate's recurrent part where it is apart, or null
  const float* h;       // [steps, B, H] before each step
  const float* c;       // [steps + 1, B, H] before each step, and after the last; or null
  const float* dy;      // gradients by the layer's output, by the caller's place; null: zeros
  int64_t dy_stride;    // D * H
  float* dh;            // [B, H] by h after the last step, then by h before the first
  float* dc;            // the same for c; null without a cell state
  float* da;            // [steps, B, kept_stride] by the pre-activations, of the input's part
  float* da_recurrent;  // the same of the recurrent part; null where that is no other
  StoredMasks masks;
  // Tier G: parts, [slices of a launch, 2, parts, units of all blocks, kSliceRows], and counters,
  // [slices], zeros before the first launch.
  float* exchange;
  unsigned* arrived;
  // Receives a step whose parts were waited for in vain, as they are counted on the way back.
  unsigned long long* timed_out;
  uint64_t patience;  // nanoseconds after which a wait is in vain
};

// A task's fragments, of 16 units each.
constexpr int kBackwardFragments = 2;
constexpr int kBackwardUnits = 16 * kBackwardFragments;

// What an instance takes of a multiprocessor: see limits_of. In tier G a block has few units, and
// so its tasks few steps.
constexpr InstanceLimits backward_limits_of(Exchange exchange, int precision, int plain_blocks,
                                            int scans) {
  const bool block = exchange == Exchange::kBlock;
  const bool wide = plain_blocks + scans > 4;
  if (exchange == Exchange::kGrid) return {8, 8, 1};
  if (precision == GF_FLOAT32) {
    if (!block) return {8, wide ? 8 : 16, 1};
    return wide ? InstanceLimits{8, 4, 1} : InstanceLimits{16, scans > 0 ? 1 : 3, 1};
  }
  if (!block) return {8, wide ? 10 : scans > 0 ? 16 : 20, 2};
  return {16, wide ? 2 : scans > 0 ? 4 : 6, 1};
}

// The kernel for a cell, null where there is none: a cell that resets before its product has none,
// and one with scans only in a block or a cluster.
using PersistentBackwardKernel = void (*)(PersistentBackwardArguments);
PersistentBackwardKernel block_backward_kernel(int32_t cell, int32_t precision);
PersistentBackwardKernel cluster_backward_kernel(int32_t cell, int32_t precision);
PersistentBackwardKernel grid_backward_kernel(int32_t cell, int32_t precision);

}  // namespace gatefuse::cuda
