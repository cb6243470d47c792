// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// Tied LSTM whose forget gate is a cumulative softmax over the units: f = cumax(a_f).
struct LstmCumax {
  static constexpr Block kBlocks[] = {{"forget", true}, {"candidate"}, {"output"}};
  static constexpr bool kCellState = true;
  static constexpr bool kCandidateApart = false;
  static constexpr bool kResetBefore = false;
  enum { kCandidate, kOutput };
  enum { kForget };  // scan

  template <class A, class V>
  static GF_INLINE void forward(const A& a, const Gate<V>* scan, V& c, V& h) {
    c = mix(scan[kForget], c, a.candidate(tanh(a[kCandidate])));
    h = output(a[kOutput], c);
  }

  template <class A, class V>
  static GF_INLINE void backward(const A& a, const Gate<V>* scan, const StepStates<V>& s, V dh,
                                 V& dc, StepGradients<V>& d) {
    d.a[kOutput] = output_gradient(a[kOutput], s.c_next, dh, dc);
    const MixGradients<V> m =
        mix_gradients(scan[kForget], s.c, a.candidate(tanh_curve(a[kCandidate])), dc);
    d.scan[kForget] = m.gate;
    d.a[kCandidate] = m.candidate;
  }
};

}  // namespace
}  // namespace gatefuse
