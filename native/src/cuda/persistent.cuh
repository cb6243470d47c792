// SPDX-License-Identifier: Apache-2.0
//
// Persistent kernels: one launch takes a slice of the batch through all steps of a layer, on
// weights that stay in registers and shared memory.
//
// Every block owns some groups of 8 units with all their gates. A group's rows are laid into the
// fragments of the matrix instruction such that a lane's results are the gates of one unit for two
// rows of the batch: fragment j has block 2 j of the units in its rows 0 .. 7 and block 2 j + 1 in
// rows 8 .. 15. So the pointwise mathematics needs no exchange of gates. Only h is exchanged, and
// with scans their slots; how is the one difference between the tiers: see exchange.cuh.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/draws.cuh"
#include "cuda/exchange.cuh"
#include "cuda/lane.cuh"
#include "cuda/operands.cuh"
#include "cuda/persistent.hpp"
#include "cuda/scan.cuh"
#include "cuda/tasks.cuh"

namespace gatefuse::cuda {

template <class Cell, class P, Exchange kExchange>
class PersistentLayer {
 public:
  using Op = Operands<P>;
  using Storage = typename P::Storage;
  static constexpr int kPlain = count_blocks<Cell>(false);
  static constexpr int kScans = count_blocks<Cell>(true);
  static constexpr int kBlocks = kPlain + kScans;
  static constexpr int kFragments = (kBlocks + 1) / 2;  // of a group
  static constexpr InstanceLimits kLimits = limits_of(kExchange, P::kId, kPlain, kScans);
  using TasksOf = Tasks<P, kFragments, kLimits.register_steps, kLimits.register_tasks>;

  GF_DEVICE explicit PersistentLayer(const PersistentArguments& arguments)
      : a_(arguments),
        role_(arguments, ExchangeOf<P, kExchange>::rank(arguments.shape)),
        exchange_(arguments, shared_, role_.slice, role_.rank),
        slots_(arguments, shared_, kScans, arguments.slots, arguments.shape.blocks),
        tasks_(arguments.shape, shared_) {
    sums_ = shared_.template take<float>(one_task() ? 1 : a_.shape.tasks() * kTaskSums);
    if constexpr (kScans > 0) {
      gates_ = shared_.template take<float>(kScans * kSliceRows * 2 * a_.shape.units());
    }
  }

  GF_DEVICE void run() {
    load_weights();
    load_state();
    if constexpr (kScans > 0) slots_.begin();
    exchange_.begin();
    const int32_t last = last_step();
    fetch_input(a_.pass.first);
    for (int32_t s = a_.pass.first; s < last; ++s) step(s, s + 1 == last);
    exchange_.end();
    store_state();
  }

 private:
  static constexpr int kTaskSums = 32 * kFragments * 4;  // of all lanes

  using GroupSums = typename TasksOf::Results;

  GF_DEVICE bool one_task() const { return a_.shape.chunks == 1; }

  // Steps of this slice end with its longest row, which is the first.
  GF_DEVICE int32_t last_step() const {
    const int32_t longest = a_.pass.sequences.length(role_.slice * kSliceRows);
    const int32_t end = a_.pass.first + a_.pass.steps;
    return longest < end ? longest : end;
  }

  // ---- Weights

