// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "batch.hpp"
#include "cpu/kernels.hpp"
#include "cpu/memory.hpp"
#include "cpu/model.hpp"
#include "gatefuse.h"
#include "random.hpp"
#include "regularization.hpp"

namespace gatefuse::cpu {

// The masks of a session's steps, forwards and again backwards: nothing of them is kept. There is
// memory for one step, of which each member of a team writes and reads the units that it owns.
class Masks {
 public:
  Masks(const Model& model, const gf_session_options& options, const Batch& batch, Arena& arena);

  const Regularization& rates() const { return rates_; }

  // Takes over what a call says of its draws.
  void take(const gf_io& io);

  // Whether anything is done to that call.
  bool any() const { return training_ ? rates_.any() : rates_.zones_out(); }

  // Step s of a slot, for the first `rows` rows and the units begin .. end - 1: whole vectors.
  StepMasks make(int64_t slot, int64_t s, int rows, int64_t begin, int64_t end) const;

 private:
  struct Mask {
    MaskKind kind;
    double rate;
    float below, above;  // see MaskDraw
    float* values;       // [max_batch, padded]; null where the rate is 0
  };

  Mask mask(MaskKind kind, double rate, bool scales, int64_t max_batch, Arena& arena) const;
  const float* fill(const Mask& mask, int64_t slot, int64_t s, int rows, int64_t begin,
                    int64_t end) const;

  const Spec& spec_;
  const Kernels& kernels_;
  const Batch& batch_;
  const int64_t padded_;
  const Regularization rates_;
  bool training_ = false;
  uint64_t draw_ = 0;
  Mask output_, candidate_, zoneout_h_, zoneout_c_;
};

}  // namespace gatefuse::cpu
