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
  static constexpr bool kResetBefore = false;
  enum { kInput, kForget, kCandidate, kOutput };
  enum { kMasterInput, kMasterForget };  // scans

  template <class V>
  static GF_INLINE void forward(const PreActivations<V>& a, const Gate<V>* scan, V& c, V& h) {
    const Gate<V> mf = scan[kMasterForget];
    const Gate<V> mi = {scan[kMasterInput].complement, scan[kMasterInput].value};
    const V keep = mf.value * fma(sigmoid(a[kForget]), mi.value, mi.complement);
    const V write = mi.value * fma(sigmoid(a[kInput]), mf.value, mf.complement);
    c = fma(keep, c, write * tanh(a[kCandidate]));
    h = sigmoid(a[kOutput]) * tanh(c);
  }
};

}  // namespace
}  // namespace gatefuse
