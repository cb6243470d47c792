// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "runtime.hpp"

namespace gatefuse::benchmark {

// What an exchange of h costs, in cycles of a multiprocessor.
struct ExchangeCost {
  std::string what;
  int blocks = 0;  // that exchange
  int units = 0;   // whose h goes around; 0: none, only a flag
  double cycles = 0;
  std::string error;
};

struct ResidentClusters {
  int size = 0;
  int small = 0;  // clusters that run at a time, with little shared memory
  int full = 0;   // the same, each block with all shared memory that there is for one
};

struct Exchanges {
  std::vector<ExchangeCost> costs;
  std::vector<ResidentClusters> clusters;
  double gigahertz = 0;  // of the multiprocessors meanwhile
  // The straight line through the cluster's costs by its size.
  double cluster_base = 0, cluster_per_block = 0;
};

// Measures the exchanges that the persistent kernels use, the very same code, without any product
// or pointwise mathematics: `rounds` steps of each.
Exchanges measure_exchanges(int rounds);

}  // namespace gatefuse::benchmark
