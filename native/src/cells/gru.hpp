// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// The standard GRU, reset after the product: u = tanh(Wx+b + reset (Rh+b')), h = z h + (1-z) u.
struct Gru {
  static constexpr Block kBlocks[] = {{"reset"}, {"update"}, {"candidate"}};
  static constexpr bool kCellState = false;
  static constexpr bool kCandidateApart = true;
  static constexpr bool kResetBefore = false;
  enum { kReset, kUpdate, kCandidate };

  template <class A, class V>
  static GF_INLINE void forward(const A& a, const Gate<V>*, V&, V& h) {
    const V u = a.candidate(tanh(fma(sigmoid(a[kReset]), a.h[kCandidate], a.x[kCandidate])));
    h = mix(sigmoid_pair(a[kUpdate]), h, u);
  }

  template <class A, class V>
  static GF_INLINE void backward(const A& a, const Gate<V>*, const StepStates<V>& s, V dh, V&,
                                 StepGradients<V>& d) {
    const Gate<V> reset = sigmoid_pair(a[kReset]);
    const Gate<V> z = sigmoid_pair(a[kUpdate]);
    const Curve<V> u = a.candidate(tanh_curve(fma(reset.value, a.h[kCandidate], a.x[kCandidate])));
    d.h = dh;
    const MixGradients<V> m = mix_gradients(z, s.h, u, d.h);
    d.a[kUpdate] = m.gate * slope(z);
    d.a[kCandidate] = m.candidate;
    d.candidate = m.candidate * reset.value;
    d.a[kReset] = m.candidate * a.h[kCandidate] * slope(reset);
  }
};

}  // namespace
}  // namespace gatefuse
