// SPDX-License-Identifier: Apache-2.0
//
// The kernels of tier A's way back beside the products: each does one thing for all rows and units
// of a step, or of all steps of a chunk where none waits for another.
#pragma once

#include <cstdint>

#include "cuda/alternating_backward.hpp"
#include "cuda/draws.cuh"
#include "cuda/lane.cuh"
#include "cuda/scan.cuh"

namespace gatefuse::cuda {

constexpr int kBackwardThreads = 128;

namespace {

// Thread i of the grid is unit i % H of row i / H.
struct UnitItem {
  int64_t row;
  int32_t unit;
  GF_DEVICE explicit UnitItem(int32_t hidden) {
    const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    row = i / hidden;
    unit = static_cast<int32_t>(i % hidden);
  }
};

// A row of a chunk is there while its sequence lasts.
GF_DEVICE bool is_there(const Pass& pass, int64_t m) {
  const int64_t s = pass.first + m / pass.sequences.batch;
  return m < int64_t{pass.steps} * pass.sequences.batch &&
         pass.runs(static_cast<int32_t>(s), static_cast<int32_t>(m % pass.sequences.batch));
}

// Where a plain block's recurrent part lies among those of a unit: with reset before the candidate
// has a matrix of its own.
template <class Cell>
GF_DEVICE constexpr int recurrent_place(int block) {
  return Cell::kResetBefore && block > Cell::kCandidate ? block - 1 : block;
}
template <class Cell>
constexpr int kPlainBlocks = count_blocks<Cell>(false);
template <class Cell>
constexpr int kScansOf = count_blocks<Cell>(true);
template <class Cell>
constexpr int kRecurrentBlocks = kPlainBlocks<Cell> - (Cell::kResetBefore ? 1 : 0);

// The pre-activations of a unit, as sums that stand for the input's parts.
template <class Cell>
struct KeptOf {
  static constexpr int kPlain = kPlainBlocks<Cell>;
  Lane x[kPlain];
  Lane recurrent[kPlain];

