// SPDX-License-Identifier: Apache-2.0
//
// The kernels of tier A beside the products: each does one thing of a step for all rows and units,
// and launch boundaries order them. Plain on purpose: the other tiers are held against it.
#pragma once

#include <cstdint>

#include "cuda/lane.cuh"
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
  const float* x;  // [rows, x_stride] projections of the input
  int64_t x_stride;
  const float* recurrent;  // [rows, recurrent_stride] products with h
  int64_t recurrent_stride;
  const float* candidate;  // [rows, H] products with reset * h; null unless the cell resets before
  float* reset;            // [rows, H] reset * h
  float* gates;            // [rows, scans, 2, H] cumulative softmax gates and complements
  float* h;                // [rows, H] in place
  float* c;                // [rows, H] in place; null without a cell state
  float* y;                // the layer's output, by place; null for none
  int64_t y_stride;        // D * H
};

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

// The cell's pointwise mathematics.
template <class Cell>
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
  Cell::forward(PreActivations<Lane>{x, recurrent}, gates, c, h);
  if constexpr (Cell::kCellState) step.c[of.state()] = c.v;
  step.h[of.state()] = h.v;
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

// ---- Cumulative softmax -------------------------------------------------------------------------

namespace {

constexpr unsigned kAllLanes = 0xffffffffu;

GF_DEVICE float warp_max(float v) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    v = max(Lane{__shfl_xor_sync(kAllLanes, v, offset)}, Lane{v}).v;
  }
  return v;
}

// The sum of the lanes before this one.
GF_DEVICE double warp_sum_before(double v, int lane) {
  double sum = v;
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const double other = __shfl_up_sync(kAllLanes, sum, offset);
    if (lane >= offset) sum += other;
  }
  const double before = __shfl_up_sync(kAllLanes, sum, 1);
  return lane == 0 ? 0.0 : before;
}

// The sum of the lanes behind this one, added up from the end.
GF_DEVICE double warp_sum_after(double v, int lane) {
  double sum = v;
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const double other = __shfl_down_sync(kAllLanes, sum, offset);
    if (lane + offset < 32) sum += other;
  }
  const double after = __shfl_down_sync(kAllLanes, sum, 1);
  return lane == 31 ? 0.0 : after;
}

}  // namespace

// Turns the slots of one scan of one row into gates: a warp each. The sums are in double, since
// they are as long as H and a gate next to one has its meaning in what its complement still holds;
// the complement is a sum of its own, from the end.
template <class Cell>
__global__ void scan_kernel(const StepArguments step) {
  using Of = StepOf<Cell>;
  const int lane = static_cast<int>(threadIdx.x);
  const int32_t row = static_cast<int32_t>(blockIdx.x) / Of::kScans;
  const int32_t scan = static_cast<int32_t>(blockIdx.x) % Of::kScans;
  const int64_t first = int64_t{step.hidden} * Of::kPlain + int64_t{scan} * step.slots;
  const float* x = step.x + row * step.x_stride + first;
  const float* recurrent = step.recurrent + row * step.recurrent_stride + first;
  float* gate = step.gates + (int64_t{row} * Of::kScans + scan) * 2 * step.hidden;
  float* complement = gate + step.hidden;
  const int32_t each = (step.slots + 31) / 32;
  const int32_t begin = lane * each < step.slots ? lane * each : step.slots;
  const int32_t end = begin + each < step.slots ? begin + each : step.slots;

  float most = -INFINITY;
  for (int32_t k = begin; k < end; ++k) most = max(Lane{x[k] + recurrent[k]}, Lane{most}).v;
  most = warp_max(most);
  double sum = 0;
  for (int32_t k = begin; k < end; ++k) {
    sum += exp_nonpositive(Lane{x[k] + recurrent[k] - most}).v;
  }
  double before = warp_sum_before(sum, lane);
  double after = warp_sum_after(sum, lane);
  // The whole, the same for all: what lies before the last lane and its own.
  const double total = __shfl_sync(kAllLanes, before + sum, 31);
  const double scale = 1 / total;
  for (int32_t k = begin; k < end; ++k) {
    before += exp_nonpositive(Lane{x[k] + recurrent[k] - most}).v;
    for (int32_t j = 0; j < step.chunk; ++j) {
      gate[k * step.chunk + j] = static_cast<float>(before * scale);
    }
  }
  for (int32_t k = end - 1; k >= begin; --k) {
    for (int32_t j = 0; j < step.chunk; ++j) {
      complement[k * step.chunk + j] = static_cast<float>(after * scale);
    }
    after += exp_nonpositive(Lane{x[k] + recurrent[k] - most}).v;
  }
}

}  // namespace gatefuse::cuda
