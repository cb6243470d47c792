// SPDX-License-Identifier: Apache-2.0
//
// What the host and the persistent kernels say to each other.
#pragma once

#include <cstdint>

#include "cuda/draws.hpp"
#include "cuda/product.cuh"

namespace gatefuse::cuda {

// The batch goes in slices of so many rows; a slice is a problem of its own.
constexpr int kSliceRows = 8;
// Units whose pre-activations one warp makes together.
constexpr int kGroupUnits = 8;
// So many units or slots as groups of them have.
GF_HOST_DEVICE constexpr int32_t whole_groups(int32_t n) {
  return (n + kGroupUnits - 1) / kGroupUnits * kGroupUnits;
}
// A sum over k is made of sums over chunks of at most so many steps of the matrix instruction,
// added up in their order. A chunk's size depends on H and the precision alone, so the bits do not
// depend on which warps and blocks share the work.
constexpr int kMostChunkSteps = 16;

// How the work on a slice is cut. A task is one set of fragments and one chunk of k; a set is a
// group of units, and on the way back 32 units.
struct PersistentShape {
  int32_t blocks = 0;        // of one slice
  int32_t groups = 0;        // a block's
  int32_t sets = 0;          // that a block multiplies
  int32_t k_steps = 0;       // of the whole sum
  int32_t chunks = 0;        // of the whole sum
  int32_t chunk_steps = 0;   // of a chunk; the last one may have fewer
  int32_t warps = 0;         // a block's
  int32_t warp_tasks = 0;    // a warp's, at most
  int32_t shared_steps = 0;  // k steps of a warp whose weights lie in shared memory
  int32_t tile_stride = 0;   // operands from row to row of the tile that is multiplied
  int32_t parts = 0;         // on the way back: of a gradient by h
  int32_t shared_bytes = 0;  // of a block, dynamic

  GF_HOST_DEVICE int32_t tasks() const { return sets * chunks; }
  GF_HOST_DEVICE int32_t units() const { return groups * kGroupUnits; }  // a block's
  GF_HOST_DEVICE int32_t threads() const { return warps * 32; }
  // On the way back: blocks that own units.
  GF_HOST_DEVICE int32_t owners() const { return parts / chunks; }
  // On the way back in tier G: how many sums of parts a block makes side by side.
  GF_HOST_DEVICE int32_t heaps() const { return warps / groups * 2; }
};

// One layer and direction over a chunk of time.
struct PersistentArguments {
  Pass pass;
  PersistentShape shape;
  Matrix recurrent;  // rows unit by unit
  int32_t hidden;
  int32_t rows;         // those that run at the first step
  int32_t first_slice;  // of this launch
  int32_t slots;        // H / chunk
  int32_t chunk;
  float* x;  // [steps, B, x_stride] projections of the input
  int64_t x_stride;
  int32_t keep;           // whether the sums of both parts take the place of the projections
  float* h;               // [B, H] by place: before the first step and after the last
  float* c;               // the same; null without a cell state
  float* y;               // the layer's output, by place; null for none
  int64_t y_stride;       // D * H
  float* kept_h;          // [steps, B, H] after each step for the way back; null for none
  float* kept_c;          // the same for c
  float* kept_candidate;  // [steps, B, H] the candidate's recurrent part, for `keep`
  StoredMasks masks;
  void* exchange;                 // tier G: [slices, 2, kSliceRows, tile_stride] operands
  unsigned* arrived;              // tier G: [slices], zeros before the launch
  unsigned long long* timed_out;  // receives a step that was waited for in vain
  uint64_t patience;              // nanoseconds after which a wait is in vain
};

enum class Exchange { kBlock, kCluster, kGrid };

// The kernel for a cell, null where there is none: a cell that resets before its product has none,
// and one with scans only in a block or a cluster. Instances of one exchange are compiled in one
// unit.
using PersistentKernel = void (*)(PersistentArguments);
PersistentKernel block_kernel(int32_t cell, int32_t precision);
PersistentKernel cluster_kernel(int32_t cell, int32_t precision);
PersistentKernel grid_kernel(int32_t cell, int32_t precision);

// What an instance of the kernel takes of a multiprocessor: the most warps of a block, the k steps
// of a warp whose weights stay in registers, and of how many of its tasks they may be. Without a
// matrix instruction the sums take more registers, and gates from scans too.
struct InstanceLimits {
  int most_warps;
  int register_steps;
  int register_tasks;
};
constexpr InstanceLimits limits_of(Exchange exchange, int precision, int plain_blocks, int scans) {
  const bool wide = plain_blocks + scans > 4;
  if (precision == GF_FLOAT32) {
    if (exchange != Exchange::kBlock) return {8, wide ? 8 : 16, 1};
    return wide ? InstanceLimits{8, 0, 1} : InstanceLimits{16, 3, 1};
  }
  if (exchange != Exchange::kBlock) return {8, wide ? 10 : scans > 0 ? 18 : 20, 2};
  if (scans > 0) return {16, wide ? 2 : 4, 1};
  return {16, 6, 1};
}

}  // namespace gatefuse::cuda
