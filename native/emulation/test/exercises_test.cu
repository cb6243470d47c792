// SPDX-License-Identifier: Apache-2.0
//
// The exercises give the right answers in every mode of the scheduler.
#include "exercises.cuh"

#include <vector>

#include "check.hpp"
#include "emulation.hpp"

namespace gatefuse::exercises {
namespace {

void run_grid_exchange() {
  constexpr int kBlocks = 6, kSteps = 5, n = kBlocks * kThreads;
  std::vector<float> expected(2 * n), got(2 * n);
  for (int i = 0; i < n; ++i) expected[i] = static_cast<float>(i % 17);
  float* values = nullptr;
  unsigned* counter = nullptr;
  int* status = nullptr;
  CHECK_EQ(cudaMalloc(&values, 2 * n * sizeof(float)), cudaSuccess);
  CHECK_EQ(cudaMalloc(&counter, sizeof *counter), cudaSuccess);
  CHECK_EQ(cudaMalloc(&status, sizeof *status), cudaSuccess);
  CHECK_EQ(cudaMemcpy(values, expected.data(), n * sizeof(float), cudaMemcpyHostToDevice),
           cudaSuccess);
  CHECK_EQ(cudaMemsetAsync(counter, 0, sizeof *counter), cudaSuccess);
  cudaLaunchConfig_t configuration = {};
  configuration.gridDim = dim3(kBlocks);
  configuration.blockDim = dim3(kThreads);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  configuration.attrs = &attribute;
  configuration.numAttrs = 1;
  CHECK_EQ(cudaLaunchKernelEx(&configuration, grid_exchange, values, counter, status, kSteps),
           cudaSuccess);
  CHECK_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  std::fprintf(stderr, "%s\n", emulation::failure().c_str());
  CHECK_EQ(cudaMemcpy(got.data(), values, 2 * n * sizeof(float), cudaMemcpyDeviceToHost),
           cudaSuccess);
  for (int step = 0; step < kSteps; ++step) {
    const float* from = &expected[(step & 1) * n];
    float* to = &expected[((step + 1) & 1) * n];
    for (int i = 0; i < n; ++i) to[i] = from[(i + kThreads) % n] + from[(i + 2 * kThreads) % n];
  }
  CHECK(got == expected);
  cudaFree(values);
  cudaFree(counter);
  cudaFree(status);
}

}  // namespace
}  // namespace gatefuse::exercises

int main() {
  for (int mode = 0; mode < gatefuse::emulation::kModes; ++mode) {
    gatefuse::emulation::set_mode(static_cast<gatefuse::emulation::Mode>(mode));
    for (int seed = 1; seed <= 3; ++seed) {
      gatefuse::emulation::set_seed(seed);
      gatefuse::exercises::run_grid_exchange();
    }
  }
  CHECK(gatefuse::emulation::live().none());
  return gatefuse::test::result();
}
