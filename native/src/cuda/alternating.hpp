// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "cuda/draws.hpp"
#include "cuda/sequences.cuh"

namespace gatefuse::cuda {

// The pre-activations of a row lie as the rows of a packed matrix do: those of the plain blocks
// unit by unit [H, plain blocks], then the scans' slots [scans, H / chunk].
struct StepArguments {
  Pass pass;
  int32_t s;     // the step
  int32_t rows;  // those that still run
  int32_t hidden;
  int32_t slots;  // H / chunk
  int32_t chunk;
  float* x;  // [rows, x_stride] projections of the input; a scan adds the products to its slots
  int64_t x_stride;
  int32_t keep;      // whether the sums of both parts take the place of the projections
  float* recurrent;  // [rows, recurrent_stride] products with h; a scan uses its slots up
  int64_t recurrent_stride;
  const float* candidate;  // [rows, H] products with reset * h; null unless the cell resets before
  float* reset;            // [rows, H] reset * h
  float* gates;            // [rows, scans, 2, H] cumulative softmax gates and complements
  float* h;                // [rows, H] in place
  float* c;                // [rows, H] in place; null without a cell state
  float* y;                // the layer's output, by place; null for none
  int64_t y_stride;        // D * H
  float* kept_h;           // [rows, H] h after the step for the way back; null for none
  float* kept_c;           // the same for c
  float* kept_candidate;   // [rows, H] the candidate's recurrent part where it is apart, for `keep`
  StepMasks masks;
};

// The pointwise kernels of a cell, for all rows of a step.
void run_pointwise(int32_t cell, const StepArguments& step, cudaStream_t stream);
// For a cell that resets before its second product.
void run_reset(int32_t cell, const StepArguments& step, cudaStream_t stream);
// For a cell with cumulative softmax gates.
void run_scan(int32_t cell, const StepArguments& step, cudaStream_t stream);

}  // namespace gatefuse::cuda
