// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "contender.hpp"
#include "exchange.hpp"

namespace gatefuse::benchmark {

struct Report {
  bool emulated = false;
  std::string device;    // or why there is none
  std::string cudnn;     // its version, or why there is none
  std::string left_out;  // shapes for which there was no time
  Exchanges exchanges;
  std::vector<Measured> measured;

  // For people and for programs; what is measured later comes into a later writing.
  void write(const std::string& markdown, const std::string& json) const;
};

// What another program measured, lines of fields separated by tabs: library, cell, precision,
// variant, H, B, T, ragged (0 or 1), lower, median and upper quartile in microseconds per step.
std::vector<Measured> read_peers(const std::string& path);

}  // namespace gatefuse::benchmark
