// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// LSTM whose input gate is 1 - f: c = f c + (1-f) u.
struct LstmTied {
  static constexpr Block kBlocks[] = {{"forget"}, {"candidate"}, {"output"}};
  static constexpr bool kCellState = true;
  static constexpr bool kCandidateApart = false;
  static constexpr bool kResetBefore = false;
  enum { kForget, kCandidate, kOutput };

  template <class A, class V>
  static GF_INLINE void forward(const A& a, const Gate<V>*, V& c, V& h) {
    c = mix(sigmoid_pair(a[kForget]), c, a.candidate(tanh(a[kCandidate])));
    h = output(a[kOutput], c);
  }

  template <class A, class V>
  static GF_INLINE void backward(const A& a, const Gate<V>*, const StepStates<V>& s, V dh, V& dc,
                                 StepGradients<V>& d) {
    const Gate<V> f = sigmoid_pair(a[kForget]);
    d.a[kOutput] = output_gradient(a[kOutput], s.c_next, dh, dc);
    const MixGradients<V> m = mix_gradients(f, s.c, a.candidate(tanh_curve(a[kCandidate])), dc);
    d.a[kForget] = m.gate * slope(f);
    d.a[kCandidate] = m.candidate;
  }
};

}  // namespace
}  // namespace gatefuse
