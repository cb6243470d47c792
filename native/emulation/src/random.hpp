// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace gatefuse::emulation {

// Marsaglia's xorshift with a multiplication: small, fast, the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed = 1) { restart(seed); }
  void restart(uint64_t seed) {
    state_ = seed * 0x9e3779b97f4a7c15u | 1u;
    for (int i = 0; i < 8; ++i) next();
  }
  uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545f4914f6cdd1du >> 16;
  }
  uint64_t below(uint64_t bound) { return next() % bound; }
  bool one_in(uint64_t n) { return below(n) == 0; }

 private:
  uint64_t state_ = 1;
};

}  // namespace gatefuse::emulation
