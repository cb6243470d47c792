// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// GRU with a refine gate on its update gate: g = refine(z, r) in place of z.
struct GruRefine {
  static constexpr Block kBlocks[] = {{"reset"}, {"update"}, {"candidate"}, {"refine"}};
  static constexpr bool kCellState = false;
  static constexpr bool kCandidateApart = true;
  static constexpr bool kResetBefore = false;
  enum { kReset, kUpdate, kCandidate, kRefine };

  template <class A, class V>
  static GF_INLINE void forward(const A& a, const Gate<V>*, V&, V& h) {
    const V u = a.candidate(tanh(fma(sigmoid(a[kReset]), a.h[kCandidate], a.x[kCandidate])));
    h = mix(refine(sigmoid_pair(a[kUpdate]), sigmoid_pair(a[kRefine])), h, u);
  }

  template <class A, class V>
  static GF_INLINE void backward(const A& a, const Gate<V>*, const StepStates<V>& s, V dh, V&,
                                 StepGradients<V>& d) {
    const Gate<V> reset = sigmoid_pair(a[kReset]);
    const Gate<V> z = sigmoid_pair(a[kUpdate]);
    const Gate<V> r = sigmoid_pair(a[kRefine]);
    const RefineSlopes<V> by = refine_slopes(z, r);
    const Curve<V> u = a.candidate(tanh_curve(fma(reset.value, a.h[kCandidate], a.x[kCandidate])));
    d.h = dh;
    const MixGradients<V> m = mix_gradients(refine(z, r), s.h, u, d.h);
    d.a[kUpdate] = m.gate * by.f * slope(z);
    d.a[kRefine] = m.gate * by.r * slope(r);
    d.a[kCandidate] = m.candidate;
    d.candidate = m.candidate * reset.value;
    d.a[kReset] = m.candidate * a.h[kCandidate] * slope(reset);
  }
};

}  // namespace
}  // namespace gatefuse
