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
//   forward()     one step for the lanes of V: reads the pre-activations, updates c and h
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
// product (with bias_hh) are apart, since the GRU needs them so; a[b] is their sum.
template <class V>
struct PreActivations {
  const V* x;
  const V* h;
  GF_INLINE V operator[](int block) const { return x[block] + h[block]; }
};

}  // namespace
}  // namespace gatefuse
