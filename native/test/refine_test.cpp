// SPDX-License-Identifier: Apache-2.0
//
// The refine gate as the cells compute it, in float32, against long double: with fused operations,
// one lane, and without, the four lanes of cpu/simd.hpp's portable form.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cpu/simd.hpp"
#include "cells/math.hpp"
#include "support.hpp"

using namespace gatefuse::test;

namespace gatefuse {
namespace {

using Long = long double;

// One lane whose operations are rounded once, as on the processors that fuse.
struct Fused {
  float v;
  static Fused set(float x) { return {x}; }
};
Fused operator+(Fused a, Fused b) { return {a.v + b.v}; }
Fused operator-(Fused a, Fused b) { return {a.v - b.v}; }
Fused operator*(Fused a, Fused b) { return {a.v * b.v}; }
Fused operator/(Fused a, Fused b) { return {a.v / b.v}; }
Fused fma(Fused a, Fused b, Fused c) { return {std::fma(a.v, b.v, c.v)}; }
Fused max(Fused a, Fused b) { return {a.v > b.v ? a.v : b.v}; }
Fused min(Fused a, Fused b) { return {a.v < b.v ? a.v : b.v}; }
Fused minus_abs(Fused a) { return {-std::fabs(a.v)}; }
Fused copy_sign(Fused magnitude, Fused sign) { return {std::copysign(magnitude.v, sign.v)}; }
Fused where_negative(Fused x, Fused a, Fused b) { return std::signbit(x.v) ? a : b; }
Fused times_pow2(Fused a, Fused shifted) {
  return {std::ldexp(a.v, static_cast<int>(shifted.v - 12582912.0f))};
}

float lane(Fused a) { return a.v; }
float lane(V a) { return a.v[0]; }

Long true_sigmoid(Long x) { return 1 / (1 + std::exp(-x)); }

struct Truth {
  Long value, complement;
};

// 1 - g is written as the sum that it is: with f' = 1 - f, r' = 1 - r it is f' (f' + 2 r' f).
Truth true_refine(Long a_f, Long a_r) {
  const Long f = true_sigmoid(a_f), not_f = true_sigmoid(-a_f);
  const Long r = true_sigmoid(a_r), not_r = true_sigmoid(-a_r);
  return {f * (f + 2 * r * not_f), not_f * (not_f + 2 * not_r * f)};
}

// The specification's first form, r (1 - (1-f)^2) + (1-r) f^2, says that the sums above are it.
void check_forms() {
  for (Long a_f = -8; a_f <= 8; a_f += 0.37L) {
    for (Long a_r = -8; a_r <= 8; a_r += 0.41L) {
      const Long f = true_sigmoid(a_f), r = true_sigmoid(a_r);
      const Long g = r * (1 - (1 - f) * (1 - f)) + (1 - r) * f * f;
      CHECK_CLOSE(static_cast<double>(true_refine(a_f, a_r).value - g), 0, 1e-17);
      CHECK_CLOSE(static_cast<double>(true_refine(a_f, a_r).complement - (1 - g)), 0, 1e-17);
    }
  }
}

template <class T>
Gate<T> gate(float a_f, float a_r) {
  return refine(sigmoid_pair(T::set(a_f)), sigmoid_pair(T::set(a_r)));
}

double relative(float actual, Long expected) {
  return static_cast<double>(std::fabs((actual - expected) / expected));
}

// Down to 1e-37 the errors are relative: below, floats have fewer digits.
constexpr Long kLeast = 1e-37L;
constexpr double kMostError = 2e-6;

template <class T>
void check_refine(const char* name) {
  double worst_value = 0, worst_complement = 0;
  const float step = kSanitized ? 0.53f : 0.0619f;
  for (float a_f = -90; a_f <= 90; a_f += step) {
    float before = 0;
    for (float a_r = -90; a_r <= 90; a_r += 4 * step) {
      const Gate<T> actual = gate<T>(a_f, a_r);
      const float g = lane(actual.value), rest = lane(actual.complement);
      const Truth expected = true_refine(a_f, a_r);
      if (expected.value > kLeast) {
        worst_value = std::max(worst_value, relative(g, expected.value));
      }
      if (expected.complement > kLeast) {
        worst_complement = std::max(worst_complement, relative(rest, expected.complement));
      }
      // Bounds: 0 <= f^2 <= g <= 1 - (1-f)^2 <= 1, but for roundings; and g rises with a_r.
      const Long f = true_sigmoid(a_f), not_f = true_sigmoid(-a_f);
      CHECK(g >= 0 && g <= 1 && rest >= 0 && rest <= 1 + 1e-6f);
      CHECK(g >= f * f * (1 - kMostError) - kLeast &&
            g <= f * (1 + not_f) * (1 + kMostError) + kLeast);
      CHECK(g >= before * (1 - kMostError));
      before = g;
      // Duality: the complement is the refine gate of the complements.
      const Gate<T> dual = gate<T>(-a_f, -a_r);
      CHECK_CLOSE(lane(dual.value), rest, kMostError * rest + 1e-37);
      CHECK_CLOSE(lane(dual.complement), g, kMostError * g + 1e-37);
    }
    // r = 1/2 leaves the forget gate as it is.
    const Gate<T> half = gate<T>(a_f, 0);
    const Gate<T> forget = sigmoid_pair(T::set(a_f));
    CHECK_CLOSE(lane(half.value), lane(forget.value), 3e-7 * lane(forget.value));
    CHECK_CLOSE(lane(half.complement), lane(forget.complement), 3e-7 * lane(forget.complement));
  }
  std::printf("%s: refine gate %.2e, its complement %.2e relative\n", name, worst_value,
              worst_complement);
  CHECK(worst_value <= kMostError);
  CHECK(worst_complement <= kMostError);
}

// A state kept by a gate next to one must not stand still: where 1 - g is 1e-12, a subtraction
// would have given 0 and the state would never move.
template <class T>
void check_long_memory() {
  const Gate<T> g = gate<T>(14, 14);
  const Truth expected = true_refine(14, 14);
  CHECK_EQ(lane(g.value), 1.0f);
  CHECK_CLOSE(relative(lane(g.complement), expected.complement), 0, kMostError);
  const T moved = mix(g, T::set(0.0f), T::set(1.0f));
  CHECK_CLOSE(relative(lane(moved), expected.complement), 0, kMostError);
}

// sigmoid() alone is another expression than sigmoid_pair(); both it and tanh are within 4 ulp.
template <class T>
void check_activations(const char* name) {
  double worst_sigmoid = 0, worst_tanh = 0;
  for (float x = -87; x <= 87; x += kSanitized ? 0.11f : 0.00713f) {
    const T lanes = T::set(x);
    worst_sigmoid = std::max(worst_sigmoid, relative(lane(sigmoid(lanes)), true_sigmoid(x)));
    worst_tanh = std::max(worst_tanh, relative(lane(tanh(lanes)), std::tanh(Long{x})));
  }
  std::printf("%s: sigmoid alone %.2e, tanh %.2e relative\n", name, worst_sigmoid, worst_tanh);
  CHECK(worst_sigmoid <= 4 * 0x1p-23);
  CHECK(worst_tanh <= 4 * 0x1p-23);
}

}  // namespace
}  // namespace gatefuse

int main() {
  using namespace gatefuse;
  check_forms();
  check_refine<Fused>("fused");
  check_refine<V>("not fused");
  check_long_memory<Fused>();
  check_long_memory<V>();
  check_activations<Fused>("fused");
  check_activations<V>("not fused");
  return result();
}
