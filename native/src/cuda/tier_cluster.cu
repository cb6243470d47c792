// SPDX-License-Identifier: Apache-2.0
#include "cuda/persistent.cuh"

namespace gatefuse::cuda {

PersistentKernel cluster_kernel(int32_t cell, int32_t precision) {
  return kernel_of<Exchange::kCluster>(cell, precision);
}

}  // namespace gatefuse::cuda
