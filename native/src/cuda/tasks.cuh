// SPDX-License-Identifier: Apache-2.0
//
// What the persistent kernels of both ways multiply. A task is a set of fragments and one chunk of
// k; the warps of a block share its tasks, whose weights stay in registers and shared memory for
// the whole sequence.
#pragma once

#include <cstdint>

#include "cuda/operands.cuh"
#include "cuda/persistent.hpp"

namespace gatefuse::cuda {

// Where a thread stands.
struct Role {
  int lane, warp;
  int g, t;           // lane = 4 g + t
  int32_t slice;      // of the batch
  int32_t rank;       // of the block in its slice
  int32_t unit;       // of the pointwise mathematics: row g of the warp's group
  int32_t row[2];     // of the batch, by place: 2 t and 2 t + 1 of the slice
  int32_t length[2];  // 0 for a row that is none
  bool pointwise;     // whether the warp has a group

  template <class Arguments>
  GF_DEVICE Role(const Arguments& a, int32_t rank_of_block)
      : lane(static_cast<int>(threadIdx.x) % 32),
        warp(static_cast<int>(threadIdx.x) / 32),
        g(lane / 4),
        t(lane % 4),
        slice(a.first_slice + static_cast<int32_t>(blockIdx.x) / a.shape.blocks),
        rank(rank_of_block),
        unit((rank * a.shape.groups + warp) * kGroupUnits + g),
        pointwise(warp < a.shape.groups) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      row[j] = slice * kSliceRows + 2 * t + j;
      length[j] = row[j] < a.rows ? a.pass.sequences.length(row[j]) : 0;
    }
  }
};

// A warp's tasks. kRegisterSteps of its k steps have their weights in registers, and they are of
// its first kRegisterTasks tasks.
template <class P, int kFragments, int kRegisterSteps, int kRegisterTasks>
class Tasks {
 public:
  using Op = Operands<P>;
  using Storage = typename P::Storage;

  // The lane's rows in the fragments of a task, from the task's first k step. Found once: nvcc
  // would write it out for each step whose weights are in registers.
  struct Rows {
    const Storage* low[kFragments];
    const Storage* high[kFragments];
  };
  struct Results {
    float r[kFragments][4];
  };

  GF_DEVICE Tasks(const PersistentShape& shape, ptx::SharedMemory& shared)
      : shape_(shape),
        lane_(static_cast<int>(threadIdx.x) % 32),
        warp_(static_cast<int>(threadIdx.x) / 32) {
    weights_ =
        shared.template take<Fragment>(shape.warps * shape.shared_steps * kFragments * 32 + 1);
  }

  // Of the block, the i-th of the warp.
  GF_DEVICE int task(int i) const { return warp_ * shape_.warp_tasks + i; }
  GF_DEVICE int count() const {
    const int left = shape_.tasks() - task(0);
    return left < shape_.warp_tasks ? left : shape_.warp_tasks;
  }

  // rows_of(task): its Rows. read(task, low, high, step): the fragment of a step of the task. What
  // is not in registers lies in shared memory, each lane's own.
  template <class RowsOf, class Read>
  GF_DEVICE void load(RowsOf rows_of, Read read) {
    const Rows first = rows_of(task(0));
    const Rows second = rows_of(task(1));
#pragma unroll
    for (int r = 0; r < kRegisterSteps; ++r) {
      const bool in_first = r < steps_of(0);
      const int step = in_first ? r : r - steps_of(0);
      const bool there = in_first || (kRegisterTasks > 1 && step < steps_of(1));
#pragma unroll
      for (int f = 0; f < kFragments; ++f) {
        registers_[r][f] =
            there ? read(task(in_first ? 0 : 1), in_first ? first.low[f] : second.low[f],
                         in_first ? first.high[f] : second.high[f], step)
                  : Fragment{};
      }
    }
    int at = 0;
    for (int i = 0; i < count(); ++i) {
      const Rows rows = rows_of(task(i));
      for (int step = first_shared_step(i); step < steps_of(i); ++step, ++at) {
#pragma unroll
        for (int f = 0; f < kFragments; ++f) {
          shared_fragment(at, f) = read(task(i), rows.low[f], rows.high[f], step);
        }
      }
    }
  }