  GF_DEVICE KeptOf(const float* kept, const float* candidate) {
#pragma unroll
    for (int b = 0; b < kPlain; ++b) {
      x[b] = {kept[b]};
      recurrent[b] = {0.0f};
    }
    if constexpr (Cell::kCandidateApart) recurrent[Cell::kCandidate] = {*candidate};
  }
  GF_DEVICE PreActivations<Lane> get() const { return {x, recurrent}; }
};

}  // namespace

// ---- All steps of a chunk -----------------------------------------------------------------------

template <class Cell>
__global__ void add_recurrent_kernel(const ChunkArguments chunk) {
  constexpr int kPlain = kPlainBlocks<Cell>;
  const UnitItem item(chunk.hidden);
  if (!is_there(chunk.pass, item.row)) return;
  float* to = chunk.kept + item.row * chunk.kept_stride;
  const float* from = chunk.recurrent + item.row * chunk.recurrent_stride;
#pragma unroll
  for (int b = 0; b < kPlain; ++b) {
    if (Cell::kResetBefore && b == Cell::kCandidate) continue;
    const float part = from[int64_t{item.unit} * kRecurrentBlocks<Cell> + recurrent_place<Cell>(b)];
    if (Cell::kCandidateApart && b == Cell::kCandidate) {
      chunk.candidate[item.row * chunk.hidden + item.unit] = part;
    } else {
      to[int64_t{item.unit} * kPlain + b] += part;
    }
  }
  if (item.unit >= chunk.slots) return;
#pragma unroll
  for (int scan = 0; scan < kScansOf<Cell>; ++scan) {
    const int64_t at = int64_t{chunk.hidden} * kPlain + int64_t{scan} * chunk.slots + item.unit;
    to[at] += from[at];
  }
}

template <class Cell>
__global__ void make_reset_kernel(const ChunkArguments chunk) {
  constexpr int kPlain = kPlainBlocks<Cell>;
  const UnitItem item(chunk.hidden);
  if (!is_there(chunk.pass, item.row)) return;
  const int64_t state = item.row * chunk.hidden + item.unit;
  const KeptOf<Cell> a(chunk.kept + item.row * chunk.kept_stride + int64_t{item.unit} * kPlain,
                       nullptr);
  chunk.reset[state] = Cell::reset(a.get(), Lane{chunk.h[state]}).v;
}

template <class Cell>
__global__ void add_candidate_kernel(const ChunkArguments chunk) {
  constexpr int kPlain = kPlainBlocks<Cell>;
  const UnitItem item(chunk.hidden);
  if (!is_there(chunk.pass, item.row)) return;
  float* to = chunk.kept + item.row * chunk.kept_stride + int64_t{item.unit} * kPlain;
  to[Cell::kCandidate] += chunk.candidate[item.row * chunk.hidden + item.unit];
}

// A warp for each scan of a row.
template <class Cell>
__global__ void make_gates_kernel(const ChunkArguments chunk) {
  constexpr int kScans = kScansOf<Cell>;
  const int64_t row = blockIdx.x / kScans;
  const int scan = static_cast<int>(blockIdx.x % kScans);
  if (!is_there(chunk.pass, row)) return;
  const int64_t first = int64_t{chunk.hidden} * kPlainBlocks<Cell> + int64_t{scan} * chunk.slots;
  const float* slots = chunk.kept + row * chunk.kept_stride + first;
  float* gate = chunk.gates + (row * kScans + scan) * 2 * chunk.hidden;
  scan_row(static_cast<int>(threadIdx.x), chunk.slots, chunk.chunk,
           [&](int32_t k) { return slots[k]; }, chunk.terms + row * chunk.kept_stride + first,
           {gate, gate + chunk.hidden, 0, chunk.hidden});
}

// ---- A step -------------------------------------------------------------------------------------

namespace {

template <class Cell>
struct BackwardOf {
  static constexpr int kPlain = kPlainBlocks<Cell>;
  static constexpr int kScans = kScansOf<Cell>;

  const BackwardStepArguments& step;
  UnitItem item;

  GF_DEVICE explicit BackwardOf(const BackwardStepArguments& of) : step(of), item(of.hidden) {}

  GF_DEVICE bool there() const { return item.row < step.rows; }
  GF_DEVICE int64_t state() const { return item.row * step.hidden + item.unit; }
  GF_DEVICE KeptOf<Cell> kept() const {
    return KeptOf<Cell>(step.kept + item.row * step.kept_stride + int64_t{item.unit} * kPlain,
                        Cell::kCandidateApart ? step.candidate + state() : nullptr);
  }
  GF_DEVICE void load_gates(Gate<Lane> (&gates)[kScans + 1]) const {
#pragma unroll
    for (int scan = 0; scan < kScans; ++scan) {
      const float* at = step.gates + (item.row * kScans + scan) * 2 * step.hidden + item.unit;
      gates[scan] = {{at[0]}, {at[step.hidden]}};
    }
  }
  // The gradient by the layer's output of this step.
  GF_DEVICE float given() const {
    if (step.dy == nullptr) return 0.0f;
    const int32_t row = static_cast<int32_t>(item.row);
    const int64_t place = step.pass.sequences.place(step.pass.time(step.s, row), row);
    return step.dy[place * step.dy_stride + item.unit];
  }

