// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "batch.hpp"
#include "cuda/alternating_backward.hpp"
#include "cuda/device.hpp"
#include "cuda/draws.hpp"
#include "cuda/model.hpp"
#include "cuda/sums.hpp"
#include "cuda/tape.hpp"
#include "cuda/tiers.hpp"
#include "gatefuse.h"

namespace gatefuse::cuda {

// How long blocks wait for one another, in nanoseconds, and where a step is told that was waited
// for in vain.
struct Waits {
  uint64_t patience;
  unsigned long long* timed_out;
};

// Back-propagation through time over what a forward pass left on its tape.
//
// Layers go from the last to the first, and the steps of each from its last to its first, in chunks
// of steps: first what can be made of all steps of a chunk at once, then the steps, then the
// products that make gradients by weights and by the layer's input of all its rows.
class Backward {
 public:
  // Memory of the session's that is free between forward passes.
  struct Shared {
    float* projections;  // [rows, rows of LayerWeights::input], where these are computed again
    uint8_t* masks;      // [rows, H], of persistent tiers
    int64_t rows;
  };
  // waits: how blocks wait for one another.
  Backward(const Model& model, const Tape& tape, const Batch& batch, const Draws& draws,
           DeviceArena& arena, cudaStream_t stream, const gf_session_options& options,
           const Waits& waits, const Shared& shared);

  // Puts all its work on the stream. Every pointer is one of device memory.
  void propagate(const gf_gradients& gradients, cudaStream_t stream);

  const BackwardTier& tier() const { return tier_; }

 private:
  // Some steps of a layer in one direction, with their pre-activations.
  struct Chunk {
    int64_t slot, layer;
    Pass pass;
    bool last;  // of its sequences: the first one to be gone back over
    const float* kept;
    const float* candidate;
  };
  // Gradients by a matrix and its bias, which lie as its own rows do.
  struct Sums {
    const Matrix* matrix = nullptr;
    float* values = nullptr;  // [outputs, stride]
    int64_t stride = 0;
    double* bias = nullptr;
  };

  void make_recompute_buffers(DeviceArena& arena, cudaStream_t stream, float* projections);
  void make_by_unit(DeviceArena& arena, cudaStream_t stream);
  void make_exchange(DeviceArena& arena, cudaStream_t stream, int64_t max_batch);
  void clear();
  void load_states();
  void store_states();
  void run_head();
  void head_gradients();
  void store_head();
  void run_slot(int64_t layer, int64_t direction);
  Chunk prepare(int64_t slot, const Pass& pass);
  void recompute(const Chunk& chunk);
  ChunkArguments chunk_arguments(const Chunk& chunk) const;
  void run_steps(const Chunk& chunk);
  void run_persistent(const Chunk& chunk);
  PersistentBackwardArguments persistent_arguments(const Chunk& chunk);
  void run_step(const Chunk& chunk, int32_t s, int32_t rows);
  BackwardStepArguments step_arguments(const Chunk& chunk, int32_t s, int32_t rows) const;
  void parameter_sums(const Chunk& chunk);
  void input_gradient(const Chunk& chunk);
  void store_parameters(int64_t slot);

  Pass pass_of(int64_t direction, int32_t first, int32_t steps) const;
  int32_t chunk_steps() const;
  Rows rows_of(const Pass& pass, const float* base, int64_t stride) const;
  Rows placed_rows(const Pass& pass, const float* base, int64_t stride) const;
  const float* output_gradient(int64_t slot) const;
  float* tensor(int32_t index) const;
  void multiply_rows(const Product& product) const;
  float* recurrent_gradients() const { return da_recurrent_ != nullptr ? da_recurrent_ : da_; }
  float* hidden_gradient(int64_t slot) const;
  float* cell_gradient(int64_t slot) const;

  const Model& model_;
  const Spec& spec_;
  const Tape& tape_;
  const Batch& batch_;
  const Draws& draws_;
  BackwardTier tier_;
  Waits waits_;
  int64_t chunk_rows_, rows_, width_;

  float* dh_ = nullptr;            // [slots, B, H] by place
  float* dc_ = nullptr;            // the same
  float* layers_[2] = {};          // [T, B, D*H] by results of layers, by turns, by place
  float* da_ = nullptr;            // [chunk rows, rows of LayerWeights::input]
  float* da_recurrent_ = nullptr;  // [chunk rows, rows of LayerWeights::recurrent], where other
  float* da_candidate_ = nullptr;  // [chunk rows, H], with reset before
  float* reset_ = nullptr;         // [chunk rows, H] reset * h
  float* d_reset_ = nullptr;       // [B, H]
  float* gates_ = nullptr;         // [chunk rows, scans, 2, H]
  float* d_gates_ = nullptr;       // [B, scans, H], in tier A
  // Of persistent tiers with scans: the slot's recurrent weights as transpose_by_unit lays them.
  Matrix by_unit_;
  uint8_t* masks_ = nullptr;  // [chunk rows, H]; not its own
  float* dx_ = nullptr;       // [chunk rows, I], with tokens
  float* kept_ = nullptr;  // [chunk rows, rows of LayerWeights::input], computed again; not its own
  float* products_ = nullptr;    // [chunk rows, rows of LayerWeights::recurrent], the same
  float* candidate_ = nullptr;   // [chunk rows, H], the same
  float* exchange_ = nullptr;    // tier G: see PersistentBackwardArguments
  unsigned* arrived_ = nullptr;  // tier G
  Sums input_, recurrent_, candidate_sums_, head_;

  // Of the call that is being put on its stream.
  gf_gradients g_ = {};
  cudaStream_t stream_ = nullptr;
};

}  // namespace gatefuse::cuda
