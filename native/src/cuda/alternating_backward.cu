// SPDX-License-Identifier: Apache-2.0
#include "cuda/alternating_backward.hpp"

#include "cuda/backward_steps.cuh"
#include "cuda/launch.hpp"

namespace gatefuse::cuda {
namespace {

// Null where a cell has no use for it.
struct CellKernels {
  void (*add_recurrent)(ChunkArguments);
  void (*make_reset)(ChunkArguments);
  void (*add_candidate)(ChunkArguments);
  void (*make_gates)(ChunkArguments);
  void (*backward)(BackwardStepArguments);
  void (*masked)(BackwardStepArguments);
  void (*reset_backward)(BackwardStepArguments);
  void (*scan_backward)(BackwardStepArguments);
  int scans;
};

template <class Cell>
constexpr CellKernels kernels_of() {
  CellKernels kernels = {};
  kernels.add_recurrent = add_recurrent_kernel<Cell>;
  kernels.backward = backward_kernel<Cell, false>;
  kernels.masked = backward_kernel<Cell, true>;
  kernels.scans = count_blocks<Cell>(true);
  if constexpr (Cell::kResetBefore) {
    kernels.make_reset = make_reset_kernel<Cell>;
    kernels.add_candidate = add_candidate_kernel<Cell>;
    kernels.reset_backward = reset_backward_kernel<Cell>;
  }
  if constexpr (count_blocks<Cell>(true) > 0) {
    kernels.make_gates = make_gates_kernel<Cell>;
    kernels.scan_backward = scan_backward_kernel<Cell>;
  }
  return kernels;
}

const CellKernels& kernels_of(int32_t cell) {
#define GF_CELL_KERNELS(Cell) kernels_of<Cell>(),
  static const CellKernels all[] = {GF_FOR_EACH_CELL(GF_CELL_KERNELS)};
#undef GF_CELL_KERNELS
  return all[cell];
}

int64_t rows_of(const ChunkArguments& chunk) {
  return int64_t{chunk.pass.steps} * chunk.pass.sequences.batch;
}

// A thread for each unit of each row.
template <class Arguments>
void launch_units(void (*kernel)(Arguments), int64_t rows, const Arguments& arguments,
                  cudaStream_t stream) {
  launch("backward", kernel, dim3(blocks_for(rows * arguments.hidden, kBackwardThreads)),
         dim3(kBackwardThreads), stream, arguments);
}

// A warp for each scan of each row.
template <class Arguments>
void launch_scans(void (*kernel)(Arguments), int64_t scans, const Arguments& arguments,
                  cudaStream_t stream) {
  launch("backward", kernel, dim3(static_cast<unsigned>(scans)), dim3(32), stream, arguments);
}

}  // namespace

void add_recurrent(int32_t cell, const ChunkArguments& chunk, cudaStream_t stream) {
  launch_units(kernels_of(cell).add_recurrent, rows_of(chunk), chunk, stream);
}

void make_reset(int32_t cell, const ChunkArguments& chunk, cudaStream_t stream) {
  launch_units(kernels_of(cell).make_reset, rows_of(chunk), chunk, stream);
}

void add_candidate(int32_t cell, const ChunkArguments& chunk, cudaStream_t stream) {
  launch_units(kernels_of(cell).add_candidate, rows_of(chunk), chunk, stream);
}

void make_gates(int32_t cell, const ChunkArguments& chunk, cudaStream_t stream) {
  const CellKernels& kernels = kernels_of(cell);
  launch_scans(kernels.make_gates, rows_of(chunk) * kernels.scans, chunk, stream);
}

void run_backward(int32_t cell, const BackwardStepArguments& step, cudaStream_t stream) {
  const CellKernels& kernels = kernels_of(cell);
  launch_units(step.masks.any ? kernels.masked : kernels.backward, step.rows, step, stream);
}

void run_reset_backward(int32_t cell, const BackwardStepArguments& step, cudaStream_t stream) {
  launch_units(kernels_of(cell).reset_backward, step.rows, step, stream);
}

void run_scan_backward(int32_t cell, const BackwardStepArguments& step, cudaStream_t stream) {
  const CellKernels& kernels = kernels_of(cell);
  launch_scans(kernels.scan_backward, int64_t{step.rows} * kernels.scans, step, stream);
}

}  // namespace gatefuse::cuda
