// SPDX-License-Identifier: Apache-2.0
//
// What a cell file declares, and what its pointwise mathematics is given. The names, blocks and
// equations are those of Gu et al. 2020 and Shen et al. 2019, parameters laid out as PyTorch's.
//
//   kBlocks       the row blocks of the parameters, in order; a chunked block has H / chunk rows,
//                 and the driver turns it into a cumulative softmax over H with its complement (a
//                 scan)
//   kCellState    whether there is a cell state c beside the hidden state h
//   kResetBefore  whether the candidate's recurrent product is over reset * h, which the cell's
//                 reset() gives, so that the driver makes a second product inside the step; such a
//                 cell numbers its blocks kReset and kCandidate
//   kCandidateApart  whether the two parts of the candidate's pre-activation enter by themselves
//   kCandidate    the plain block of the candidate
//   forward()     one step for the lanes of V: reads the pre-activations (an A is one of the types
//                 below), updates c and h
//   backward()    the same step backwards: from the gradients by h and c after the step those by
//                 the pre-activations, and by c and h before it. A cell that resets before has its
//                 own part of that in reset_backward(), after the product backwards
//
// Gradients take nothing from one, as the gates themselves do not. Zoneout and recurrent dropout
// are around the cells (cells/regularized.hpp): all that a cell has to do with them is candidate().
//
// A plain block is numbered by its place among the plain blocks, a scan among the scans.
#pragma once

#include "cells/math.hpp"

namespace gatefuse {
namespace {

struct Block {
  const char* name;  // for who reads the cell
  bool chunked = false;
};

// Pre-activations of the plain blocks. The parts of the input (with bias_ih) and of the recurrent
// product (with bias_hh) are apart, since the GRU needs them so; a[b] is their sum. What a cell
// makes of the candidate's, by value or as a Curve, goes through candidate().
template <class V>
struct PreActivations {
  const V* x;
  const V* h;
  GF_INLINE V operator[](int block) const { return x[block] + h[block]; }
  template <class T>
  GF_INLINE T candidate(T u) const {
    return u;
  }
};

// The same with recurrent dropout: the candidate times a mask.
template <class V>
struct DroppedPreActivations : PreActivations<V> {
  V mask;
  GF_INLINE V candidate(V u) const { return u * mask; }
  GF_INLINE Curve<V> candidate(Curve<V> u) const { return {u.value * mask, u.slope * mask}; }
};

// The states that a step backwards reads.
template <class V>
struct StepStates {
  V h;       // before the step
  V c;       // before the step
  V c_next;  // after it
};

// What a step backwards gives.
template <class V>
struct StepGradients {
  V* a;         // by the pre-activations of the plain blocks, of the candidate's input part
  V candidate;  // by the candidate's recurrent part, where it is apart
  V* scan;      // by the values of the scans, their complements being one less the value
  V h;          // by h before the step, of a cell without a cell state: but for the products
};

// h of all cells with a cell state, from the output gate's pre-activation and c after the step.
template <class V>
GF_INLINE V output(V a, V c_next) {
  return sigmoid(a) * tanh(c_next);
}

// The same backwards: adds to the gradient by c and gives that by the output gate's pre-activation.
template <class V>
GF_INLINE V output_gradient(V output, V c_next, V dh, V& dc) {
  const Gate<V> o = sigmoid_pair(output);
  const Curve<V> t = tanh_curve(c_next);
  dc = fma(dh * o.value, t.slope, dc);
  return dh * t.value * slope(o);
}

// mix() backwards, from the gradient by its result to that by the state: gives those by the gate
// and by the candidate's pre-activation.
template <class V>
struct MixGradients {
  V gate;
  V candidate;
};

template <class V>
GF_INLINE MixGradients<V> mix_gradients(Gate<V> gate, V state, Curve<V> candidate, V& d) {
  const MixGradients<V> gradients = {d * (state - candidate.value),
                                     d * gate.complement * candidate.slope};
  d = d * gate.value;
  return gradients;
}

}  // namespace
}  // namespace gatefuse
