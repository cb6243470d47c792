// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "cuda/device.hpp"
#include "cuda/persistent.hpp"

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

// How a persistent kernel is launched: for occupancy queries and for the launch itself.
class PersistentLaunch {
 public:
  PersistentLaunch(Exchange exchange, const PersistentShape& shape, int32_t slices,
                   cudaStream_t stream) {
    config_.gridDim = dim3(static_cast<unsigned>(slices * shape.blocks));
    config_.blockDim = dim3(static_cast<unsigned>(shape.threads()));
    config_.dynamicSmemBytes = static_cast<size_t>(shape.shared_bytes);
    config_.stream = stream;
    config_.attrs = &attribute_;
    if (exchange == Exchange::kCluster) {
      attribute_.id = cudaLaunchAttributeClusterDimension;
      attribute_.val.clusterDim.x = static_cast<unsigned>(shape.blocks);
      attribute_.val.clusterDim.y = 1;
      attribute_.val.clusterDim.z = 1;
      config_.numAttrs = 1;
    } else if (exchange == Exchange::kGrid) {
      attribute_.id = cudaLaunchAttributeCooperative;
      attribute_.val.cooperative = 1;
      config_.numAttrs = 1;
    }
  }
  PersistentLaunch(const PersistentLaunch&) = delete;
  PersistentLaunch& operator=(const PersistentLaunch&) = delete;
  const cudaLaunchConfig_t* config() const { return &config_; }

 private:
  cudaLaunchConfig_t config_ = {};
  cudaLaunchAttribute attribute_ = {};
};

// All steps of all slices of the arguments' rows in one launch of a persistent tier, there or back,
// or in as many as it takes for the slices of a launch to be on the device together.
template <class Tier, class Arguments>
void launch_slices(const char* what, const Tier& tier, Arguments arguments, cudaStream_t stream) {
  const int32_t slices = (arguments.rows + kSliceRows - 1) / kSliceRows;
  if (arguments.arrived != nullptr) {
    check(cudaMemsetAsync(arguments.arrived, 0, slices * sizeof *arguments.arrived, stream),
          "exchange");
  }
  const int32_t most = tier.slices_at_once == 0 ? slices : tier.slices_at_once;
  for (int32_t first = 0; first < slices; first += most) {
    arguments.first_slice = first;
    const PersistentLaunch launch(tier.exchange, tier.shape, std::min(most, slices - first),
                                  stream);
    check(cudaLaunchKernelEx(launch.config(), tier.kernel, arguments), what);
  }
}

// Blocks of so many threads for n items.
inline unsigned blocks_for(int64_t n, int64_t threads) {
  return static_cast<unsigned>((n + threads - 1) / threads);
}

}  // namespace gatefuse::cuda
