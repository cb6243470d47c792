// SPDX-License-Identifier: Apache-2.0
#include "cpu/masks.hpp"

#include <algorithm>

namespace gatefuse::cpu {

Masks::Masks(const Model& model, const gf_session_options& options, const Batch& batch,
             Arena& arena)
    : spec_(model.spec()),
      kernels_(model.kernels()),
      batch_(batch),
      padded_(model.layer(0).padded),
      rates_(spec_, options) {
  const int64_t rows = options.max_batch;
  output_ = mask(kDropoutMask, rates_.dropout, true, rows, arena);
  candidate_ = mask(kRecurrentDropoutMask, rates_.recurrent_dropout, true, rows, arena);
  zoneout_h_ = mask(kZoneoutHMask, rates_.zoneout_h, false, rows, arena);
  zoneout_c_ = mask(kZoneoutCMask, rates_.zoneout_c, false, rows, arena);
}

// scales: dropped elements are 0 and the others make up for them; else it is a share.
Masks::Mask Masks::mask(MaskKind kind, double rate, bool scales, int64_t max_batch,
                        Arena& arena) const {
  Mask mask = {kind, rate, scales ? 0.0f : 1.0f, scales ? static_cast<float>(1 / (1 - rate)) : 0.0f,
               nullptr};
  if (rate > 0) mask.values = arena.take<float>("session masks", max_batch, padded_);
  return mask;
}

void Masks::take(const gf_io& io) {
  training_ = io.training != 0;
  draw_ = io.draw;
}

StepMasks Masks::make(int64_t slot, int64_t s, int rows, int64_t begin, int64_t end) const {
  const auto filled = [&](const Mask& mask, bool wanted) {
    return wanted && mask.values != nullptr ? fill(mask, slot, s, rows, begin, end) : nullptr;
  };
  const bool last = slot / spec_.directions == spec_.layers - 1;
  return {filled(output_, training_ && !last), filled(candidate_, training_),
          filled(zoneout_h_, true), filled(zoneout_c_, true)};
}

const float* Masks::fill(const Mask& mask, int64_t slot, int64_t s, int rows, int64_t begin,
                         int64_t end) const {
  const Key key = mask_key(rates_.seed, draw_, mask.kind, slot);
  const MaskDraw draw = {
      {key.word[0], key.word[1]}, mask_threshold(mask.rate), mask.below, mask.above};
  const bool reverse = slot % spec_.directions == 1;
  for (int64_t row = 0; row < rows; ++row) {
    float* values = mask.values + row * padded_;
    if (!training_) {
      std::fill(values + begin, values + end, static_cast<float>(mask.rate));
      continue;
    }
    const int64_t time = reverse ? batch_.length(row) - 1 - s : s;
    kernels_.draw(draw, static_cast<uint32_t>(time), static_cast<uint32_t>(batch_.callers_row(row)),
                  begin, end, values + begin);
  }
  return mask.values;
}

}  // namespace gatefuse::cpu
