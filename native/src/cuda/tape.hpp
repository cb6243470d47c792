// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "cuda/device.hpp"
#include "cuda/model.hpp"
#include "cuda/product.cuh"
#include "gatefuse.h"
#include "spec.hpp"

namespace gatefuse::cuda {

// A call's input as the kernels see it.
struct CallInput {
  Sequences sequences;
  const float* x;         // null where there are tokens
  const int32_t* tokens;  // null where there is x
};

// What the layers of a call hand on: their results, and, where a way back follows, the states and
// pre-activations of all steps. Rows are places, of which each step of a call has B.
class Tape {
 public:
  Tape(const Model& model, DeviceArena& arena, cudaStream_t stream,
       const gf_session_options& options);

  void begin(const CallInput& call) { call_ = call; }
  const CallInput& call() const { return call_; }

  bool keeps_states() const { return mode_ != GF_BACKWARD_NONE; }
  bool keeps_pre_activations() const { return mode_ == GF_BACKWARD_STORE; }

  // h and c before step s, that is after s steps: [B, H]; null where they are not kept.
  float* hidden(int64_t slot, int64_t s) const { return state(h_, slot, s); }
  float* cell(int64_t slot, int64_t s) const { return state(c_, slot, s); }

  // Pre-activations of step s, [B, rows of LayerWeights::input]; null where they are not kept. The
  // recurrent part of a candidate whose parts are apart is [B, H].
  float* pre_activations(int64_t slot, int64_t s) const {
    return kept_ == nullptr ? nullptr : kept_ + (slot * max_steps_ + s) * batch() * rows_;
  }
  float* candidate(int64_t slot, int64_t s) const {
    return candidate_ == nullptr ? nullptr
                                 : candidate_ + (slot * max_steps_ + s) * batch() * hidden_;
  }

  // Results of a layer but the last, [T, B, D*H] by the caller's place.
  float* between(int64_t layer) const {
    return between_ + layer % between_depth_ * max_steps_ * max_batch_ * width_;
  }
  // The rows that go into a layer.
  Rows input_rows(int64_t layer, const Pass& pass) const;

 private:
  int64_t batch() const { return call_.sequences.batch; }
  float* state(float* of, int64_t slot, int64_t s) const {
    return of == nullptr ? nullptr : of + (slot * (max_steps_ + 1) + s) * batch() * hidden_;
  }

  const Model& model_;
  int32_t mode_;  // GF_BACKWARD_*
  int64_t max_steps_, max_batch_, hidden_, width_, rows_;
  int64_t between_depth_;
  float* between_ = nullptr;
  float* h_ = nullptr;          // [slots, T + 1, B, H]
  float* c_ = nullptr;          // the same
  float* kept_ = nullptr;       // [slots, T, B, rows]
  float* candidate_ = nullptr;  // [slots, T, B, H]
  CallInput call_ = {};
};

}  // namespace gatefuse::cuda
