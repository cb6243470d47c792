// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cells/cell.hpp"

namespace gatefuse {
namespace {

// What regularization does to the units of a V in one step: the factor of the candidate, and the
// shares of the states before the step that stay. gatefuse.h says what they are.
template <class V>
struct Masks {
  V candidate;
  V zoneout_h;
  V zoneout_c;
};

// Exact where the mask is 0 or 1.
template <class V>
GF_INLINE V zone_out(V mask, V before, V own) {
  return fma(mask, before, (V::set(1.0f) - mask) * own);
}

// Any cell with recurrent dropout and zoneout around its step.
template <class Cell>
struct Regularized {
  template <class V>
  static GF_INLINE void forward(const PreActivations<V>& a, const Gate<V>* scan, const Masks<V>& m,
                                V& c, V& h) {
    V own_c = c;
    V own_h = h;
    Cell::forward(DroppedPreActivations<V>{a, m.candidate}, scan, own_c, own_h);
    if constexpr (Cell::kCellState) c = zone_out(m.zoneout_c, c, own_c);
    h = zone_out(m.zoneout_h, h, own_h);
  }

  // As a cell's own, but that c after the step is not read, and d.h is given for every cell. The c
  // that the cell made is computed again: zoned out, it is nowhere else.
  template <class V>
  static GF_INLINE void backward(const PreActivations<V>& a, const Gate<V>* scan, StepStates<V> s,
                                 const Masks<V>& m, V dh, V& dc, StepGradients<V>& d) {
    const DroppedPreActivations<V> dropped{a, m.candidate};
    const V own_dh = (V::set(1.0f) - m.zoneout_h) * dh;
    if constexpr (Cell::kCellState) {
      V own_h = s.h;
      s.c_next = s.c;
      Cell::forward(dropped, scan, s.c_next, own_h);
      V own_dc = (V::set(1.0f) - m.zoneout_c) * dc;
      Cell::backward(dropped, scan, s, own_dh, own_dc, d);
      dc = fma(m.zoneout_c, dc, own_dc);
      d.h = m.zoneout_h * dh;
    } else {
      Cell::backward(dropped, scan, s, own_dh, dc, d);
      d.h = fma(m.zoneout_h, dh, d.h);
    }
  }
};

}  // namespace
}  // namespace gatefuse
