// SPDX-License-Identifier: Apache-2.0
//
// What the masks of a call are drawn by, forwards and again backwards: nothing of them is kept.
#pragma once

#include <cstdint>

#include "gatefuse.h"
#include "mask_draw.hpp"
#include "regularization.hpp"
#include "spec.hpp"

namespace gatefuse::cuda {

// The masks of steps, of all kinds: see cells/regularized.hpp.
struct StepMasks {
  bool any;  // else the steps are those of kernels without masks
  MaskDraw candidate;
  MaskDraw zoneout_h;
  MaskDraw zoneout_c;
};

// The same as persistent kernels read them, where draws would take registers.
struct StoredMasks {
  const uint8_t* bits;  // see store_masks; null: no masks
  MaskDraw candidate;
  MaskDraw zoneout_h;
  MaskDraw zoneout_c;
};

class Draws {
 public:
  Draws(const Spec& spec, const gf_session_options& options) : spec_(spec), rates_(spec, options) {}

  const Regularization& rates() const { return rates_; }

  // Takes over what a call says of its draws.
  void take(const gf_io& io);

  // Whether that call drops what a layer gives to the next one, and by which mask.
  bool drops(int64_t layer) const;
  MaskDraw of_results(int64_t slot) const;

  StepMasks of_steps(int64_t slot) const;

 private:
  // kind: one of MaskKind, which units with kernels include in their own way.
  MaskDraw dropped(int kind, double rate, int64_t slot) const;
  MaskDraw zoned_out(int kind, double rate, int64_t slot) const;
  MaskDraw drawn(int kind, double rate, int64_t slot, float below, float above) const;

  const Spec& spec_;
  const Regularization rates_;
  bool training_ = false;
  uint64_t draw_ = 0;
};

}  // namespace gatefuse::cuda
