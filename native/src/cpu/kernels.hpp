// SPDX-License-Identifier: Apache-2.0
//
// What the driver and the kernels of an instruction set say to each other. Vectors have W lanes.
//
// Packed weights put the outputs on the lanes: a product is a sum over k, in the order of k, in
// every lane by itself. So its bits depend on nothing but its own operands: not on the number of
// rows, nor on the number of threads, nor on how a sequence is cut.
#pragma once

#include <cstdint>

#include "gatefuse.h"
#include "mask_draw.hpp"

namespace gatefuse::cpu {

// A cache line. Vectors of other sizes, and narrow packs, have no gaps.
constexpr int kGap = 16;
constexpr bool may_have_gap(int width, int64_t lanes) { return lanes == kGap && width >= 3; }

// What multiplies words of weights shorter than float32: lanes that they are widened to, an
// instruction that takes words as they are, or tile registers.
enum class Multiplier { kLanes, kWords, kTiles };

// A matrix [outputs, k] whose outputs are ordered in groups of width * W: weight
// [groups][k][width][W] and bias [groups][width][W]. For a cell, the width is the number of its
// blocks that the pack holds and a group is W units with all those blocks, so that one tile of a
// product is all that the cell's pointwise mathematics needs. Lanes past the last output hold
// zeros.
//
// Weights shorter than float32 are words [groups][words of a column][width][W] of two bfloat16 or
// four int8 with neighbouring k, the first in the lowest bits, and zeros behind the last. Of
// either, `gap` numbers or words, none or kGap, stay free behind each [width][W].
struct Pack {
  float* weight = nullptr;
  uint32_t* words = nullptr;  // in place of them
  float* bias = nullptr;
  float* scale = nullptr;     // int8: [groups][width][W], what a weight of an output counts
  int32_t* offset = nullptr;  // int8: -128 times the sum of an output's weights
  int64_t k = 0;
  int width = 0;
  int64_t gap = 0;
  int64_t groups = 0;
  int32_t precision = 0;  // GF_FLOAT32, GF_BFLOAT16 or GF_INT8
  Multiplier multiplier = Multiplier::kLanes;

  int64_t row() const { return groups * width; }  // vectors of one result row
  int64_t words_of_column() const { return precision == GF_INT8 ? (k + 3) / 4 : (k + 1) / 2; }
  int64_t columns() const { return precision == GF_FLOAT32 ? k : words_of_column(); }
  // From one k, or word of a column, of a group to the next; from one group to the next.
  int64_t step(int64_t lanes) const { return width * lanes + gap; }
  int64_t group_size(int64_t lanes) const { return columns() * step(lanes); }
  // What the weights themselves take.
  int64_t bytes(int64_t lanes) const { return 4 * row() * columns() * lanes; }
};

// Words that a row of k takes in any precision, as a product with words reads it.
constexpr int64_t words_of_row(int64_t k) { return k + 4; }

// So many rows are projected at a time.
constexpr int kProjectedRows = 64;

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

// The same weights for the backward pass, with their inputs on the lanes and a row of gradients
// (see GradientRow) as k; without biases.
struct BackWeights {
  Pack input;      // over its input part
  Pack recurrent;  // over its recurrent part (with reset before: less the candidate)
  Pack candidate;  // with reset before: over the candidate
};

// How the gradients by the pre-activations of a step lie in a row: the candidate, the other plain
// blocks in order, the scans, and at the end the candidate's recurrent part, where it is apart. So
// what belongs to W is one range, and what belongs to R another. A plain block takes `padded`
// places, a scan `padded_slots`.
struct GradientRow {
  int plain;
  int scans;
  int candidate;  // its number among the plain blocks
  bool apart;
  bool reset_before;
  int64_t padded;
  int64_t padded_slots;

