// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// The standard LSTM: c = f c + i u, h = o tanh(c).
struct Lstm {
  static constexpr Block kBlocks[] = {{"input"}, {"forget"}, {"candidate"}, {"output"}};
  static constexpr bool kCellState = true;
  static constexpr bool kCandidateApart = false;
  static constexpr bool kResetBefore = false;
  enum { kInput, kForget, kCandidate, kOutput };

  template <class A, class V>
  static GF_INLINE void forward(const A& a, const Gate<V>*, V& c, V& h) {
    c = fma(sigmoid(a[kForget]), c, sigmoid(a[kInput]) * a.candidate(tanh(a[kCandidate])));
    h = output(a[kOutput], c);
  }

  template <class A, class V>
  static GF_INLINE void backward(const A& a, const Gate<V>*, const StepStates<V>& s, V dh, V& dc,
                                 StepGradients<V>& d) {
    const Gate<V> i = sigmoid_pair(a[kInput]);
    const Gate<V> f = sigmoid_pair(a[kForget]);
    const Curve<V> u = a.candidate(tanh_curve(a[kCandidate]));
    d.a[kOutput] = output_gradient(a[kOutput], s.c_next, dh, dc);
    d.a[kInput] = dc * u.value * slope(i);
    d.a[kForget] = dc * s.c * slope(f);
    d.a[kCandidate] = dc * i.value * u.slope;
    dc = dc * f.value;
  }
};

}  // namespace
}  // namespace gatefuse
