// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/device.hpp"

namespace gatefuse::cuda {

// Launches a kernel on a stream. All launches go through cudaLaunchKernelEx.
template <class... Parameters, class... Arguments>
void launch(const char* what, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            cudaStream_t stream, const Arguments&... arguments) {
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, arguments...), what);
}

// Blocks of so many threads for n items.
inline unsigned blocks_for(int64_t n, int64_t threads) {
  return static_cast<unsigned>((n + threads - 1) / threads);
}

}  // namespace gatefuse::cuda
