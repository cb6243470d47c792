// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// GRU with reset before the product: u = tanh(Wx+b + R (reset h)+b').
struct GruResetBefore {
  static constexpr Block kBlocks[] = {{"reset"}, {"update"}, {"candidate"}};
  static constexpr bool kCellState = false;
  static constexpr bool kResetBefore = true;
  enum { kReset, kUpdate, kCandidate };

  template <class V>
  static GF_INLINE V reset(const PreActivations<V>& a, V h) {
    return sigmoid(a[kReset]) * h;
  }

  template <class V>
  static GF_INLINE void forward(const PreActivations<V>& a, const Gate<V>*, V&, V& h) {
    h = mix(sigmoid_pair(a[kUpdate]), h, tanh(a[kCandidate]));
  }
};

}  // namespace
}  // namespace gatefuse