  int64_t size() const { return part() + (apart ? padded : 0); }
  int64_t part() const { return plain * padded + scans * padded_slots; }  // of W, and of R
  int64_t input() const { return 0; }  // where the part of W begins
  // Where the part of R begins; with reset before, that of all but the candidate.
  int64_t recurrent() const { return apart || reset_before ? padded : 0; }
  int64_t recurrent_size() const { return part() - (reset_before ? padded : 0); }
  int64_t block(int block) const {
    return (block == candidate ? 0 : block < candidate ? block + 1 : block) * padded;
  }
  int64_t recurrent_block(int number) const {
    return number == candidate && apart ? part() : block(number);
  }
  int64_t scan(int number) const { return plain * padded + number * padded_slots; }
};

// Groups whose candidate sums a cell with reset before keeps waiting.
constexpr int kWaitingGroups = 8;

// What regularization does in a step, [rows, padded] each; null where it does nothing.
struct StepMasks {
  const float* output;     // factors of the step's result, as the next layer has it
  const float* candidate;  // factors of the candidate
  const float* zoneout_h;  // the share of h before the step that stays
  const float* zoneout_c;  // and that of c
};

// One time step of the first `rows` rows. A row of h and c is `padded` long.
struct Step {
  int rows;
  const float* h;          // [rows, padded] before the step
  float* h_next;           // [rows, padded] after it
  const float* c;          // [rows, padded] before the step; null without a cell state
  float* c_next;           // [rows, padded] after it; may be c
  float* kept;             // [rows, kept] pre-activations for the backward pass; null for none
  const float* const* x;   // [rows] projections of the input by LayerWeights::input
  int64_t x_group;         // floats from one group's to the next's in those
  const float* const* in;  // [rows] inputs to be projected by the step itself, a group at a time
                           // and to x_sums; null where x has them
  float* x_sums;           // [rows, width, W], a thread's own; x points to its rows, x_group is 0
  float* const* y;         // [rows] results of H, or null
  const StepMasks* masks;  // null without regularization
  float* reset;            // [rows, padded] reset * h; null unless the cell resets before
  const float* scan;       // [rows, scans, 2, padded] gates and complements; null without scans
  float* scratch;          // [rows, width, W], a thread's own; with reset before + kWaitingGroups
  uint32_t* words;         // [rows, words_of_row(H)], a thread's own; null in float32
  bool downwards;          // the direction in which the groups are swept: turn it at every step
};

// One time step backwards, of the first `rows` rows.
struct BackwardStep {
  int rows;
  const float* kept;       // [rows, kept] pre-activations, as the step left them
  const float* h;          // [rows, padded] before the step
  const float* c;          // [rows, padded] before the step; null without a cell state
  const float* c_next;     // [rows, padded] after it
  const float* scan;       // [rows, scans, 2, padded], as in Step
  const float* const* dy;  // [rows] gradients by the step's result, of H
  const StepMasks* masks;  // as in Step
  float* dh;               // [rows, stride] by h after the step through later steps; then by h
                           // before it, but for what goes through products: written for cells
                           // without a cell state and with masks
  float* dc;               // [rows, padded] by c, the same way
  float* da;               // [rows, places->size()] by the pre-activations
  const GradientRow* places;
  float* dscan;          // [rows, scans, padded] by the values of the scans
  float* gated;          // [rows, padded] reset * h, with reset before
  const float* d_gated;  // [rows, stride] by it
  int64_t stride;        // of dh and d_gated
};

struct CellKernels {
  // Product and pointwise mathematics of the unit groups begin .. end - 1.
  void (*step)(const LayerWeights&, const Step&, int64_t begin, int64_t end);
  // Writes reset * h of those groups; null unless the cell resets before.
  void (*reset)(const LayerWeights&, const Step&, int64_t begin, int64_t end);

  // A row of kept pre-activations is [groups][kept][W].
  int kept;
  // Pointwise mathematics backwards of those groups.
  void (*backward)(const LayerWeights&, const BackwardStep&, int64_t begin, int64_t end);
  // The rest of it once d_gated is known; null unless the cell resets before.
  void (*reset_backward)(const LayerWeights&, const BackwardStep&, int64_t begin, int64_t end);
};

struct Kernels {
  int instruction_set;  // GF_ISA_*
  const char* name;
  int lanes;                 // W
  int head_width;            // width of the head's pack
  bool multiplies_bfloat16;  // there is code for processors that multiply such words
  bool multiplies_int8;
  bool multiplies_tiles;
  CellKernels cells[10];

  // out[i] = (add ? add[i] : 0) + (bias + weight . in[i]) for the rows i < rows, groups begin ..
  // end - 1. words: [kProjectedRows, words_of_row(k)], a thread's own; null in float32.
  void (*project)(const Pack&, int rows, const float* const* in, const float* const* add,
                  float* const* out, uint32_t* words, int64_t begin, int64_t end);
  // Turns a row of scan pre-activations [groups][scans][W] into cumulative softmax gates and
  // complements [scans][2][padded].
  void (*scan)(const LayerWeights&, const float* pre_activations, float* gates);
  // From the same pre-activations and the gradients by the values of the gates [scans][padded]
  // those by the pre-activations [scans][padded slots].
  void (*scan_backward)(const LayerWeights&, const float* pre_activations, const float* gates,
                        float* gradients);
  // out[i - begin][n] = in[n][i] for the columns i in begin .. end - 1 of n < rows, and adds each
  // column's sum to sums[i].
  void (*transpose)(int rows, const float* const* in, int64_t begin, int64_t end, float* out,
                    double* sums);
  // A mask's values for the units begin .. end - 1 of one row at one time; begin and end are
  // multiples of 4.
  void (*draw)(const MaskDraw&, uint32_t time, uint32_t row, int64_t begin, int64_t end,
               float* out);
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
