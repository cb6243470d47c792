// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// Refine GRU with reset before the product.
struct GruRefineResetBefore {
  static constexpr Block kBlocks[] = {{"reset"}, {"update"}, {"candidate"}, {"refine"}};
  static constexpr bool kCellState = false;
  static constexpr bool kCandidateApart = false;
  static constexpr bool kResetBefore = true;
  enum { kReset, kUpdate, kCandidate, kRefine };

  template <class V>
  static GF_INLINE V reset(const PreActivations<V>& a, V h) {
    return sigmoid(a[kReset]) * h;
  }

  template <class A, class V>
  static GF_INLINE void forward(const A& a, const Gate<V>*, V&, V& h) {
    h = mix(refine(sigmoid_pair(a[kUpdate]), sigmoid_pair(a[kRefine])), h,
            a.candidate(tanh(a[kCandidate])));
  }

  template <class A, class V>
  static GF_INLINE void backward(const A& a, const Gate<V>*, const StepStates<V>& s, V dh, V&,
                                 StepGradients<V>& d) {
    const Gate<V> z = sigmoid_pair(a[kUpdate]);
    const Gate<V> r = sigmoid_pair(a[kRefine]);
    const RefineSlopes<V> by = refine_slopes(z, r);
    d.h = dh;
    const MixGradients<V> m =
        mix_gradients(refine(z, r), s.h, a.candidate(tanh_curve(a[kCandidate])), d.h);
    d.a[kUpdate] = m.gate * by.f * slope(z);
    d.a[kRefine] = m.gate * by.r * slope(r);
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
