// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "cuda/draws.hpp"
#include "cuda/sequences.cuh"

namespace gatefuse::cuda {

// What is made of the pre-activations of all steps of a chunk at once: see StepArguments for how
// they lie. Row m is step pass.first + m / B of row m % B.
struct ChunkArguments {
  Pass pass;
  int32_t hidden;
  int32_t slots;  // H / chunk
  int32_t chunk;
  float* kept;  // [steps * B, kept_stride] pre-activations
  int64_t kept_stride;
  const float* recurrent;  // [steps * B, recurrent_stride] products with h
  int64_t recurrent_stride;
  float* candidate;  // [steps * B, H] the candidate's recurrent part, apart or with reset before
  const float* h;    // [steps * B, H] before each step
  float* reset;      // [steps * B, H] reset * h
  float* gates;      // [steps * B, scans, 2, H] cumulative softmax gates and complements
  float* terms;      // [steps * B, kept_stride] where scans may write, at their slots
};

// Adds the products with h to the projections that are in `kept`; the candidate's where they are
// not apart.
void add_recurrent(int32_t cell, const ChunkArguments& chunk, cudaStream_t stream);
// For a cell that resets before its second product: reset * h, and the product added to `kept`.
void make_reset(int32_t cell, const ChunkArguments& chunk, cudaStream_t stream);
void add_candidate(int32_t cell, const ChunkArguments& chunk, cudaStream_t stream);
// For a cell with cumulative softmax gates.
void make_gates(int32_t cell, const ChunkArguments& chunk, cudaStream_t stream);

// A step backwards. Gradients by the pre-activations lie as the rows of the matrices do that they
// are multiplied with: those by the input's parts as LayerWeights::input, those by the recurrent
// parts as LayerWeights::recurrent and, with reset before, LayerWeights::candidate.
struct BackwardStepArguments {
  Pass pass;
  int32_t s;     // the step
  int32_t rows;  // those that run
  int32_t hidden;
  int32_t slots;  // H / chunk
  int32_t chunk;
  const float* kept;  // [rows, kept_stride] pre-activations
  int64_t kept_stride;
  const float* candidate;  // [rows, H] the candidate's recurrent part where it is apart
  const float* h;          // [rows, H] before the step
  const float* c;          // [rows, H] before the step; null without a cell state
  const float* c_next;     // [rows, H] after it
  const float* gates;      // [rows, scans, 2, H]
  const float* dy;         // by the layer's output, by place; null: zeros
  int64_t dy_stride;       // D * H
  float* dh;  // [rows, H] by h after the step; then by h before it, but for what goes through R
  float* dc;  // [rows, H] by c, the same way
  float* da;  // [rows, kept_stride] by the input's parts
  float* da_recurrent;       // [rows, recurrent_stride]; null: they are the same
  int64_t recurrent_stride;  // rows of LayerWeights::recurrent
  float* da_candidate;       // [rows, H], with reset before
  float* reset;              // [rows, H] reset * h
  const float* d_reset;      // [rows, H] by it
  float* d_gates;            // [rows, scans, H] by the values of the gates
  StepMasks masks;
};

// The pointwise mathematics backwards, for all rows of a step.
void run_backward(int32_t cell, const BackwardStepArguments& step, cudaStream_t stream);
// The rest of it once d_reset is known, for a cell that resets before its second product.
void run_reset_backward(int32_t cell, const BackwardStepArguments& step, cudaStream_t stream);
// From d_gates to the slots, for a cell with cumulative softmax gates.
void run_scan_backward(int32_t cell, const BackwardStepArguments& step, cudaStream_t stream);

}  // namespace gatefuse::cuda
