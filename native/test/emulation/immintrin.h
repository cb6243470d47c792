// SPDX-License-Identifier: Apache-2.0
//
// The AVX-512 of cpu/simd.hpp in two AVX2 halves, so that the kernels of that width are tested on
// processors without it. Each operation here rounds as the real one does: results have the same
// bits.
#pragma once

#define GF_EMULATED_AVX512 1

#include_next <immintrin.h>

namespace gatefuse::emulation {
namespace {

#define GF_EMULATED inline __attribute__((always_inline))

struct Floats {
  __m256 low, high;
};
struct Integers {
  __m256i low, high;
};

#define GF_EMULATE_TWO(name, real)                            \
  GF_EMULATED Floats name(const Floats& a, const Floats& b) { \
    return {real(a.low, b.low), real(a.high, b.high)};        \
  }
GF_EMULATE_TWO(add, _mm256_add_ps)
GF_EMULATE_TWO(sub, _mm256_sub_ps)
GF_EMULATE_TWO(mul, _mm256_mul_ps)
GF_EMULATE_TWO(div, _mm256_div_ps)
GF_EMULATE_TWO(max, _mm256_max_ps)
GF_EMULATE_TWO(min, _mm256_min_ps)
GF_EMULATE_TWO(bit_and, _mm256_and_ps)
GF_EMULATE_TWO(bit_andnot, _mm256_andnot_ps)
GF_EMULATE_TWO(bit_or, _mm256_or_ps)
#undef GF_EMULATE_TWO

GF_EMULATED Floats set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
GF_EMULATED Integers set1(int x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
GF_EMULATED Floats loadu(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
GF_EMULATED void storeu(float* p, const Floats& a) {
  _mm256_storeu_ps(p, a.low);
  _mm256_storeu_ps(p + 8, a.high);
}
GF_EMULATED Floats fmadd(const Floats& a, const Floats& b, const Floats& c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
GF_EMULATED Integers to_integers(const Floats& a) {
  return {_mm256_castps_si256(a.low), _mm256_castps_si256(a.high)};
}
GF_EMULATED Floats to_floats(const Integers& a) {
  return {_mm256_castsi256_ps(a.low), _mm256_castsi256_ps(a.high)};
}
GF_EMULATED Integers convert(const Floats& a) {
  return {_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)};
}
GF_EMULATED Integers add(const Integers& a, const Integers& b) {
  return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
GF_EMULATED Integers shift_left(const Integers& a, int bits) {
  return {_mm256_slli_epi32(a.low, bits), _mm256_slli_epi32(a.high, bits)};
}
GF_EMULATED int signs(const Integers& a) {
  return _mm256_movemask_ps(_mm256_castsi256_ps(a.low)) |
         _mm256_movemask_ps(_mm256_castsi256_ps(a.high)) << 8;
}
// a 2^b for whole b, and NaN; in double both are exact, so that it is rounded once, as a float.
GF_EMULATED Floats scalef(const Floats& a, const Floats& b) {
  float from[16], power[16];
  storeu(from, a);
  storeu(power, b);
  for (int i = 0; i < 16; ++i) {
    const float n = power[i];
    from[i] = n != n ? n : static_cast<float>(__builtin_ldexp(from[i], static_cast<int>(n)));
  }
  return loadu(from);
}
// Where a bit of the mask is set b, else a: the order of the real instruction's operands.
GF_EMULATED Floats mask_blend(int mask, const Floats& a, const Floats& b) {
  float from[16], other[16];
  storeu(from, a);
  storeu(other, b);
  for (int i = 0; i < 16; ++i) from[i] = (mask >> i & 1) != 0 ? other[i] : from[i];
  return loadu(from);
}

}  // namespace
}  // namespace gatefuse::emulation

#include "tiles.hpp"

#define __m512 ::gatefuse::emulation::Floats
#define __m512i ::gatefuse::emulation::Integers
#define _mm512_add_ps ::gatefuse::emulation::add
#define _mm512_sub_ps ::gatefuse::emulation::sub
#define _mm512_mul_ps ::gatefuse::emulation::mul
#define _mm512_div_ps ::gatefuse::emulation::div
#define _mm512_max_ps ::gatefuse::emulation::max
#define _mm512_min_ps ::gatefuse::emulation::min
#define _mm512_and_ps ::gatefuse::emulation::bit_and
#define _mm512_andnot_ps ::gatefuse::emulation::bit_andnot
#define _mm512_or_ps ::gatefuse::emulation::bit_or
#define _mm512_set1_ps ::gatefuse::emulation::set1
#define _mm512_set1_epi32 ::gatefuse::emulation::set1
#define _mm512_loadu_ps ::gatefuse::emulation::loadu
#define _mm512_storeu_ps ::gatefuse::emulation::storeu
#define _mm512_fmadd_ps ::gatefuse::emulation::fmadd
#define _mm512_scalef_ps ::gatefuse::emulation::scalef
#define _mm512_castps_si512 ::gatefuse::emulation::to_integers
#define _mm512_castsi512_ps ::gatefuse::emulation::to_floats
#define _mm512_cvtps_epi32 ::gatefuse::emulation::convert
#define _mm512_add_epi32 ::gatefuse::emulation::add
#define _mm512_slli_epi32 ::gatefuse::emulation::shift_left
#define _mm512_movepi32_mask ::gatefuse::emulation::signs
#define _mm512_mask_blend_ps ::gatefuse::emulation::mask_blend
