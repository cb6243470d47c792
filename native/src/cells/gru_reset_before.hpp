// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// GRU with reset before the product: u = tanh(Wx+b + R (reset h)+b').
struct GruResetBefore {
  static constexpr Block kBlocks[] = {{"reset"}, {"update"}, {"candidate"}};
  static constexpr bool kCellState = false;
  static constexpr bool kCandidateApart = false;
  static constexpr bool kResetBefore = true;
  enum { kReset, kUpdate, kCandidate };

  template <class V>
  static GF_INLINE V reset(const PreActivations<V>& a, V h) {
    return sigmoid(a[kReset]) * h;
  }

  template <class A, class V>
  static GF_INLINE void forward(const A& a, const Gate<V>*, V&, V& h) {
    h = mix(sigmoid_pair(a[kUpdate]), h, a.candidate(tanh(a[kCandidate])));
  }

  template <class A, class V>
  static GF_INLINE void backward(const A& a, const Gate<V>*, const StepStates<V>& s, V dh, V&,
                                 StepGradients<V>& d) {
    const Gate<V> z = sigmoid_pair(a[kUpdate]);
    d.h = dh;
    const MixGradients<V> m = mix_gradients(z, s.h, a.candidate(tanh_curve(a[kCandidate])), d.h);
    d.a[kUpdate] = m.gate * slope(z);
    d.a[kCandidate] = m.candidate;
  }

  // From the gradient by reset * h: adds to that by h.
  template <class V>
  static GF_INLINE void reset_backward(const PreActivations<V>& a, V h, V d_gated,
                                       StepGradients<V>& d) {
    const Gate<V> reset = sigmoid_pair(a[kReset]);
    d.a[kReset] = d_gated * h * slope(reset);
    d.h = fma(d_gated, reset.value, d.h);
  }
};

}  // namespace
}  // namespace gatefuse