  // The row of a unit's block in a packed matrix; -1 where there is none. Behind the plain blocks
  // come the scans, whose slot k is a block of unit k.
  GF_DEVICE int64_t packed_row(int32_t unit, int block) const {
    if (block < kPlain) return unit < a_.hidden ? int64_t{unit} * kPlain + block : -1;
    if (block >= kBlocks || unit >= a_.slots) return -1;
    return int64_t{a_.hidden} * kPlain + int64_t{block - kPlain} * a_.slots + unit;
  }
  GF_DEVICE const Storage* weight(int32_t unit, int block, int k_step) const {
    const int64_t row = packed_row(unit, block);
    if (row < 0) return nullptr;
    return static_cast<const Storage*>(a_.recurrent.weight) + row * a_.recurrent.stride +
           k_step * Op::kStep;
  }
  GF_DEVICE typename TasksOf::Rows rows_of(int task) const {
    const int group = task / a_.shape.chunks;
    const int k_step = task % a_.shape.chunks * a_.shape.chunk_steps;
    const int32_t unit = (role_.rank * a_.shape.groups + group) * kGroupUnits + role_.g;
    typename TasksOf::Rows rows;
#pragma unroll
    for (int f = 0; f < kFragments; ++f) {
      rows.low[f] = weight(unit, 2 * f, k_step);
      rows.high[f] = weight(unit, 2 * f + 1, k_step);
    }
    return rows;
  }
  GF_DEVICE Fragment load_fragment(const Storage* low, const Storage* high, int step) const {
    const int k = step * Op::kStep;
    return Op::load(low == nullptr ? low : low + k, high == nullptr ? high : high + k, role_.t);
  }

  GF_DEVICE void load_weights() {
    tasks_.load([&](int task) { return rows_of(task); },
                [&](int, const Storage* low, const Storage* high, int step) {
                  return load_fragment(low, high, step);
                });
#pragma unroll
    for (int b = 0; b < kBlocks; ++b) {
      const int64_t row = role_.pointwise ? packed_row(role_.unit, b) : -1;
      bias_[b] = row >= 0 ? a_.recurrent.bias[row] : 0.0f;
    }
  }

  // ---- State and input

  GF_DEVICE bool own(int j) const {
    return role_.pointwise && role_.unit < a_.hidden && role_.row[j] < a_.rows;
  }
  GF_DEVICE int64_t state(int j) const { return int64_t{role_.row[j]} * a_.hidden + role_.unit; }

  GF_DEVICE void load_state() {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      h_[j] = own(j) ? a_.h[state(j)] : 0.0f;
      if constexpr (Cell::kCellState) c_[j] = own(j) ? a_.c[state(j)] : 0.0f;
    }
  }
  GF_DEVICE void store_state() const {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      if (!own(j)) continue;
      a_.h[state(j)] = h_[j];
      if constexpr (Cell::kCellState) a_.c[state(j)] = c_[j];
    }
  }

  // Brings the input's part of a step on its way, a step before it is used.
  GF_DEVICE void fetch_input(int32_t s) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const bool runs = own(j) && s < role_.length[j];
      const int64_t row = int64_t{s - a_.pass.first} * a_.pass.sequences.batch + role_.row[j];
      const float* x = a_.x + row * a_.x_stride;
#pragma unroll
      for (int b = 0; b < kPlain; ++b) {
        next_x_[j][b] = runs ? x[int64_t{role_.unit} * kPlain + b] : 0.0f;
      }
