// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace gatefuse {

// What a mask of a layer in one direction is drawn by, for all times, rows and units: see
// random.hpp. In a header of its own, for units that have no random words and those that have.
struct MaskDraw {
  uint32_t key[2];
  uint32_t threshold;
  float below;  // the value of an element whose word is below the threshold
  float above;  // and of any other
};

}  // namespace gatefuse
