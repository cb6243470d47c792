// SPDX-License-Identifier: Apache-2.0
//
// What the driver and the kernels of an instruction set say to each other. Vectors have W lanes.
//
// Packed weights put the outputs on the lanes: a product is a sum over k, in the order of k, in
// every lane by itself. So its bits depend on nothing but its own operands: not on the number of
// rows, nor on the number of threads, nor on how a sequence is cut.
#pragma once

#include <cstdint>

namespace gatefuse::cpu {

// A matrix [outputs, k] whose outputs are ordered in groups of width * W: weight
// [groups][k][width][W] and bias [groups][width][W]. For a cell, the width is the number of its
// blocks that the pack holds and a group is W units with all those blocks, so that one tile of a
// product is all that the cell's pointwise mathematics needs. Lanes past the last output hold
// zeros.
struct Pack {
  float* weight = nullptr;
  float* bias = nullptr;
  int64_t k = 0;
  int width = 0;
  int64_t groups = 0;

  int64_t row() const { return groups * width; }  // vectors of one result row
};

// One layer in one direction.
struct LayerWeights {
  Pack input;       // all plain blocks, over the layer's input, bias_ih
  Pack recurrent;   // plain blocks over h, bias_hh (with reset before: less reset and candidate)
  Pack reset;       // with reset before: the reset block over h
  Pack candidate;   // with reset before: the candidate block over reset * h
  Pack scan_input;  // chunked blocks, over the layer's input
  Pack scan_recurrent;  // chunked blocks, over h; bias -inf in the lanes past the last slot
  int64_t hidden = 0;   // H
  int64_t padded = 0;   // H rounded up to whole vectors
  int64_t slots = 0;    // H / chunk
  int64_t chunk = 1;
};

// Groups whose candidate sums a cell with reset before keeps waiting.
constexpr int kWaitingGroups = 8;

// One time step of the first `rows` rows. A row of h and c is `padded` long.
struct Step {
  int rows;
  const float* h;         // [rows, padded] before the step
  float* h_next;          // [rows, padded] after it
  float* c;               // [rows, padded], updated in place; null without a cell state
  const float* const* x;  // [rows] projections of the input by LayerWeights::input
  float* const* y;        // [rows] results of H, or null
  float* reset;           // [rows, padded] reset * h; null unless the cell resets before
  const float* scan;      // [rows, scans, 2, padded] gates and complements; null without scans
  float* scratch;         // [rows, width, W], a thread's own; with reset before + kWaitingGroups
  bool downwards;         // the direction in which the groups are swept: turn it at every step
};

struct CellKernels {
  // Product and pointwise mathematics of the unit groups begin .. end - 1.
  void (*step)(const LayerWeights&, const Step&, int64_t begin, int64_t end);
  // Writes reset * h of those groups; null unless the cell resets before.
  void (*reset)(const LayerWeights&, const Step&, int64_t begin, int64_t end);
};

struct Kernels {
  int instruction_set;  // GF_ISA_*
  const char* name;
  int lanes;       // W
  int head_width;  // width of the head's pack
  CellKernels cells[10];

  // out[i] = (add ? add[i] : 0) + (bias + weight . in[i]) for the rows i < rows, groups begin ..
  // end - 1.
  void (*project)(const Pack&, int rows, const float* const* in, const float* const* add,
                  float* const* out, int64_t begin, int64_t end);
  // Turns a row of scan pre-activations [groups][scans][W] into cumulative softmax gates and
  // complements [scans][2][padded].
  void (*scan)(const LayerWeights&, const float* pre_activations, float* gates);
  // log of the sum of the exponentials of a row; lanes past its end hold -inf. In double: what is
  // left when it is taken from a large logit may be small.
  double (*log_sum_exp)(const float* row, int64_t vectors);

  // The activations by themselves, for tests: n is a multiple of W.
  void (*sigmoid)(const float* x, float* value, float* complement, int64_t n);
  void (*tanh)(const float* x, float* value, int64_t n);
};

#if defined(__x86_64__)
namespace baseline {
const Kernels* kernels();
}
namespace avx2 {
const Kernels* kernels();
}
namespace avx512 {
const Kernels* kernels();
}
#else
namespace generic {
const Kernels* kernels();
}
#endif

}  // namespace gatefuse::cpu
