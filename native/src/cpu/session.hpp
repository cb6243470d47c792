// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "batch.hpp"
#include "cpu/memory.hpp"
#include "cpu/backward.hpp"
#include "cpu/masks.hpp"
#include "cpu/model.hpp"
#include "cpu/tape.hpp"
#include "cpu/team.hpp"
#include "gatefuse.h"

namespace gatefuse::cpu {

// Runs a model's sequences.
//
// The rows of a batch are sorted by length (see Batch) and cut into blocks, which run one after
// another from their first step to their last: a block's states and projections stay in the L2
// cache, and there is a workspace for one block alone. Where a backward pass is to follow, the
// batch is one block. In what follows, rows are those of a block. Every member of the team owns a
// range of units for the whole sequence, so that its part of the weights stays in its own cache;
// after each step the members meet.
//
// Time is cut twice: into segments, for which all layers and the head are run before the next (one
// direction only; the reverse direction needs the whole), and those into chunks, whose input
// projections are made at once. Steps of many rows need no chunks: each projects its own input.
class Session final : private Job {
 public:
  enum Memory { kTaken, kMeasured };
  // kMeasured: for bytes() alone.
  Session(Model& model, const gf_session_options& options, Memory memory = kTaken);

  void forward(const gf_io& io);
  void backward(const gf_gradients& gradients);
  void path(char* text, int64_t capacity) const;
  int64_t bytes() const { return arena_.bytes(); }

 private:
  // A member's part of the team's work, and its scratch.
  struct Member {
    int index;
    int count;
    float* scratch;
    const float** in;      // [chunk rows or head rows]
    float** out;           // the same
    float* x_sums;         // [max rows, width, W], where steps project their input; else null
    const float** x_rows;  // [max rows], the rows of x_sums
    float* logits;         // [head rows, head row]
    uint32_t* words;  // of the rows of a product, in shorter precisions than float32; else null
  };
  struct Range {
    int64_t begin, end;
  };
  // A layer and direction within a segment.
  struct Pass {
    int64_t layer, direction;
    int64_t first, steps;  // the segment
    const LayerWeights* weights;
    bool reverse() const { return direction == 1; }
  };
  // Steps whose input projections are made at once, of the rows that run at the first of them.
  struct Chunk {
    int64_t begin, end;
    int64_t rows;
  };

  void take_words();
  void take_x_sums(Member& member);
  void check(const gf_io& io) const;
  std::string choices() const;
  int64_t work_of_row() const;
  int64_t rows_for_members(int64_t members) const;
  int members_for_work() const;

  void run(int member, int members) override;
  void load_state(const Member& me);
  void store_state(const Member& me);
  void store_output(const Member& me);
  void run_pass(const Member& me, const Pass& pass);
  void project(const Member& me, const Pass& pass, const Chunk& chunk);
  bool has_table(const Pass& pass) const;
  bool projects_within(const Member& me, const Pass& pass, int rows) const;
  void step(const Member& me, const Pass& pass, int64_t s, const Chunk& chunk, int rows);
  void run_head(const Member& me, int64_t first, int64_t steps);
  void head_rows(const Member& me, const int64_t* places, int count);
  void settle(const Member& me, int64_t first, int64_t steps);
  void clear_tails(const Member& me);

  static Range part(const Member& me, int64_t count) {
    return {count * me.index / me.count, count * (me.index + 1) / me.count};
  }
  // The time at which a row takes its step s.
  int64_t time(const Pass& pass, int64_t s, int64_t row) const {
    return pass.reverse() ? batch_.length(row) - 1 - s : s;
  }
  // Where a row's final states are: its own step's, or moved there at the end of each segment.
  int64_t final_step(int64_t row) const { return tape_.keeps_all() ? batch_.length(row) : 0; }
  const float* input_row(const Pass& pass, int64_t t, int64_t row) const;
  float* output_row(const Pass& pass, int64_t t, int64_t row) const;
  bool writes_output(const Pass& pass) const;

  Model& model_;
  const Spec& spec_;
  const Kernels& kernels_;
  Arena arena_;
  Barrier barrier_;
  int64_t max_steps_, max_batch_;
  const gf_session_options block_options_;  // the session's with a block as the batch
  int64_t max_rows_;                        // of a block
  int64_t segment_, chunk_rows_;
  Tape tape_;
  int asked_threads_, threads_;
  std::vector<Member> members_;
  float* projected_ = nullptr;  // [chunk rows, row of LayerWeights::input]
  float* projected_scan_ = nullptr;
  float* pre_scan_ = nullptr;  // [max_rows, row of LayerWeights::scan_recurrent]
  float* scan_ = nullptr;      // [max_rows, scans, 2, padded]
  float* reset_ = nullptr;     // [max_rows, padded]
  Batch batch_;
  StateRows states_;
  Masks masks_;
  gf_io io_ = {};  // of the call that runs, or has run
  std::unique_ptr<Backward> backward_;
};

}  // namespace gatefuse::cpu
