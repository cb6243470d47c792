// SPDX-License-Identifier: Apache-2.0
//
// How numbers are made operands of products, for the weights and for the kernels. In an anonymous
// namespace, as all that the kernels include: see cpu/simd.hpp.
#pragma once

#include <cstdint>
#include <cstring>

namespace gatefuse {
namespace {

inline uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

inline float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// The nearest bfloat16, ties to even, in the upper half; NaN stays NaN.
inline uint32_t round_to_bfloat16(float x) {
  const uint32_t bits = bits_of(x);
  const uint32_t rounded = bits + 0x7fff + (bits >> 16 & 1);
  return ((bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : rounded) & 0xffff0000;
}

// A row as whole numbers from -127 to 127, times a scale of its own: the largest magnitude is 127.
// A number that is not finite makes the scale NaN. Rows smaller than 2^-100 are zeros.
struct Quantized {
  float scale;
  float inverse;

  static Quantized of(const float* in, int64_t k) {
    uint32_t most = 0;  // as integers, magnitudes have the same order, and NaN is the largest
    for (int64_t i = 0; i < k; ++i) {
      const uint32_t magnitude = bits_of(in[i]) & 0x7fffffff;
      most = magnitude > most ? magnitude : most;
    }
    if (most >= 0x7f800000) return {float_of(0x7fc00000), 0};
    const float largest = float_of(most);
    if (largest < 0x1p-100f) return {0, 0};
    return {largest / 127, 127 / largest};
  }

  // The whole number nearest to x / scale, ties to even, plus an offset, in the lowest bits.
  static inline uint32_t number(float x, float inverse, int offset) {
    return bits_of(x * inverse + (0x1.8p23f + static_cast<float>(offset)));
  }
};

}  // namespace
}  // namespace gatefuse
