// SPDX-License-Identifier: Apache-2.0
#include "cuda/alternating.hpp"

#include "cuda/launch.hpp"
#include "cuda/steps.cuh"

namespace gatefuse::cuda {
namespace {

struct CellKernels {
  void (*pointwise)(StepArguments);
  void (*masked)(StepArguments);
  void (*reset)(StepArguments);
  void (*scan)(StepArguments);
  int scans;
};

template <class Cell>
constexpr CellKernels kernels_of() {
  CellKernels kernels = {};
  kernels.pointwise = pointwise_kernel<Cell, false>;
  kernels.masked = pointwise_kernel<Cell, true>;
  kernels.scans = count_blocks<Cell>(true);
  if constexpr (Cell::kResetBefore) kernels.reset = reset_kernel<Cell>;
  if constexpr (count_blocks<Cell>(true) > 0) kernels.scan = scan_kernel<Cell>;
  return kernels;
}

const CellKernels& kernels_of(int32_t cell) {
#define GF_CELL_KERNELS(Cell) kernels_of<Cell>(),
  static const CellKernels all[] = {GF_FOR_EACH_CELL(GF_CELL_KERNELS)};
#undef GF_CELL_KERNELS
  return all[cell];
}

dim3 grid_of(const StepArguments& step) {
  return dim3(blocks_for(int64_t{step.rows} * step.hidden, kStepThreads));
}

}  // namespace

void run_pointwise(int32_t cell, const StepArguments& step, cudaStream_t stream) {
  const CellKernels& kernels = kernels_of(cell);
  launch("step", step.masks.any ? kernels.masked : kernels.pointwise, grid_of(step),
         dim3(kStepThreads), stream, step);
}

void run_reset(int32_t cell, const StepArguments& step, cudaStream_t stream) {
  launch("step", kernels_of(cell).reset, grid_of(step), dim3(kStepThreads), stream, step);
}

void run_scan(int32_t cell, const StepArguments& step, cudaStream_t stream) {
  const CellKernels& kernels = kernels_of(cell);
  launch("step", kernels.scan, dim3(static_cast<unsigned>(step.rows * kernels.scans)), dim3(32),
         stream, step);
}

}  // namespace gatefuse::cuda
