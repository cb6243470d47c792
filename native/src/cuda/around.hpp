// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "batch.hpp"
#include "cuda/draws.hpp"
#include "cuda/sequences.cuh"

namespace gatefuse::cuda {

// Between a caller's state [slots, B or capacity, H] and the session's, [slots, B, H] by place.
struct StateArguments {
  Sequences sequences;
  int64_t slots;
  int32_t hidden;
  int64_t capacity = 0;           // read with rows alone
  const int32_t* rows = nullptr;  // [B]: of the caller's state, by its row; null: the same, of B

  // Where the caller's value is of which the session's is value i.
  __device__ int64_t given(int64_t i) const {
    const int64_t place = i / hidden;
    const int32_t own = sequences.callers_row(static_cast<int32_t>(place % sequences.batch));
    const int64_t slot = place / sequences.batch;
    const int64_t row =
        rows == nullptr ? slot * sequences.batch + own : slot * capacity + rows[own];
    return row * hidden + i % hidden;
  }
};

// What a layer gives to the next one in one direction, or the gradients by it.
struct ResultArguments {
  Sequences sequences;
  int32_t hidden;
  float* values;   // [.., H] by place
  int64_t stride;  // D * H
  MaskDraw mask;
};

// The head's outputs of some places, and what is made of them.
struct SoftmaxArguments {
  Sequences sequences;
  int64_t first;            // place of the first row of logits
  int32_t count;            // rows
  int32_t outputs;          // O
  const float* logits;      // [count, O]
  const int32_t* targets;   // by place; null: none
  float* out_logits;        // by place [.., O]; null: not asked for
  float* log_probs;         // by place [.., O]; null: not asked for
  float* target_log_probs;  // by place; null: not asked for
};

// Writes a ragged batch's order to the device: three arrays [B].
void write_order(const Batch& batch, int32_t* order, int32_t* lengths, int32_t* given,
                 cudaStream_t stream);

// Writes the rows of a caller's state to the device: [count].
void write_state_rows(const int32_t* rows, int32_t count, int32_t* to, cudaStream_t stream);

// A caller's state into the session's (from may be null: zeros), and back.
void load_state(const StateArguments& state, const float* from, float* to, cudaStream_t stream);
void store_state(const StateArguments& state, const float* from, float* to, cudaStream_t stream);

// Stores the masks of a pass's steps for persistent kernels: `to` [steps, B, H].
StoredMasks store_masks(const StepMasks& masks, const Pass& pass, int32_t hidden, uint8_t* to,
                        cudaStream_t stream);

// Multiplies by the mask.
void drop(const ResultArguments& results, cudaStream_t stream);

// The least place whose value is not 0 .. most - 1 goes into *wrong.
void check_range(const Sequences& sequences, const int32_t* values, int32_t most,
                 unsigned long long* wrong, cudaStream_t stream);

// Logits, log-softmax and target scores of some places.
void run_softmax(const SoftmaxArguments& softmax, cudaStream_t stream);

}  // namespace gatefuse::cuda
