// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// The ON-LSTM (Shen et al. 2019): master gates mf = cumax, mi = 1 - cumax over a standard LSTM.
// With their overlap w = mf mi the update is c = (f w + mf - w) c + (i w + mi - w) u. Here mf - w
// and mi - w are written as products with the complements, so that nothing cancels.
struct Onlstm {
  static constexpr Block kBlocks[] = {{"input"},
                                      {"forget"},
                                      {"candidate"},
                                      {"output"},
                                      {"master_input", true},
                                      {"master_forget", true}};
  static constexpr bool kCellState = true;
  static constexpr bool kCandidateApart = false;
  static constexpr bool kResetBefore = false;
  enum { kInput, kForget, kCandidate, kOutput };
  enum { kMasterInput, kMasterForget };  // scans

  template <class A, class V>
  static GF_INLINE void forward(const A& a, const Gate<V>* scan, V& c, V& h) {
    const Gate<V> mf = scan[kMasterForget];
    const Gate<V> mi = {scan[kMasterInput].complement, scan[kMasterInput].value};
    const V keep = mf.value * fma(sigmoid(a[kForget]), mi.value, mi.complement);
    const V write = mi.value * fma(sigmoid(a[kInput]), mf.value, mf.complement);
    c = fma(keep, c, write * a.candidate(tanh(a[kCandidate])));
    h = output(a[kOutput], c);
  }

  template <class A, class V>
  static GF_INLINE void backward(const A& a, const Gate<V>* scan, const StepStates<V>& s, V dh,
                                 V& dc, StepGradients<V>& d) {
    const Gate<V> i = sigmoid_pair(a[kInput]);
    const Gate<V> f = sigmoid_pair(a[kForget]);
    const Curve<V> u = a.candidate(tanh_curve(a[kCandidate]));
    const Gate<V> mf = scan[kMasterForget];
    const Gate<V> mi = {scan[kMasterInput].complement, scan[kMasterInput].value};
    const V keep = fma(f.value, mi.value, mi.complement);   // times mf
    const V write = fma(i.value, mf.value, mf.complement);  // times mi
    d.a[kOutput] = output_gradient(a[kOutput], s.c_next, dh, dc);
    const V by_keep = dc * s.c;
    const V by_write = dc * u.value;
    const V overlap = mf.value * mi.value;
    d.a[kForget] = by_keep * overlap * slope(f);
    d.a[kInput] = by_write * overlap * slope(i);
    d.a[kCandidate] = dc * mi.value * write * u.slope;
    d.scan[kMasterForget] = by_keep * keep - by_write * mi.value * i.complement;
    d.scan[kMasterInput] = by_keep * mf.value * f.complement - by_write * write;
    dc = dc * mf.value * keep;
  }
};

}  // namespace
}  // namespace gatefuse