#pragma unroll
      for (int b = kPlain; b < kBlocks; ++b) {
        next_x_[j][b] = runs && role_.unit < a_.slots ? x[packed_row(role_.unit, b)] : 0.0f;
      }
    }
  }

  // ---- A step

  GF_DEVICE void step(int32_t s, bool last) {
    float x[2][kBlocks];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
#pragma unroll
      for (int b = 0; b < kBlocks; ++b) x[j][b] = next_x_[j][b];
    }
    if (!last) fetch_input(s + 1);
    const int32_t i = s - a_.pass.first;
    const Storage* tile = exchange_.await(i);
    const GroupSums sums = one_task() ? tasks_.sum_alone(tile) : sum_together(tile);
    if constexpr (kScans > 0) run_scans(i, x, sums);
    if (role_.pointwise) {
#pragma unroll
      for (int j = 0; j < 2; ++j) pointwise(s, j, x[j], sums);
    }
    if (!last) exchange_.publish(i, role_.pointwise, h_);
    if (role_.pointwise) write_output(s);
    if (role_.pointwise && a_.kept_h != nullptr) keep_states(s);
  }

  GF_DEVICE void hand_in(int task, const GroupSums& sums) const {
    float* to = sums_ + task * kTaskSums;
#pragma unroll
    for (int f = 0; f < kFragments; ++f) {
#pragma unroll
      for (int r = 0; r < 4; ++r) to[(f * 4 + r) * 32 + role_.lane] = sums.r[f][r];
    }
  }

  // Several chunks: all warps of the block share the tasks, and the groups' warps add them up.
  GF_DEVICE GroupSums sum_together(const Storage* tile) const {
    tasks_.sum_each(tile, [&](int task, const GroupSums& sums) { hand_in(task, sums); });
    __syncthreads();
    GroupSums total = {};
    if (!role_.pointwise) return total;
    for (int chunk = 0; chunk < a_.shape.chunks; ++chunk) {
      const float* from = sums_ + (role_.warp * a_.shape.chunks + chunk) * kTaskSums;
#pragma unroll
      for (int f = 0; f < kFragments; ++f) {
#pragma unroll
        for (int r = 0; r < 4; ++r) total.r[f][r] += from[(f * 4 + r) * 32 + role_.lane];
      }
    }
    return total;
  }

  // Of the block's units.
  GF_DEVICE float* gates_of(int scan, int row) const {
    return gates_ + (scan * kSliceRows + row) * 2 * a_.shape.units();
  }

  // The warps hand on the slots that they have made, then each makes the gates of some rows.
  GF_DEVICE void run_scans(int32_t i, const float (&x)[2][kBlocks], const GroupSums& sums) {
    const int32_t first_slot = role_.unit - role_.g;
    if (role_.pointwise && first_slot < a_.slots) {
#pragma unroll
      for (int scan = 0; scan < kScans; ++scan) {
        const int b = kPlain + scan;
        float pre[2];
#pragma unroll
        for (int j = 0; j < 2; ++j) pre[j] = x[j][b] + (bias_[b] + sums.r[b / 2][b % 2 * 2 + j]);
        if (a_.keep != 0) keep_slots(i, b, pre);
        slots_.publish(scan, first_slot, pre);
      }
    }
    slots_.await(i);
    const int32_t units = a_.shape.units();
    for (int item = role_.warp; item < kScans * kSliceRows; item += a_.shape.warps) {
      float* slots = slots_.row(item / kSliceRows, item % kSliceRows);
      float* gate = gates_of(item / kSliceRows, item % kSliceRows);
      scan_row(role_.lane, a_.slots, a_.chunk, [&](int32_t k) { return slots[k]; }, slots,
               {gate, gate + units, role_.rank * units, units});
    }
    __syncthreads();
  }

  // The cell's mathematics for the lane's unit in its row j.
  GF_DEVICE void pointwise(int32_t s, int j, const float (&x)[kBlocks], const GroupSums& sums) {
    if (!own(j) || s >= role_.length[j]) return;
    Lane inputs[kPlain];
    Lane recurrent[kPlain];
#pragma unroll
    for (int b = 0; b < kPlain; ++b) {
      inputs[b] = {x[b]};
      recurrent[b] = {bias_[b] + sums.r[b / 2][b % 2 * 2 + j]};
    }
    Gate<Lane> gates[kScans + 1];
#pragma unroll
    for (int scan = 0; scan < kScans; ++scan) {
      const float* gate = gates_of(scan, 2 * role_.t + j) + role_.warp * kGroupUnits + role_.g;
      gates[scan] = {{gate[0]}, {gate[a_.shape.units()]}};
    }
    Lane h = {h_[j]};
    Lane c = h;
    if constexpr (Cell::kCellState) c = {c_[j]};
    Masked<Cell>{a_.masks, step_row(s, j) * a_.hidden + role_.unit}.forward(
        PreActivations<Lane>{inputs, recurrent}, gates, c, h);
    if constexpr (Cell::kCellState) c_[j] = c.v;
    h_[j] = h.v;
    if (a_.keep != 0) keep(step_row(s, j), inputs, recurrent);
  }

  // The row's number among those of all steps of the pass.
  GF_DEVICE int64_t step_row(int32_t s, int j) const {
    return int64_t{s - a_.pass.first} * a_.pass.sequences.batch + role_.row[j];
  }

  // Puts pre-activations in the place of the projections, as a step backwards reads them.
  GF_DEVICE void keep(int64_t row, const Lane (&inputs)[kPlain],
                      const Lane (&recurrent)[kPlain]) const {
    float* to = a_.x + row * a_.x_stride + int64_t{role_.unit} * kPlain;
#pragma unroll
    for (int b = 0; b < kPlain; ++b) {
      if constexpr (Cell::kCandidateApart) {
        if (b == Cell::kCandidate) {
          a_.kept_candidate[row * a_.hidden + role_.unit] = recurrent[b].v;
          continue;
        }
      }
      to[b] = inputs[b].v + recurrent[b].v;
    }
  }
  GF_DEVICE void keep_slots(int32_t i, int b, const float (&pre)[2]) const {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int32_t s = a_.pass.first + i;
      if (role_.unit >= a_.slots || role_.row[j] >= a_.rows || s >= role_.length[j]) continue;
      a_.x[step_row(s, j) * a_.x_stride + packed_row(role_.unit, b)] = pre[j];
    }
  }

  // Behind the exchange: nobody waits for it.
  GF_DEVICE void write_output(int32_t s) const {
    if (a_.y == nullptr) return;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      if (!own(j) || s >= role_.length[j]) continue;
      const int32_t row = role_.row[j];
      const int64_t place = a_.pass.sequences.place(a_.pass.time(s, row), row);
      a_.y[place * a_.y_stride + role_.unit] = h_[j];
    }
  }

  GF_DEVICE void keep_states(int32_t s) const {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      if (!own(j) || s >= role_.length[j]) continue;
      const int64_t at = step_row(s, j) * a_.hidden + role_.unit;
      a_.kept_h[at] = h_[j];
      if constexpr (Cell::kCellState) a_.kept_c[at] = c_[j];
    }
  }

  const PersistentArguments& a_;
  ptx::SharedMemory shared_;
  Role role_;
  ExchangeOf<P, kExchange> exchange_;
  std::conditional_t<(kScans > 0), SlotsOf<kExchange, PersistentArguments>, NoSlots> slots_;
  TasksOf tasks_;
  float* sums_;             // [tasks][kTaskSums]
  float* gates_ = nullptr;  // [scans][kSliceRows][2][units] gates and complements
  float bias_[kBlocks];
  float h_[2] = {};
  float c_[2] = {};
  float next_x_[2][kBlocks];
};

