// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// The standard GRU, reset after the product: u = tanh(Wx+b + reset (Rh+b')), h = z h + (1-z) u.
struct Gru {
  static constexpr Block kBlocks[] = {{"reset"}, {"update"}, {"candidate"}};
  static constexpr bool kCellState = false;
  static constexpr bool kResetBefore = false;
  enum { kReset, kUpdate, kCandidate };

  template <class V>
  static GF_INLINE void forward(const PreActivations<V>& a, const Gate<V>*, V&, V& h) {
    const V u = tanh(fma(sigmoid(a[kReset]), a.h[kCandidate], a.x[kCandidate]));
    h = mix(sigmoid_pair(a[kUpdate]), h, u);
  }
};

}  // namespace
}  // namespace gatefuse
