// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// LSTM with a cumulative softmax forget gate and a refine gate on it: g = refine(cumax(a_f), r).
struct LstmCumaxRefine {
  static constexpr Block kBlocks[] = {{"refine"}, {"forget", true}, {"candidate"}, {"output"}};
  static constexpr bool kCellState = true;
  static constexpr bool kCandidateApart = false;
  static constexpr bool kResetBefore = false;
  enum { kRefine, kCandidate, kOutput };
  enum { kForget };  // scan

  template <class A, class V>
  static GF_INLINE void forward(const A& a, const Gate<V>* scan, V& c, V& h) {
    c = mix(refine(scan[kForget], sigmoid_pair(a[kRefine])), c, a.candidate(tanh(a[kCandidate])));
    h = output(a[kOutput], c);
  }

  template <class A, class V>
  static GF_INLINE void backward(const A& a, const Gate<V>* scan, const StepStates<V>& s, V dh,
                                 V& dc, StepGradients<V>& d) {
    const Gate<V> f = scan[kForget];
    const Gate<V> r = sigmoid_pair(a[kRefine]);
    const RefineSlopes<V> by = refine_slopes(f, r);
    d.a[kOutput] = output_gradient(a[kOutput], s.c_next, dh, dc);
    const MixGradients<V> m =
        mix_gradients(refine(f, r), s.c, a.candidate(tanh_curve(a[kCandidate])), dc);
    d.scan[kForget] = m.gate * by.f;
    d.a[kRefine] = m.gate * by.r * slope(r);
    d.a[kCandidate] = m.candidate;
  }
};

}  // namespace
}  // namespace gatefuse