  // Of a warp with one task. tile: the operands of all chunks.
  GF_DEVICE Results sum_alone(const Storage* tile) const {
    Sums first = {};
    Sums none = {};
    int at = 0;
    sum_registers(tile, first, none);
    return sum_rest(tile, 0, first, at);
  }

  // Calls hand_in(task, results) for each task of the warp.
  template <class HandIn>
  GF_DEVICE void sum_each(const Storage* tile, HandIn hand_in) const {
    Sums first = {};
    Sums second = {};
    int at = 0;
    sum_registers(tile, first, second);
    if (count() > 0) hand_in(task(0), sum_rest(tile, 0, first, at));
    if constexpr (kRegisterTasks > 1) {
      if (count() > 1) hand_in(task(1), sum_rest(tile, 1, second, at));
    }
    for (int i = kRegisterTasks; i < count(); ++i) {
      Sums sums = {};
      hand_in(task(i), sum_rest(tile, i, sums, at));
    }
  }

 private:
  struct Sums {
    typename Op::Sum f[kFragments];
  };

  // The k steps of a warp's task; 0 for one that it has not.
  GF_DEVICE int steps_of(int i) const {
    if (i >= count()) return 0;
    const int left = shape_.k_steps - task(i) % shape_.chunks * shape_.chunk_steps;
    return left < shape_.chunk_steps ? left : shape_.chunk_steps;
  }
  // The first k step of a warp's task whose weights are not in registers: these hold what fits of
  // the first task, then of the second.
  GF_DEVICE int first_shared_step(int i) const {
    if (i >= kRegisterTasks) return 0;
    const int before = i == 0 ? 0 : steps_of(0);
    const int left = kRegisterSteps > before ? kRegisterSteps - before : 0;
    return left < steps_of(i) ? left : steps_of(i);
  }
  GF_DEVICE Fragment& shared_fragment(int step, int fragment) const {
    const int index = (warp_ * shape_.shared_steps + step) * kFragments + fragment;
    return weights_[index * 32 + lane_];
  }

  // Where the tile begins for a warp's task.
  GF_DEVICE const Storage* tile_of(const Storage* tile, int i) const {
    return tile + task(i) % shape_.chunks * shape_.chunk_steps * Op::kStep;
  }
  // Adds a k step. weights(f): its fragment f.
  template <class Weights>
  GF_DEVICE void multiply(Sums& sums, const Storage* tile, int step, Weights weights) const {
    const auto columns =
        Op::columns(tile + step * Op::kStep, shape_.tile_stride, lane_ / 4, lane_ % 4);
#pragma unroll
    for (int f = 0; f < kFragments; ++f) Op::multiply(sums.f[f], weights(f), columns);
  }

  // The part of the first kRegisterTasks tasks whose weights are in registers.
  GF_DEVICE void sum_registers(const Storage* tile, Sums& first, Sums& second) const {
    const int first_steps = steps_of(0);
    [[maybe_unused]] const int second_steps = steps_of(1);
#pragma unroll
    for (int r = 0; r < kRegisterSteps; ++r) {
      const auto weights = [&](int f) { return registers_[r][f]; };
      if (r < first_steps) {
        multiply(first, tile_of(tile, 0), r, weights);
      } else if constexpr (kRegisterTasks > 1) {
        if (r - first_steps < second_steps) {
          multiply(second, tile_of(tile, 1), r - first_steps, weights);
        }
      }
    }
  }
  // The rest of task i. `at` counts the steps whose weights are shared.
  GF_DEVICE Results sum_rest(const Storage* tile, int i, Sums& sums, int& at) const {
    for (int step = first_shared_step(i); step < steps_of(i); ++step, ++at) {
      multiply(sums, tile_of(tile, i), step, [&](int f) { return shared_fragment(at, f); });
    }
    Results result;
#pragma unroll
    for (int f = 0; f < kFragments; ++f) Op::finish(sums.f[f], lane_ % 4, result.r[f]);
    return result;
  }

  const PersistentShape& shape_;
  int lane_, warp_;
  Fragment* weights_;  // [warps][shared steps][fragments][32]
  Fragment registers_[kRegisterSteps > 0 ? kRegisterSteps : 1][kFragments];
};

}  // namespace gatefuse::cuda
