// SPDX-License-Identifier: Apache-2.0
//
// Masks as kernels draw them. The cells come first: they make the random words device functions.
#pragma once

#include <cstdint>

#include "cuda/lane.cuh"

#include "cells/regularized.hpp"
#include "cuda/draws.hpp"
#include "cuda/sequences.cuh"
#include "random.hpp"

namespace gatefuse::cuda {
namespace {

GF_DEVICE Words draw_words(const MaskDraw& draw, int32_t block, int32_t time, int32_t callers_row) {
  return mask_words({{draw.key[0], draw.key[1]}}, static_cast<uint32_t>(block),
                    static_cast<uint32_t>(time), static_cast<uint32_t>(callers_row));
}

GF_DEVICE float mask_value(const MaskDraw& draw, uint32_t word) {
  return word < draw.threshold ? draw.below : draw.above;
}

GF_DEVICE Lane draw_mask(const MaskDraw& draw, int32_t time, int32_t callers_row, int32_t unit) {
  if (draw.below == draw.above) return {draw.above};  // a mean, or no mask of this kind
  const Words words = draw_words(draw, unit / kUnitsOfWords, time, callers_row);
  // Not by its number: an array that is indexed so goes into local memory.
  const auto [first, second, third, fourth] = words.word;
  const uint32_t even = unit % kUnitsOfWords < 2 ? first : third;
  const uint32_t odd = unit % kUnitsOfWords < 2 ? second : fourth;
  return {mask_value(draw, unit % 2 == 0 ? even : odd)};
}

// Of a unit of a row in step s.
GF_DEVICE Masks<Lane> draw_masks(const StepMasks& masks, const Pass& pass, int32_t s, int32_t row,
                                 int32_t unit) {
  const int32_t time = pass.time(s, row);
  const int32_t callers_row = pass.sequences.callers_row(row);
  return {draw_mask(masks.candidate, time, callers_row, unit),
          draw_mask(masks.zoneout_h, time, callers_row, unit),
          draw_mask(masks.zoneout_c, time, callers_row, unit)};
}

// A stored unit's bits say of each kind whether its word is below the threshold.
enum { kCandidateBit, kZoneoutHBit, kZoneoutCBit };

GF_DEVICE Lane stored_mask(const MaskDraw& draw, unsigned bits, int bit) {
  return {(bits >> bit & 1u) != 0 ? draw.below : draw.above};
}

// Of the unit with this number among those of all rows and steps.
GF_DEVICE Masks<Lane> load_masks(const StoredMasks& masks, int64_t unit) {
  const unsigned bits = masks.bits[unit];
  return {stored_mask(masks.candidate, bits, kCandidateBit),
          stored_mask(masks.zoneout_h, bits, kZoneoutHBit),
          stored_mask(masks.zoneout_c, bits, kZoneoutCBit)};
}

// A cell with masks around its step where there are some, else as it is: a factor of one changes no
// candidate, but shares of zero would change infinite states and the sign of zeros. The cell is
// written out once, where Regularized beside it would be twice.
template <class Cell>
struct Masked {
  const StoredMasks& stored;
  int64_t unit;

  GF_DEVICE Masks<Lane> masks() const {
    if (stored.bits == nullptr) return {{1.0f}, {0.0f}, {0.0f}};
    return load_masks(stored, unit);
  }

  GF_DEVICE void forward(const PreActivations<Lane>& a, const Gate<Lane>* scan, Lane& c,
                         Lane& h) const {
    const Masks<Lane> m = masks();
    Lane own_c = c;
    Lane own_h = h;
    Cell::forward(DroppedPreActivations<Lane>{a, m.candidate}, scan, own_c, own_h);
    const bool any = stored.bits != nullptr;
    if constexpr (Cell::kCellState) c = any ? zone_out(m.zoneout_c, c, own_c) : own_c;
    h = any ? zone_out(m.zoneout_h, h, own_h) : own_h;
  }

  GF_DEVICE void backward(const PreActivations<Lane>& a, const Gate<Lane>* scan, StepStates<Lane> s,
                          Lane dh, Lane& dc, StepGradients<Lane>& d) const {
    const Masks<Lane> m = masks();
    const DroppedPreActivations<Lane> dropped{a, m.candidate};
    Lane own_dh = dh;
    Lane own_dc = dc;
    const bool any = stored.bits != nullptr;
    if (any) {
      own_dh = (Lane::set(1.0f) - m.zoneout_h) * dh;
      if constexpr (Cell::kCellState) {
        Lane own_h = s.h;
        s.c_next = s.c;
        Cell::forward(dropped, scan, s.c_next, own_h);
        own_dc = (Lane::set(1.0f) - m.zoneout_c) * dc;
      }
    }
    Cell::backward(dropped, scan, s, own_dh, own_dc, d);
    if constexpr (Cell::kCellState) {
      dc = any ? fma(m.zoneout_c, dc, own_dc) : own_dc;
      d.h = m.zoneout_h * dh;
    } else if (any) {
      d.h = fma(m.zoneout_h, dh, d.h);
    }
  }
};

}  // namespace
}  // namespace gatefuse::cuda
