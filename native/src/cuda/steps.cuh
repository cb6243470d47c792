// SPDX-License-Identifier: Apache-2.0
//
// The kernels of tier A beside the products: each does one thing of a step for all rows and units,
// and launch boundaries order them. Plain on purpose: the other tiers are held against it.
#pragma once

#include <cstdint>

#include "cuda/alternating.hpp"
#include "cuda/draws.cuh"
#include "cuda/lane.cuh"
#include "cuda/scan.cuh"

namespace gatefuse::cuda {

constexpr int kStepThreads = 128;

namespace {

template <class Cell>
struct StepOf {
  static constexpr int kPlain = count_blocks<Cell>(false);
  static constexpr int kScans = count_blocks<Cell>(true);
  // Where the recurrent sums of a block lie: with reset before the candidate has its own product.
  static constexpr int kRecurrent = Cell::kResetBefore ? kPlain - 1 : kPlain;

  const StepArguments& step;
  int32_t row;
  int32_t unit;

  GF_DEVICE Lane x(int block) const {
    return {step.x[row * step.x_stride + int64_t{unit} * kPlain + block]};
  }
  GF_DEVICE Lane recurrent(int block) const {
    int place = block;
    if constexpr (Cell::kResetBefore) {
      if (block == Cell::kCandidate) {
        return {step.candidate[row * int64_t{step.hidden} + unit]};
      }
      place = block - (block > Cell::kCandidate);
    }
    return {step.recurrent[row * step.recurrent_stride + int64_t{unit} * kRecurrent + place]};
  }
  GF_DEVICE Gate<Lane> gate(int scan) const {
    const float* at = step.gates + (int64_t{row} * kScans + scan) * 2 * step.hidden + unit;
    return {{at[0]}, {at[step.hidden]}};
  }
  // Puts the pre-activations in the place of the projections, as a step backwards reads them.
  GF_DEVICE void keep(const Lane (&x_parts)[kPlain], const Lane (&recurrent_parts)[kPlain]) const {
    float* to = step.x + row * step.x_stride + int64_t{unit} * kPlain;
#pragma unroll
    for (int b = 0; b < kPlain; ++b) {
      if constexpr (Cell::kCandidateApart) {
        if (b == Cell::kCandidate) {
          step.kept_candidate[state()] = recurrent_parts[b].v;
          continue;
        }
      }
      to[b] = x_parts[b].v + recurrent_parts[b].v;
    }
  }
  GF_DEVICE int64_t state() const { return int64_t{row} * step.hidden + unit; }
};

// Thread i of the grid is unit i % H of row i / H.
GF_DEVICE bool find_item(const StepArguments& step, int32_t& row, int32_t& unit) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  row = static_cast<int32_t>(i / step.hidden);
  unit = static_cast<int32_t>(i % step.hidden);
  return row < step.rows;
}

}  // namespace

// The cell's pointwise mathematics. Masked: with step.masks around it.
template <class Cell, bool kMasked>
__global__ void pointwise_kernel(const StepArguments step) {
  using Of = StepOf<Cell>;
  int32_t row = 0;
  int32_t unit = 0;
  if (!find_item(step, row, unit)) return;
  const Of of{step, row, unit};
  Lane x[Of::kPlain];
  Lane recurrent[Of::kPlain];
#pragma unroll
  for (int b = 0; b < Of::kPlain; ++b) {
    x[b] = of.x(b);
    recurrent[b] = of.recurrent(b);
  }
  Gate<Lane> gates[Of::kScans + 1];
#pragma unroll
  for (int s = 0; s < Of::kScans; ++s) gates[s] = of.gate(s);
  Lane h = {step.h[of.state()]};
  Lane c = h;
  if constexpr (Cell::kCellState) c = {step.c[of.state()]};
  const PreActivations<Lane> a = {x, recurrent};
  if constexpr (kMasked) {
    const Masks<Lane> masks = draw_masks(step.masks, step.pass, step.s, row, unit);
    Regularized<Cell>::forward(a, gates, masks, c, h);
  } else {
    Cell::forward(a, gates, c, h);
  }
  if constexpr (Cell::kCellState) step.c[of.state()] = c.v;
  step.h[of.state()] = h.v;
  if (step.kept_h != nullptr) step.kept_h[of.state()] = h.v;
  if (step.kept_c != nullptr) step.kept_c[of.state()] = c.v;
  if (step.keep != 0) of.keep(x, recurrent);
  if (step.y != nullptr) {
    const int64_t place = step.pass.sequences.place(step.pass.time(step.s, row), row);
    step.y[place * step.y_stride + unit] = h.v;
  }
}

// reset * h, for a cell that resets before its second product.
template <class Cell>
__global__ void reset_kernel(const StepArguments step) {
  using Of = StepOf<Cell>;
  int32_t row = 0;
  int32_t unit = 0;
  if (!find_item(step, row, unit)) return;
  const Of of{step, row, unit};
  Lane x[Of::kPlain];
  Lane recurrent[Of::kPlain];
  x[Cell::kReset] = of.x(Cell::kReset);
  recurrent[Cell::kReset] = of.recurrent(Cell::kReset);
  const Lane h = {step.h[of.state()]};
  step.reset[of.state()] = Cell::reset(PreActivations<Lane>{x, recurrent}, h).v;
}

// Turns the slots of one scan of one row into gates: a warp each.
template <class Cell>
__global__ void scan_kernel(const StepArguments step) {
  using Of = StepOf<Cell>;
  const int32_t row = static_cast<int32_t>(blockIdx.x) / Of::kScans;
  const int32_t scan = static_cast<int32_t>(blockIdx.x) % Of::kScans;
  const int64_t first = int64_t{step.hidden} * Of::kPlain + int64_t{scan} * step.slots;
  float* x = step.x + row * step.x_stride + first;
  float* recurrent = step.recurrent + row * step.recurrent_stride + first;
  float* gate = step.gates + (int64_t{row} * Of::kScans + scan) * 2 * step.hidden;
  for (int32_t k = static_cast<int32_t>(threadIdx.x); k < step.slots; k += 32) {
    x[k] += recurrent[k];
  }
  __syncwarp(kAllLanes);
  scan_row(static_cast<int>(threadIdx.x), step.slots, step.chunk, [&](int32_t k) { return x[k]; },
           recurrent, {gate, gate + step.hidden, 0, step.hidden});
}

}  // namespace gatefuse::cuda
