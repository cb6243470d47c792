// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// Refine GRU with reset before the product.
struct GruRefineResetBefore {
  static constexpr Block kBlocks[] = {{"reset"}, {"update"}, {"candidate"}, {"refine"}};
  static constexpr bool kCellState = false;
  static constexpr bool kResetBefore = true;
  enum { kReset, kUpdate, kCandidate, kRefine };

  template <class V>
  static GF_INLINE V reset(const PreActivations<V>& a, V h) {
    return sigmoid(a[kReset]) * h;
  }

  template <class V>
  static GF_INLINE void forward(const PreActivations<V>& a, const Gate<V>*, V&, V& h) {
    h = mix(refine(sigmoid_pair(a[kUpdate]), sigmoid_pair(a[kRefine])), h, tanh(a[kCandidate]));
  }
};

}  // namespace
}  // namespace gatefuse
