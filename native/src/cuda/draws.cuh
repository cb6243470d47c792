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

}  // namespace
}  // namespace gatefuse::cuda
