// SPDX-License-Identifier: Apache-2.0
#include "cuda/draws.hpp"

#include "random.hpp"

namespace gatefuse::cuda {
namespace {

MaskDraw everywhere(float value) { return {{}, 0, value, value}; }

}  // namespace

void Draws::take(const gf_io& io) {
  training_ = io.training != 0;
  draw_ = io.draw;
}

bool Draws::drops(int64_t layer) const {
  return training_ && rates_.dropout > 0 && layer < spec_.layers - 1;
}

MaskDraw Draws::of_results(int64_t slot) const {
  return dropped(kDropoutMask, rates_.dropout, slot);
}

StepMasks Draws::of_steps(int64_t slot) const {
  return {training_ ? rates_.in_steps() : rates_.zones_out(),
          dropped(kRecurrentDropoutMask, rates_.recurrent_dropout, slot),
          zoned_out(kZoneoutHMask, rates_.zoneout_h, slot),
          zoned_out(kZoneoutCMask, rates_.zoneout_c, slot)};
}

// Dropped elements are 0 and the others make up for them.
MaskDraw Draws::dropped(int kind, double rate, int64_t slot) const {
  if (!training_ || rate == 0) return everywhere(1);
  return drawn(kind, rate, slot, 0, static_cast<float>(1 / (1 - rate)));
}

// The share of the state before the step.
MaskDraw Draws::zoned_out(int kind, double rate, int64_t slot) const {
  if (!training_ || rate == 0) return everywhere(static_cast<float>(rate));
  return drawn(kind, rate, slot, 1, 0);
}

MaskDraw Draws::drawn(int kind, double rate, int64_t slot, float below, float above) const {
  const Key key = mask_key(rates_.seed, draw_, static_cast<MaskKind>(kind), slot);
  return {{key.word[0], key.word[1]}, mask_threshold(rate), below, above};
}

}  // namespace gatefuse::cuda
