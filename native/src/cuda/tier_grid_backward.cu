// SPDX-License-Identifier: Apache-2.0
#include "cuda/persistent_backward.cuh"

namespace gatefuse::cuda {

PersistentBackwardKernel grid_backward_kernel(int32_t cell, int32_t precision) {
  return backward_kernel_of<Exchange::kGrid>(cell, precision);
}

}  // namespace gatefuse::cuda
