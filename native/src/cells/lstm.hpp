// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// The standard LSTM: c = f c + i u, h = o tanh(c).
struct Lstm {
  static constexpr Block kBlocks[] = {{"input"}, {"forget"}, {"candidate"}, {"output"}};
  static constexpr bool kCellState = true;
  static constexpr bool kResetBefore = false;
  enum { kInput, kForget, kCandidate, kOutput };

  template <class V>
  static GF_INLINE void forward(const PreActivations<V>& a, const Gate<V>*, V& c, V& h) {
    c = fma(sigmoid(a[kForget]), c, sigmoid(a[kInput]) * tanh(a[kCandidate]));
    h = sigmoid(a[kOutput]) * tanh(c);
  }
};

}  // namespace
}  // namespace gatefuse
