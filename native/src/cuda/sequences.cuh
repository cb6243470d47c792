// SPDX-License-Identifier: Apache-2.0
//
// Where the steps of the rows of a batch lie. On the device a batch is sorted by length, longest
// first: "row" is a place in that order, so that the rows still running are always the first ones.
#pragma once

#include <cstdint>

#include "cuda/ptx.cuh"

namespace gatefuse::cuda {

struct Sequences {
  int32_t steps;           // T
  int32_t batch;           // B
  int32_t batch_major;     // whether the caller's tensors are [B, T, ..] and not [T, B, ..]
  const int32_t* order;    // [B]: the caller's row at each place; null: the same
  const int32_t* lengths;  // [B]: by place; null: all T
  const int32_t* given;    // [B]: lengths by the caller's row; null: all T

  __device__ int32_t length(int32_t row) const { return lengths == nullptr ? steps : lengths[row]; }
  __device__ int32_t callers_row(int32_t row) const { return order == nullptr ? row : order[row]; }

  // The index of (t, row) among the places of a caller's tensor.
  __device__ int64_t place(int32_t t, int32_t row) const {
    const int64_t own = callers_row(row);
    return batch_major != 0 ? own * steps + t : int64_t{t} * batch + own;
  }
  // What such an index is made of.
  __device__ int32_t time_of(int64_t place) const {
    return static_cast<int32_t>(batch_major != 0 ? place % steps : place / batch);
  }
  __device__ int32_t callers_row_of(int64_t place) const {
    return static_cast<int32_t>(batch_major != 0 ? place / steps : place % batch);
  }
  // Whether a place of a caller's tensor lies within its sequence.
  __device__ bool within(int64_t place) const {
    return given == nullptr || time_of(place) < given[callers_row_of(place)];
  }
};

// A layer in one direction over the steps first .. first + steps - 1 of its own order: step s of a
// row is time s, or, in reverse, the time that lies s steps before its last.
struct Pass {
  Sequences sequences;
  int32_t first;
  int32_t steps;
  int32_t reverse;

  __device__ int32_t time(int32_t s, int32_t row) const {
    return reverse != 0 ? sequences.length(row) - 1 - s : s;
  }
  __device__ bool runs(int32_t s, int32_t row) const { return s < sequences.length(row); }
};

}  // namespace gatefuse::cuda
