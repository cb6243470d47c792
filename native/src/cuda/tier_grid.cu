// SPDX-License-Identifier: Apache-2.0
#include "cuda/persistent.cuh"

namespace gatefuse::cuda {

PersistentKernel grid_kernel(int32_t cell, int32_t precision) {
  return kernel_of<Exchange::kGrid>(cell, precision);
}

}  // namespace gatefuse::cuda
