// SPDX-License-Identifier: Apache-2.0
//
// Logistic and hyperbolic tangent for any type V with the operations of cpu/simd.hpp, at most 4 ulp
// from the correctly rounded value over all floats, subnormal results included.
//
// There is no contraction by the compiler: what is fused says fma, so that all compilers agree.
#pragma once

#ifndef GF_INLINE
#define GF_INLINE inline __attribute__((always_inline))
#endif

namespace gatefuse {
namespace {

// A gate and its complement, each computed directly: 1 - gate has no correct digits where the gate
// is close to one, and long memory is exactly there.
template <class V>
struct Gate {
  V value;
  V complement;
};

// Adding 1.5 * 2^23 to |n| < 2^22 pushes the fraction out of the significand, and leaves n in its
// low bits.
constexpr float kShift = 12582912.0f;

// Splits x = n ln 2 + r with |r| <= ln 2 / 2 (a little more at the ends) and gives e^r - 1, and n +
// kShift for times_pow2. ln 2 is in two parts, the first with trailing zeros so that n times it is
// exact. The polynomial approximates (e^r - 1 - r) / r^2 on the interval (coefficients: Cephes,
// expf), its terms in pairs, which shortens the chain of operations that wait for one another.
template <class V>
GF_INLINE V reduced_expm1(V x, V& shifted) {
  shifted = fma(x, V::set(1.44269504f), V::set(kShift));
  const V n = shifted - V::set(kShift);
  V r = fma(n, V::set(-0.693359375f), x);
  r = fma(n, V::set(2.12194440e-4f), r);
  const V r2 = r * r;
  const V high = fma(V::set(1.9875691500e-4f), r, V::set(1.3981999507e-3f));
  const V middle = fma(V::set(8.3334519073e-3f), r, V::set(4.1665795894e-2f));
  const V low = fma(V::set(1.6666665459e-1f), r, V::set(5.0000001201e-1f));
  const V q = fma(fma(high, r2, middle), r2, low);
  return fma(q, r2, r);
}

// times_pow2 for results that may be subnormal, where 2^n is not a float: the power is taken 2^64
// times too large, and the last multiplication rounds once. A V may have a shorter way.
template <class V>
GF_INLINE V times_small_pow2(V a, V shifted) {
  return a * times_pow2(V::set(0x1p64f), shifted) * V::set(0x1p-64f);
}

// e^x for x <= 0.
template <class V>
GF_INLINE V exp_nonpositive(V x) {
  V n;
  const V p = reduced_expm1(max(V::set(-105.0f), x), n) + V::set(1.0f);
  return times_small_pow2(p, n);
}

// sigma(x) and sigma(-x) from one exponential: with z = e^-|x| they are 1/(1+z) and z/(1+z).
template <class V>
GF_INLINE Gate<V> sigmoid_pair(V x) {
  const V z = exp_nonpositive(minus_abs(x));
  const V large = V::set(1.0f) / (z + V::set(1.0f));
  const V small = z * large;
  return {where_negative(x, small, large), where_negative(x, large, small)};
}

template <class V>
GF_INLINE V sigmoid(V x) {
  const V z = exp_nonpositive(minus_abs(x));
  return where_negative(x, z, V::set(1.0f)) / (z + V::set(1.0f));
}

// With m = e^(-2|x|) - 1: tanh |x| = -m / (m + 2). m keeps its relative accuracy near zero because
// 2^n - 1 is exact and 2^n (e^r - 1) is added to it in one rounding.
template <class V>
GF_INLINE V tanh(V x) {
  V n;
  const V p = reduced_expm1(max(V::set(-30.0f), minus_abs(x) * V::set(2.0f)), n);
  const V scale = times_pow2(V::set(1.0f), n);
  const V m = fma(p, scale, scale - V::set(1.0f));
  return copy_sign(m / (m + V::set(2.0f)), x);
}

// A function's value and its slope.
template <class V>
struct Curve {
  V value;
  V slope;
};

// tanh with 1 - tanh^2 = 4 sigma(2x) sigma(-2x), which with z = e^(-2|x|) is 4 z / (1 + z)^2:
// nothing is taken from one.
template <class V>
GF_INLINE Curve<V> tanh_curve(V x) {
  V n;
  const V p = reduced_expm1(max(V::set(-87.0f), minus_abs(x) * V::set(2.0f)), n);
  const V scale = times_pow2(V::set(1.0f), n);
  const V m = fma(p, scale, scale - V::set(1.0f));
  const V z = fma(p, scale, scale);
  const V over = V::set(1.0f) / (m + V::set(2.0f));
  return {copy_sign(m * over, x), V::set(4.0f) * z * over * over};
}

// The slope of a sigmoid by its pre-activation.
template <class V>
GF_INLINE V slope(Gate<V> gate) {
  return gate.value * gate.complement;
}

// The refine gate (Gu et al. 2020, equations 6 and 7) of a forget gate f and a refine gate r, with
// its complement as a sum of positive terms.
template <class V>
GF_INLINE Gate<V> refine(Gate<V> f, Gate<V> r) {
  const V two = V::set(2.0f);
  const V g = f.value * fma(two * r.value, f.complement, f.value);
  return {min(V::set(1.0f), g), f.complement * fma(two * r.complement, f.value, f.complement)};
}

// The slopes of the refine gate by f and by r: sums of positive terms.
template <class V>
struct RefineSlopes {
  V f;
  V r;
};

template <class V>
GF_INLINE RefineSlopes<V> refine_slopes(Gate<V> f, Gate<V> r) {
  const V two = V::set(2.0f);
  return {two * fma(f.value, r.complement, r.value * f.complement), two * slope(f)};
}

// state + complement (candidate - state): the tied update (value state + complement candidate).
template <class V>
GF_INLINE V mix(Gate<V> gate, V state, V candidate) {
  return fma(gate.complement, candidate - state, state);
}

}  // namespace
}  // namespace gatefuse
