// SPDX-License-Identifier: Apache-2.0
//
// One vector of float32 lanes for the instruction set that this unit is compiled for, and the few
// operations that the kernels and the cells are written in.
//
// Everything is in an anonymous namespace: these units are compiled with different instruction
// sets, and a symbol with external linkage would be merged by the linker into one copy, which may
// be the one that the processor cannot run.
#pragma once

#include <cstdint>
#include <cstring>

#if GF_ISA_IS_AVX512 || GF_ISA_IS_AVX2
#include <immintrin.h>
#elif GF_ISA_IS_BASELINE
#include <emmintrin.h>
#endif

#define GF_INLINE inline __attribute__((always_inline))

namespace gatefuse {
namespace {

#if GF_ISA_IS_AVX512

struct V {
  static constexpr int kLanes = 16;
  static constexpr int kAccumulators = 24;  // of 32 registers, the rest for operands
  __m512 v;
  static GF_INLINE V set(float x) { return {_mm512_set1_ps(x)}; }
};
GF_INLINE V load(const float* p) { return {_mm512_loadu_ps(p)}; }
GF_INLINE void store(float* p, V a) { _mm512_storeu_ps(p, a.v); }
GF_INLINE V operator+(V a, V b) { return {_mm512_add_ps(a.v, b.v)}; }
GF_INLINE V operator-(V a, V b) { return {_mm512_sub_ps(a.v, b.v)}; }
GF_INLINE V operator*(V a, V b) { return {_mm512_mul_ps(a.v, b.v)}; }
GF_INLINE V operator/(V a, V b) { return {_mm512_div_ps(a.v, b.v)}; }
GF_INLINE V fma(V a, V b, V c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
GF_INLINE V max(V a, V b) { return {_mm512_max_ps(a.v, b.v)}; }
GF_INLINE V min(V a, V b) { return {_mm512_min_ps(a.v, b.v)}; }
GF_INLINE V minus_abs(V a) { return {_mm512_or_ps(_mm512_set1_ps(-0.0f), a.v)}; }
GF_INLINE V copy_sign(V magnitude, V sign) {
  const __m512 bit = _mm512_set1_ps(-0.0f);
  return {_mm512_or_ps(_mm512_andnot_ps(bit, magnitude.v), _mm512_and_ps(bit, sign.v))};
}
GF_INLINE V where_negative(V x, V a, V b) {
  return {_mm512_mask_blend_ps(_mm512_movepi32_mask(_mm512_castps_si512(x.v)), b.v, a.v)};
}
GF_INLINE V times_pow2(V a, V shifted) {
  const __m512i n = _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.v), n))};
}

#elif GF_ISA_IS_AVX2

struct V {
  static constexpr int kLanes = 8;
  static constexpr int kAccumulators = 12;  // of 16 registers
  __m256 v;
  static GF_INLINE V set(float x) { return {_mm256_set1_ps(x)}; }
};
GF_INLINE V load(const float* p) { return {_mm256_loadu_ps(p)}; }
GF_INLINE void store(float* p, V a) { _mm256_storeu_ps(p, a.v); }
GF_INLINE V operator+(V a, V b) { return {_mm256_add_ps(a.v, b.v)}; }
GF_INLINE V operator-(V a, V b) { return {_mm256_sub_ps(a.v, b.v)}; }
GF_INLINE V operator*(V a, V b) { return {_mm256_mul_ps(a.v, b.v)}; }
GF_INLINE V operator/(V a, V b) { return {_mm256_div_ps(a.v, b.v)}; }
GF_INLINE V fma(V a, V b, V c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
GF_INLINE V max(V a, V b) { return {_mm256_max_ps(a.v, b.v)}; }
GF_INLINE V min(V a, V b) { return {_mm256_min_ps(a.v, b.v)}; }
GF_INLINE V minus_abs(V a) { return {_mm256_or_ps(_mm256_set1_ps(-0.0f), a.v)}; }
GF_INLINE V copy_sign(V magnitude, V sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(_mm256_andnot_ps(bit, magnitude.v), _mm256_and_ps(bit, sign.v))};
}
GF_INLINE V where_negative(V x, V a, V b) { return {_mm256_blendv_ps(b.v, a.v, x.v)}; }
GF_INLINE V times_pow2(V a, V shifted) {
  const __m256i n = _mm256_slli_epi32(_mm256_castps_si256(shifted.v), 23);
  return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.v), n))};
}

#else  // four lanes of the compiler's own vectors: SSE2 on x86-64, what there is elsewhere

typedef int32_t Integers __attribute__((vector_size(16)));