template <class Cell, class P, Exchange kExchange>
__global__ void __launch_bounds__(PersistentLayer<Cell, P, kExchange>::kLimits.most_warps * 32, 1)
    persistent_kernel([[maybe_unused]] const __grid_constant__ PersistentArguments arguments) {
  // Where an instance is never launched, nothing of it is compiled.
  if constexpr (kHasProducts<P> && (kExchange != Exchange::kCluster || ptx::kClusters)) {
    PersistentLayer<Cell, P, kExchange> layer(arguments);
    layer.run();
  }
}

// The kernels of one exchange, by cell and precision.
template <class Cell, Exchange kExchange>
PersistentKernel kernel_of(int32_t precision) {
  PersistentKernel kernel = nullptr;
  if constexpr (!Cell::kResetBefore &&
                (kExchange != Exchange::kGrid || count_blocks<Cell>(true) == 0)) {
    with_precision(precision,
                   [&](auto p) { kernel = persistent_kernel<Cell, decltype(p), kExchange>; });
  }
  return kernel;
}

template <Exchange kExchange>
PersistentKernel kernel_of(int32_t cell, int32_t precision) {
  int32_t number = 0;
#define GF_KERNEL_OF(Cell) \
  if (number++ == cell) return kernel_of<Cell, kExchange>(precision);
  GF_FOR_EACH_CELL(GF_KERNEL_OF)
#undef GF_KERNEL_OF
  return nullptr;
}

}  // namespace gatefuse::cuda
