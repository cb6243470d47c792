// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// GRU with a refine gate on its update gate: g = refine(z, r) in place of z.
struct GruRefine {
  static constexpr Block kBlocks[] = {{"reset"}, {"update"}, {"candidate"}, {"refine"}};
  static constexpr bool kCellState = false;
  static constexpr bool kResetBefore = false;
  enum { kReset, kUpdate, kCandidate, kRefine };

  template <class V>
  static GF_INLINE void forward(const PreActivations<V>& a, const Gate<V>*, V&, V& h) {
    const V u = tanh(fma(sigmoid(a[kReset]), a.h[kCandidate], a.x[kCandidate]));
    h = mix(refine(sigmoid_pair(a[kUpdate]), sigmoid_pair(a[kRefine])), h, u);
  }
};

}  // namespace
}  // namespace gatefuse