struct V {
  static constexpr int kLanes = 4;
  static constexpr int kAccumulators = 12;  // of 16 registers
  typedef float Floats __attribute__((vector_size(16)));
  Floats v;
  static GF_INLINE V set(float x) { return {Floats{x, x, x, x}}; }
};
GF_INLINE V load(const float* p) {
  V a;
  std::memcpy(&a.v, p, sizeof a.v);
  return a;
}
GF_INLINE void store(float* p, V a) { std::memcpy(p, &a.v, sizeof a.v); }
GF_INLINE V operator+(V a, V b) { return {a.v + b.v}; }
GF_INLINE V operator-(V a, V b) { return {a.v - b.v}; }
GF_INLINE V operator*(V a, V b) { return {a.v * b.v}; }
GF_INLINE V operator/(V a, V b) { return {a.v / b.v}; }
// Not every processor has a fused form: product and sum round apart.
GF_INLINE V fma(V a, V b, V c) { return {a.v * b.v + c.v}; }
GF_INLINE V max(V a, V b) { return {a.v > b.v ? a.v : b.v}; }
GF_INLINE V min(V a, V b) { return {a.v < b.v ? a.v : b.v}; }
GF_INLINE V minus_abs(V a) { return {(V::Floats)((Integers)a.v | INT32_MIN)}; }
GF_INLINE V copy_sign(V magnitude, V sign) {
  return {(V::Floats)(((Integers)magnitude.v & 0x7fffffff) | ((Integers)sign.v & INT32_MIN))};
}
GF_INLINE V where_negative(V x, V a, V b) { return {(Integers)x.v < 0 ? a.v : b.v}; }
GF_INLINE V times_pow2(V a, V shifted) {
  return {(V::Floats)((Integers)a.v + ((Integers)shifted.v << 23))};
}

#endif

// max and min above give their second operand where either is NaN, as the x86 instructions do: put
// the value that may be NaN second, and it comes through.

// times_pow2(a, n + 1.5 * 2^23) is a * 2^n for normal numbers: n is in the low bits of its argument
// and goes into the exponent.

// The first n lanes; 0 < n <= kLanes.
GF_INLINE void store_first(float* p, V a, int n) {
  if (n >= V::kLanes) {
    store(p, a);
    return;
  }
  float all[V::kLanes];
  store(all, a);
  for (int i = 0; i < n; ++i) p[i] = all[i];
}

// The first n lanes, and zeros; 0 < n.
GF_INLINE V load_first(const float* p, int64_t n) {
  if (n >= V::kLanes) return load(p);
  float all[V::kLanes] = {};
  for (int64_t i = 0; i < n; ++i) all[i] = p[i];
  return load(all);
}

// Two vectors that go through the same operations side by side: one alone would leave the processor
// waiting for each result.
struct Pair {
  V a, b;
  static GF_INLINE Pair set(float x) { return {V::set(x), V::set(x)}; }
};
GF_INLINE Pair operator+(const Pair& x, const Pair& y) { return {x.a + y.a, x.b + y.b}; }
GF_INLINE Pair operator-(const Pair& x, const Pair& y) { return {x.a - y.a, x.b - y.b}; }
GF_INLINE Pair operator*(const Pair& x, const Pair& y) { return {x.a * y.a, x.b * y.b}; }
GF_INLINE Pair operator/(const Pair& x, const Pair& y) { return {x.a / y.a, x.b / y.b}; }
GF_INLINE Pair fma(const Pair& x, const Pair& y, const Pair& z) {
  return {fma(x.a, y.a, z.a), fma(x.b, y.b, z.b)};
}
GF_INLINE Pair max(const Pair& x, const Pair& y) { return {max(x.a, y.a), max(x.b, y.b)}; }
GF_INLINE Pair min(const Pair& x, const Pair& y) { return {min(x.a, y.a), min(x.b, y.b)}; }
GF_INLINE Pair minus_abs(const Pair& x) { return {minus_abs(x.a), minus_abs(x.b)}; }
GF_INLINE Pair copy_sign(const Pair& magnitude, const Pair& sign) {
  return {copy_sign(magnitude.a, sign.a), copy_sign(magnitude.b, sign.b)};
}
GF_INLINE Pair where_negative(const Pair& x, const Pair& y, const Pair& z) {
  return {where_negative(x.a, y.a, z.a), where_negative(x.b, y.b, z.b)};
}
GF_INLINE Pair times_pow2(const Pair& x, const Pair& shifted) {
  return {times_pow2(x.a, shifted.a), times_pow2(x.b, shifted.b)};
}

#if GF_ISA_IS_AVX512
// One instruction in place of the template in cells/math.hpp, with the same bits.
GF_INLINE V times_small_pow2(V a, V shifted) {
  return {_mm512_scalef_ps(a.v, (shifted - V::set(0x1.8p23f)).v)};
}
GF_INLINE Pair times_small_pow2(const Pair& x, const Pair& shifted) {
  return {times_small_pow2(x.a, shifted.a), times_small_pow2(x.b, shifted.b)};
}
#endif

