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

// The nearest integer to |x| < 2^22: adding 1.5 * 2^23 pushes the fraction out of the significand.
template <class V>
GF_INLINE V nearest(V x) {
  const V shift = V::set(12582912.0f);
  return (x + shift) - shift;
}

// Splits x = n ln 2 + r with |r| <= ln 2 / 2 (a little more at the ends) and gives e^r - 1.
// ln 2 is in two parts, the first with trailing zeros so that n times it is exact. The polynomial
// approximates (e^r - 1 - r) / r^2 on that interval (coefficients: Cephes, expf).
template <class V>
GF_INLINE V reduced_expm1(V x, V& n) {
  n = nearest(x * V::set(1.44269504f));
  V r = fma(n, V::set(-0.693359375f), x);
  r = fma(n, V::set(2.12194440e-4f), r);
  V q = V::set(1.9875691500e-4f);
  q = fma(q, r, V::set(1.3981999507e-3f));
  q = fma(q, r, V::set(8.3334519073e-3f));
  q = fma(q, r, V::set(4.1665795894e-2f));
  q = fma(q, r, V::set(1.6666665459e-1f));
  q = fma(q, r, V::set(5.0000001201e-1f));
  return fma(q, r * r, r);
}

// e^x for x <= 0. Two powers of two, because the result may be subnormal and 2^n alone would not be
// a float then.
template <class V>
GF_INLINE V exp_nonpositive(V x) {
  V n;
  const V p = reduced_expm1(max(V::set(-105.0f), x), n) + V::set(1.0f);
  const V half = nearest(n * V::set(0.5f));
  return (p * pow2(half)) * pow2(n - half);
}

// sigma(x) and sigma(-x) from one exponential: with z = e^-|x| they are 1/(1+z) and z/(1+z).
template <class V>
GF_INLINE Gate<V> sigmoid_pair(V x) {
  const V z = exp_nonpositive(V::set(0.0f) - abs(x));
  const V large = V::set(1.0f) / (z + V::set(1.0f));
  const V small = z * large;
  return {where_negative(x, small, large), where_negative(x, large, small)};
}

template <class V>
GF_INLINE V sigmoid(V x) {
  const V z = exp_nonpositive(V::set(0.0f) - abs(x));
  return where_negative(x, z, V::set(1.0f)) / (z + V::set(1.0f));
}

// With m = e^(-2|x|) - 1: tanh |x| = -m / (m + 2). m keeps its relative accuracy near zero because
// 2^n - 1 is exact and 2^n (e^r - 1) is added to it in one rounding.
template <class V>
GF_INLINE V tanh(V x) {
  V n;
  const V p = reduced_expm1(max(V::set(-30.0f), abs(x) * V::set(-2.0f)), n);
  const V scale = pow2(n);
  const V m = fma(p, scale, scale - V::set(1.0f));
  return copy_sign(m / (m + V::set(2.0f)), x);
}

// The refine gate (Gu et al. 2020, equations 6 and 7) of a forget gate f and a refine gate r, with
// its complement as a sum of positive terms.
template <class V>
GF_INLINE Gate<V> refine(Gate<V> f, Gate<V> r) {
  const V two = V::set(2.0f);
  const V g = f.value * fma(two * r.value, f.complement, f.value);
  return {min(V::set(1.0f), g), f.complement * fma(two * r.complement, f.value, f.complement)};
}

// state + complement (candidate - state): the tied update (value state + complement candidate).
template <class V>
GF_INLINE V mix(Gate<V> gate, V state, V candidate) {
  return fma(gate.complement, candidate - state, state);
}

}  // namespace
}  // namespace gatefuse
