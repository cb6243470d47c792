// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "batch.hpp"
#include "cpu/masks.hpp"
#include "cpu/memory.hpp"
#include "cpu/model.hpp"
#include "cpu/tape.hpp"
#include "cpu/team.hpp"
#include "gatefuse.h"

namespace gatefuse::cpu {

// Back-propagation through time over what a forward pass left on its tape.
//
// Layers go from the last to the first, and the steps of each from its last to its first, in
// chunks: within a chunk step by step the pointwise mathematics and the product of the gradients by
// the pre-activations with R, then for all of its rows at once the products that make the gradients
// by the weights and by the layer's input. Every member of the team owns a range of units for the
// steps, and of rows or columns of a result for the products. The chunks do not depend on the
// number of members, and every sum has one order: so the bits do not either.
class Backward final : private Job {
 public:
  Backward(Model& model, const Tape& tape, const Batch& batch, const Masks& masks, Arena& arena,
           const gf_session_options& options, int threads);

  // What the tape holds is of no use any more; or is that of this call.
  void forget() { last_.forget(); }
  void remember(const gf_io& io);

  void propagate(const gf_gradients& gradients);

 private:
  struct Member {
    int index;
    int count;
    float* scratch;     // as of Step
    const float** in;   // [rows of a product]
    const float** add;  // the same
    float** out;        // the same
    int64_t* offsets;   // [chunk steps + 1], of a Chunk
  };
  struct Range {
    int64_t begin, end;
  };
  // Steps of a layer in one direction. The rows of step s have the indices from offset(s) on.
  struct Chunk {
    int64_t slot, layer, direction;
    int64_t first, steps;
    const int64_t* offsets;
    int64_t offset(int64_t s) const { return offsets[s - first]; }
    int rows(int64_t s) const { return static_cast<int>(offset(s + 1) - offset(s)); }
    int total() const { return static_cast<int>(offsets[steps]); }
  };
  // Gradients by a matrix, one row for each column of the gradients that it is made of.
  struct Sums {
    float* values = nullptr;  // [rows, stride]
    int64_t stride = 0;
  };

  int members_for_work() const;
  Pack factor_pack(Arena& arena, int64_t columns);
  void make_recompute_buffers(Arena& arena);

  void run(int member, int members) override;
  void clear(const Member& me);
  void run_head(const Member& me);
  void head_chunk(const Member& me, const Chunk& chunk);
  void run_slot(const Member& me, int64_t layer, int64_t direction);
  void load_slot(const Member& me, int64_t slot);
  void store_slot(const Member& me, int64_t slot);
  void prepare(const Member& me, const Chunk& chunk);
  void recompute(const Member& me, const Chunk& chunk);
  void recompute_scans(const Member& me, const Chunk& chunk);
  void gather_states(const Member& me, const Chunk& chunk);
  void step(const Member& me, const Chunk& chunk, int64_t s);
  void clear_padding(const BackwardStep& step, int64_t end_group, int64_t place) const;
  void through_reset(const Member& me, const Chunk& chunk, int64_t s, const BackwardStep& step);
  void chunk_products(const Member& me, const Chunk& chunk);
  void input_gradient(const Member& me, const Chunk& chunk);
  void add_input_gradient(const Chunk& chunk, const Range& columns);
  void store_weights(const Member& me, int64_t slot);
  void store_matrix(const Member& me, int32_t tensor, const Sums& sums, bool recurrent);
  void store_bias(int32_t tensor, bool recurrent);
  void store_head(const Member& me);

  Chunk chunk(const Member& me, int64_t layer, int64_t direction, int64_t first,
              int64_t steps) const;
  template <class F>
  void for_rows(const Chunk& chunk, F f) const;
  void pack_rows(const Member& me, Pack& pack, int count, int64_t columns) const;
  void transpose(const Member& me, int count, int64_t columns, double* sums) const;
  void add_products(const Member& me, const Pack& factor, int64_t begin, int64_t end,
                    const Sums& sums) const;
  const float* input_row(int64_t layer, int64_t t, int64_t row) const;
  const float* output_gradient(int64_t layer, int64_t t, int64_t row) const;
  float* layer_gradient(int64_t layer, int64_t t, int64_t row) const;
  const float* kept(const Chunk& chunk, int64_t s) const;
  const float* kept_scan(const Chunk& chunk, int64_t s) const;
  bool wants_input_gradient(int64_t layer) const;

  static Range part(const Member& me, int64_t count) {
    return {count * me.index / me.count, count * (me.index + 1) / me.count};
  }
  int64_t time(const Chunk& chunk, int64_t s, int64_t row) const {
    return chunk.direction == 1 ? batch_.length(row) - 1 - s : s;
  }

  Model& model_;
  const Spec& spec_;
  const Kernels& kernels_;
  const CellKernels& cell_;
  const GradientRow& places_;
  const Tape& tape_;
  const Batch& batch_;
  const Masks& masks_;
  Barrier barrier_;
  int64_t max_steps_, max_batch_, chunk_rows_, stride_;
  std::vector<Member> members_;
  std::vector<int64_t> tensors_;  // where each tensor's values begin among all
  LastForward last_;
  gf_io io_ = {};        // of the forward pass
  gf_gradients g_ = {};  // of the call that runs

  float* layers_[2] = {};     // [T, max_batch, D*H] by results of layers, by turns
  float* zeros_ = nullptr;    // [max(H, stride)]
  float* dh_ = nullptr;       // [max_batch, stride]
  float* dc_ = nullptr;       // [max_batch, padded]
  float* d_gated_ = nullptr;  // [max_batch, stride]
  float* dscan_ = nullptr;    // [max_batch, scans, padded]
  float* da_ = nullptr;       // [chunk rows, GradientRow]
  float* gated_ = nullptr;    // [chunk rows, padded]
  float* scan_ = nullptr;     // [chunk rows, scans, 2, padded]
  float* dx_ = nullptr;       // [chunk rows, dx_stride]
  int64_t dx_stride_ = 0;
  float* transposed_ = nullptr;       // [columns of gradients, chunk rows]
  Pack input_, hidden_, gated_pack_;  // what the gradients are multiplied with, as packs
  Sums weight_ih_, weight_hh_, head_;
  double* bias_ = nullptr;       // [GradientRow]
  double* head_bias_ = nullptr;  // [O]

  // To compute pre-activations again.
  float* h_ = nullptr;               // [chunk rows, padded]
  float* c_ = nullptr;               // the same
  float* spare_h_ = nullptr;         // the same, results that are known already
  float* spare_c_ = nullptr;         // the same
  float* reset_ = nullptr;           // the same
  float* projected_ = nullptr;       // [chunk rows, row of LayerWeights::input]
  float* projected_scan_ = nullptr;  // [chunk rows, row of LayerWeights::scan_input]
  float* kept_ = nullptr;            // [chunk rows, kept row]
  float* kept_scan_ = nullptr;       // [chunk rows, scan row]
};

}  // namespace gatefuse::cpu
