// SPDX-License-Identifier: Apache-2.0
//
// One float of one CUDA thread as the vector type that the cells are written for (see cpu/simd.hpp
// for those of the CPU). Include this and not the cells by themselves: it makes their functions
// device functions.
#pragma once

#include <cstdint>

#include "cuda/ptx.cuh"

#define GF_INLINE GF_DEVICE

namespace gatefuse {
namespace {

struct Lane {
  float v;
  static GF_INLINE Lane set(float x) { return {x}; }
};
GF_INLINE Lane operator+(Lane a, Lane b) { return {a.v + b.v}; }
GF_INLINE Lane operator-(Lane a, Lane b) { return {a.v - b.v}; }
GF_INLINE Lane operator*(Lane a, Lane b) { return {a.v * b.v}; }
GF_INLINE Lane operator/(Lane a, Lane b) { return {a.v / b.v}; }
GF_INLINE Lane fma(Lane a, Lane b, Lane c) { return {fmaf(a.v, b.v, c.v)}; }
// The second operand where either is NaN, as everywhere in the cells.
GF_INLINE Lane max(Lane a, Lane b) { return {a.v > b.v ? a.v : b.v}; }
GF_INLINE Lane min(Lane a, Lane b) { return {a.v < b.v ? a.v : b.v}; }
GF_INLINE Lane from_bits(uint32_t bits) { return {__uint_as_float(bits)}; }
GF_INLINE uint32_t to_bits(Lane a) { return __float_as_uint(a.v); }
GF_INLINE Lane minus_abs(Lane a) { return from_bits(to_bits(a) | 0x80000000u); }
GF_INLINE Lane copy_sign(Lane magnitude, Lane sign) {
  return from_bits((to_bits(magnitude) & 0x7fffffffu) | (to_bits(sign) & 0x80000000u));
}
GF_INLINE Lane where_negative(Lane x, Lane a, Lane b) {
  return (to_bits(x) & 0x80000000u) != 0 ? a : b;
}
GF_INLINE Lane times_pow2(Lane a, Lane shifted) {
  return from_bits(to_bits(a) + (to_bits(shifted) << 23));
}

}  // namespace
}  // namespace gatefuse

#include "cells/cells.hpp"

namespace gatefuse {
namespace {

template <class Cell>
constexpr int count_blocks(bool chunked) {
  int count = 0;
  for (const Block& block : Cell::kBlocks) count += block.chunked == chunked;
  return count;
}

}  // namespace
}  // namespace gatefuse
