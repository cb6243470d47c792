// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "batch.hpp"
#include "cpu/memory.hpp"
#include "cpu/model.hpp"
#include "gatefuse.h"

namespace gatefuse::cpu {

// The states of a session's steps and the results between its layers: for the forward pass only
// those that the next step needs, for a backward pass all of the call.
//
// Rows are places in the sorted batch, of which a step has max_batch. A state is `padded` long.
class Tape {
 public:
  // segment: the steps whose results between layers are there at a time.
  Tape(const Model& model, Arena& arena, const gf_session_options& options, int64_t segment);

  bool keeps_all() const { return mode_ != GF_BACKWARD_NONE; }
  bool keeps_pre_activations() const { return kept_ != nullptr; }

  // h and c before the i-th step of the segment, that is after i steps: [max_batch, padded].
  float* hidden(int64_t slot, int64_t i) const {
    return h_ + (slot * hidden_depth_ + i % hidden_depth_) * max_batch_ * padded_;
  }
  float* cell(int64_t slot, int64_t i) const {
    return c_ == nullptr ? nullptr
                         : c_ + (slot * cell_depth_ + i % cell_depth_) * max_batch_ * padded_;
  }
  int64_t padded() const { return padded_; }

  // Pre-activations of step s, [max_batch, kept_row]; null where they are not kept. Those of the
  // scans are [max_batch, scan_row].
  float* kept(int64_t slot, int64_t s) const {
    return kept_ == nullptr ? nullptr : kept_ + (slot * max_steps_ + s) * max_batch_ * kept_row_;
  }
  float* kept_scan(int64_t slot, int64_t s) const {
    return kept_scan_ == nullptr ? nullptr
                                 : kept_scan_ + (slot * max_steps_ + s) * max_batch_ * scan_row_;
  }
  int64_t kept_row() const { return kept_row_; }
  int64_t scan_row() const { return scan_row_; }

  // The result of a layer at the time t of the segment, [D*H].
  float* between(int64_t layer, int64_t t, int64_t row) const {
    return between_ + ((layer % between_depth_ * segment_ + t) * max_batch_ + row) * width_;
  }
  // Whether there is one of that layer.
  bool has_between(int64_t layer) const { return layer < between_layers_; }

 private:
  int32_t mode_;
  int64_t max_steps_, max_batch_, segment_, padded_, width_;
  int64_t hidden_depth_, cell_depth_, between_depth_, between_layers_;
  int64_t kept_row_, scan_row_;
  float* h_ = nullptr;
  float* c_ = nullptr;
  float* kept_ = nullptr;
  float* kept_scan_ = nullptr;
  float* between_ = nullptr;
};

}  // namespace gatefuse::cpu