// ---- Words of 32 bits, which hold two bfloat16 or four int8 ------------------------------------

// As many words as a V has lanes, in the compiler's own vectors.
struct Packed {
  typedef int32_t Integers __attribute__((vector_size(4 * V::kLanes)));
  typedef int16_t Halves __attribute__((vector_size(4 * V::kLanes)));
  typedef float Floats __attribute__((vector_size(4 * V::kLanes)));
  Integers v;
  static GF_INLINE Packed set(uint32_t x) { return {Integers{} + static_cast<int32_t>(x)}; }
};
GF_INLINE Packed load_words(const void* p) {
  Packed a;
  std::memcpy(&a.v, p, sizeof a.v);
  return a;
}
GF_INLINE V lanes_of(const void* bits) {
  V a;
  std::memcpy(&a.v, bits, sizeof a.v);
  return a;
}
GF_INLINE Packed operator+(const Packed& a, const Packed& b) { return {a.v + b.v}; }
GF_INLINE V to_float(const Packed& a) {
  const Packed::Floats floats = __builtin_convertvector(a.v, Packed::Floats);
  return lanes_of(&floats);
}

// The bfloat16 in the low and in the high half of each word.
GF_INLINE V low_bfloat16(const Packed& a) {
  const Packed::Integers bits = a.v << 16;
  return lanes_of(&bits);
}
GF_INLINE V high_bfloat16(const Packed& a) {
  const Packed::Integers bits = a.v & static_cast<int32_t>(0xffff0000u);
  return lanes_of(&bits);
}

// The bytes 0 and 2 of each word, and 1 and 3, as two int16.
GF_INLINE Packed even_bytes(const Packed& a) {
  return {(Packed::Integers)((Packed::Halves)a.v << 8 >> 8)};
}
GF_INLINE Packed odd_bytes(const Packed& a) {
  return {(Packed::Integers)((Packed::Halves)a.v >> 8)};
}

// In each word the sum of the products of both int16.
GF_INLINE Packed multiply_halves(const Packed& a, const Packed& b) {
#if GF_ISA_IS_AVX512 && !defined(GF_EMULATED_AVX512)
  return {(Packed::Integers)_mm512_madd_epi16((__m512i)a.v, (__m512i)b.v)};
#elif GF_ISA_IS_AVX2
  return {(Packed::Integers)_mm256_madd_epi16((__m256i)a.v, (__m256i)b.v)};
#elif GF_ISA_IS_BASELINE
  return {(Packed::Integers)_mm_madd_epi16((__m128i)a.v, (__m128i)b.v)};
#else
  return {(a.v << 16 >> 16) * (b.v << 16 >> 16) + (a.v >> 16) * (b.v >> 16)};
#endif
}

// Instructions that multiply words as they are. They came later than the sets that these units are
// compiled for, and who calls has asked the processor: in assembly they can be written without
// telling the compiler that it may use them anywhere. Where there are none, nobody calls.
#if GF_ISA_IS_AVX512 && !defined(GF_EMULATED_AVX512)
#define GF_VDPBF16PS "vdpbf16ps %2, %1, %0"
#define GF_VPDPBUSD "vpdpbusd %2, %1, %0"
#define GF_REGISTER "v"
#elif GF_ISA_IS_AVX2
#define GF_VPDPBUSD "%{vex%} vpdpbusd %2, %1, %0"
#define GF_REGISTER "x"
#endif

#ifdef GF_VDPBF16PS
constexpr bool kMultipliesBfloat16 = true;
#else
constexpr bool kMultipliesBfloat16 = false;
#endif
#ifdef GF_VPDPBUSD
constexpr bool kMultipliesInt8 = true;
#else
constexpr bool kMultipliesInt8 = false;
#endif

// sum + the products of both bfloat16. Subnormal operands and results count as zero.
GF_INLINE V add_bfloat16_products(V sum, [[maybe_unused]] const Packed& a,
                                  [[maybe_unused]] const Packed& b) {
#ifdef GF_VDPBF16PS
  asm(GF_VDPBF16PS : "+" GF_REGISTER(sum.v) : GF_REGISTER(a.v), GF_REGISTER(b.v));
#endif
  return sum;
}

// sum + the products of the four bytes of a, without a sign, and those of b, with one.
GF_INLINE Packed add_int8_products(Packed sum, [[maybe_unused]] const Packed& a,
                                   [[maybe_unused]] const Packed& b) {
#ifdef GF_VPDPBUSD
  asm(GF_VPDPBUSD : "+" GF_REGISTER(sum.v) : GF_REGISTER(a.v), GF_REGISTER(b.v));
#endif
  return sum;
}

}  // namespace
}  // namespace gatefuse
