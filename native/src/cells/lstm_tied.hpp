// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// LSTM whose input gate is 1 - f: c = f c + (1-f) u.
struct LstmTied {
  static constexpr Block kBlocks[] = {{"forget"}, {"candidate"}, {"output"}};
  static constexpr bool kCellState = true;
  static constexpr bool kResetBefore = false;
  enum { kForget, kCandidate, kOutput };

  template <class V>
  static GF_INLINE void forward(const PreActivations<V>& a, const Gate<V>*, V& c, V& h) {
    c = mix(sigmoid_pair(a[kForget]), c, tanh(a[kCandidate]));
    h = sigmoid(a[kOutput]) * tanh(c);
  }
};

}  // namespace
}  // namespace gatefuse