  GF_DEVICE void store_recurrent(int block, Lane value) const {
    if (step.da_recurrent == nullptr) return;
    step.da_recurrent[item.row * step.recurrent_stride +
                      int64_t{item.unit} * kRecurrentBlocks<Cell> + recurrent_place<Cell>(block)] =
        value.v;
  }
  GF_DEVICE void store(int block, Lane value) const {
    step.da[item.row * step.kept_stride + int64_t{item.unit} * kPlain + block] = value.v;
    if (block != Cell::kCandidate) {
      store_recurrent(block, value);
    } else if constexpr (Cell::kResetBefore) {
      step.da_candidate[state()] = value.v;
    }
  }
  GF_DEVICE void store_all(const StepGradients<Lane>& d) const {
#pragma unroll
    for (int b = 0; b < kPlain; ++b) {
      if constexpr (Cell::kResetBefore) {
        if (b == Cell::kReset) continue;  // known in reset_backward()
      }
      store(b, d.a[b]);
    }
    if constexpr (Cell::kCandidateApart) store_recurrent(Cell::kCandidate, d.candidate);
#pragma unroll
    for (int scan = 0; scan < kScans; ++scan) {
      step.d_gates[(item.row * kScans + scan) * step.hidden + item.unit] = d.scan[scan].v;
    }
  }
};

}  // namespace

// Masked: with step.masks around the cell, which leave a part of h as it was, whatever the cell.
template <class Cell, bool kMasked>
__global__ void backward_kernel(const BackwardStepArguments step) {
  using Of = BackwardOf<Cell>;
  const Of of(step);
  if (!of.there()) return;
  const KeptOf<Cell> a = of.kept();
  Gate<Lane> gates[Of::kScans + 1];
  of.load_gates(gates);
  const Lane h = {step.h[of.state()]};
  StepStates<Lane> around = {h, h, h};
  Lane dc = h;
  if constexpr (Cell::kCellState) {
    around.c = {step.c[of.state()]};
    around.c_next = {step.c_next[of.state()]};
    dc = {step.dc[of.state()]};
  }
  const Lane dh = {step.dh[of.state()] + of.given()};
  Lane by_a[Of::kPlain];
  Lane by_scan[Of::kScans + 1];
  StepGradients<Lane> d = {by_a, dh, by_scan, dh};
  if constexpr (kMasked) {
    const Masks<Lane> masks =
        draw_masks(step.masks, step.pass, step.s, static_cast<int32_t>(of.item.row), of.item.unit);
    Regularized<Cell>::backward(a.get(), gates, around, masks, dh, dc, d);
  } else {
    Cell::backward(a.get(), gates, around, dh, dc, d);
  }
  of.store_all(d);
  if constexpr (Cell::kCellState) step.dc[of.state()] = dc.v;
  if constexpr (kMasked || !Cell::kCellState) step.dh[of.state()] = d.h.v;
  if constexpr (Cell::kResetBefore) step.reset[of.state()] = Cell::reset(a.get(), h).v;
}

template <class Cell>
__global__ void reset_backward_kernel(const BackwardStepArguments step) {
  using Of = BackwardOf<Cell>;
  const Of of(step);
  if (!of.there()) return;
  const Lane direct = {step.dh[of.state()]};
  Lane by_a[Of::kPlain];
  StepGradients<Lane> d = {by_a, direct, nullptr, direct};
  Cell::reset_backward(of.kept().get(), Lane{step.h[of.state()]}, Lane{step.d_reset[of.state()]},
                       d);
  of.store(Cell::kReset, d.a[Cell::kReset]);
  step.dh[of.state()] = d.h.v;
}

// A warp for each scan of a row.
template <class Cell>
__global__ void scan_backward_kernel(const BackwardStepArguments step) {
  using Of = BackwardOf<Cell>;
  const int64_t row = blockIdx.x / Of::kScans;
  const int scan = static_cast<int>(blockIdx.x % Of::kScans);
  const int64_t first =
      row * step.kept_stride + int64_t{step.hidden} * Of::kPlain + int64_t{scan} * step.slots;
  const float* slots = step.kept + first;
  const int lane = static_cast<int>(threadIdx.x);
  const double total = scan_terms(
      lane, step.slots, [&](int32_t k) { return slots[k]; }, step.da + first);
  scan_row_backward(lane, step.slots, step.chunk, total,
                    step.d_gates + (row * Of::kScans + scan) * step.hidden, step.da + first);
}

}  // namespace gatefuse::cuda
