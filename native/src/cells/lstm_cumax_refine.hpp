// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// LSTM with a cumulative softmax forget gate and a refine gate on it: g = refine(cumax(a_f), r).
struct LstmCumaxRefine {
  static constexpr Block kBlocks[] = {{"refine"}, {"forget", true}, {"candidate"}, {"output"}};
  static constexpr bool kCellState = true;
  static constexpr bool kResetBefore = false;
  enum { kRefine, kCandidate, kOutput };
  enum { kForget };  // scan

  template <class V>
  static GF_INLINE void forward(const PreActivations<V>& a, const Gate<V>* scan, V& c, V& h) {
    c = mix(refine(scan[kForget], sigmoid_pair(a[kRefine])), c, tanh(a[kCandidate]));
    h = sigmoid(a[kOutput]) * tanh(c);
  }
};

}  // namespace
}  // namespace gatefuse
