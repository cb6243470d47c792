// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// LSTM with a refine gate (Gu et al. 2020, section 3.2): g = refine(f, r), c = g c + (1-g) u.
struct LstmRefine {
  static constexpr Block kBlocks[] = {{"refine"}, {"forget"}, {"candidate"}, {"output"}};
  static constexpr bool kCellState = true;
  static constexpr bool kCandidateApart = false;
  static constexpr bool kResetBefore = false;
  enum { kRefine, kForget, kCandidate, kOutput };

  template <class A, class V>
  static GF_INLINE void forward(const A& a, const Gate<V>*, V& c, V& h) {
    const Gate<V> g = refine(sigmoid_pair(a[kForget]), sigmoid_pair(a[kRefine]));
    c = mix(g, c, a.candidate(tanh(a[kCandidate])));
    h = output(a[kOutput], c);
  }

  template <class A, class V>
  static GF_INLINE void backward(const A& a, const Gate<V>*, const StepStates<V>& s, V dh, V& dc,
                                 StepGradients<V>& d) {
    const Gate<V> f = sigmoid_pair(a[kForget]);
    const Gate<V> r = sigmoid_pair(a[kRefine]);
    const RefineSlopes<V> by = refine_slopes(f, r);
    d.a[kOutput] = output_gradient(a[kOutput], s.c_next, dh, dc);
    const MixGradients<V> m =
        mix_gradients(refine(f, r), s.c, a.candidate(tanh_curve(a[kCandidate])), dc);
    d.a[kForget] = m.gate * by.f * slope(f);
    d.a[kRefine] = m.gate * by.r * slope(r);
    d.a[kCandidate] = m.candidate;
  }
};

}  // namespace
}  // namespace gatefuse
