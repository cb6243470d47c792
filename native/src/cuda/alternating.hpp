// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/steps.cuh"

namespace gatefuse::cuda {

// The pointwise kernels of a cell, for all rows of a step.
void run_pointwise(int32_t cell, const StepArguments& step, cudaStream_t stream);
// For a cell that resets before its second product.
void run_reset(int32_t cell, const StepArguments& step, cudaStream_t stream);
// For a cell with cumulative softmax gates.
void run_scan(int32_t cell, const StepArguments& step, cudaStream_t stream);

}  // namespace gatefuse::cuda
