// SPDX-License-Identifier: Apache-2.0
//
// Products of a warp and the instructions that lay out their operands. The fragments are those of
// the PTX manual: with g = lane / 4 and t = lane % 4, lane holds of d rows g and g+8, columns 2t
// and 2t+1.
//
// Products are exact in float, sums are rounded one after the other in the order of k. A GPU's
// tensor core rounds sums its own way: results agree to a few units in the last place, and exactly
// where all sums are exact.
#include <cstring>

#include "cuda/ptx.cuh"
#include "profile.hpp"
#include "shared_memory.hpp"
#include "warp.hpp"

namespace gatefuse::emulation {
namespace {

constexpr uint32_t kAllLanes = 0xffffffffu;
constexpr int kRows = 16, kColumns = 8;
// A row of b or d.
typedef float Columns __attribute__((vector_size(kColumns * sizeof(float))));

struct Product {
  float* d;
  const uint32_t* a;
  const uint32_t* b;
};

#define ALWAYS_INLINE inline __attribute__((always_inline))

// How operands lie: a by rows, b by rows too. Each format puts the registers of the lanes where
// they belong, and then converts all of them at once.
template <int K>
struct Operands {
  static constexpr int kDepth = K;
  float a[kRows][K];
  alignas(Columns) float b[K][kColumns];
};

// Two neighbours of a row of a share a register, and two of a column of b.
template <int K, class Format>
struct Halves : Operands<K> {
  uint16_t packed_a[kRows][K];
  uint16_t packed_b[K][kColumns];

  ALWAYS_INLINE void place(const Product& lane, int g, int t) {
    for (int r = 0; r < K / 4; ++r) {
      std::memcpy(&packed_a[g + 8 * (r & 1)][2 * t + 8 * (r >> 1)], &lane.a[r], sizeof lane.a[r]);
    }
    for (int r = 0; r < K / 8; ++r) {
      packed_b[2 * t + 8 * r][g] = static_cast<uint16_t>(lane.b[r]);
      packed_b[2 * t + 8 * r + 1][g] = static_cast<uint16_t>(lane.b[r] >> 16);
    }
  }
  ALWAYS_INLINE void convert() {
    for (int row = 0; row < kRows; ++row) convert_row(packed_a[row], this->a[row]);
    for (int row = 0; row < K; ++row) convert_row(packed_b[row], this->b[row]);
  }
  template <int N>
  static ALWAYS_INLINE void convert_row(const uint16_t (&from)[N], float (&to)[N]) {
    for (int i = 0; i < N; ++i) to[i] = Format::value(from[i]);
  }
};

struct Tf32 : Operands<8> {
  static ALWAYS_INLINE float value(uint32_t bits) {
    return ptx::detail::float_of(bits & 0xffffe000u);
  }
  ALWAYS_INLINE void place(const Product& lane, int g, int t) {
    for (int r = 0; r < 4; ++r) a[g + 8 * (r & 1)][t + 4 * (r >> 1)] = value(lane.a[r]);
    for (int r = 0; r < 2; ++r) b[t + 4 * r][g] = value(lane.b[r]);
  }
  ALWAYS_INLINE void convert() {}
};

struct Bf16 {
  static ALWAYS_INLINE float value(uint16_t bits) { return ptx::from_bf16(bits); }
};

// Without branches, unlike ptx::from_f16: multiplied by 2^112 the exponent is a float's, subnormal
// numbers included; infinity and NaN get theirs by force.
struct F16 {
  static ALWAYS_INLINE float value(uint16_t bits) {
    const float scaled = ptx::detail::float_of((bits & 0x7fffu) << 13) * 0x1p112f;
    const uint32_t special = (bits & 0x7c00u) == 0x7c00u ? 0x7f800000u : 0u;
    return ptx::detail::float_of(ptx::detail::bits_of(scaled) | special | (bits & 0x8000u) << 16);
  }
};

// d += a b. Eight rows at a time, so that their sums need not wait for one another.
template <int K>
ALWAYS_INLINE void multiply(const Operands<K>& operands, Columns (&d)[kRows]) {
  constexpr int kTogether = 8;
  for (int first = 0; first < kRows; first += kTogether) {
    Columns sums[kTogether];
    for (int row = 0; row < kTogether; ++row) sums[row] = d[first + row];
    for (int k = 0; k < K; ++k) {
      Columns b;
      std::memcpy(&b, operands.b[k], sizeof b);
      for (int row = 0; row < kTogether; ++row) sums[row] += operands.a[first + row][k] * b;
    }
    for (int row = 0; row < kTogether; ++row) d[first + row] = sums[row];
  }
}

template <class Layout>
ALWAYS_INLINE void do_product(const void* const* arguments) {
  Layout operands;
  Columns d[kRows];
  float* sums = reinterpret_cast<float*>(d);
  for (int lane = 0; lane < static_cast<int>(kWarp); ++lane) {
    const Product& part = *static_cast<const Product*>(arguments[lane]);
    const int g = lane >> 2, t = lane & 3;
    operands.place(part, g, t);
    std::memcpy(sums + g * kColumns + 2 * t, part.d, 2 * sizeof(float));
    std::memcpy(sums + (g + 8) * kColumns + 2 * t, part.d + 2, 2 * sizeof(float));
  }
  operands.convert();
  multiply<Layout::kDepth>(operands, d);
  for (int lane = 0; lane < static_cast<int>(kWarp); ++lane) {
    const Product& part = *static_cast<const Product*>(arguments[lane]);
    const int g = lane >> 2, t = lane & 3;
    std::memcpy(part.d, sums + g * kColumns + 2 * t, 2 * sizeof(float));
    std::memcpy(part.d + 2, sums + (g + 8) * kColumns + 2 * t, 2 * sizeof(float));
  }
}

template <class Layout>
void product_anywhere(const void* const* arguments, uint32_t) {
  do_product<Layout>(arguments);
}

#if defined(__x86_64__)
// The same with wider vectors.
template <class Layout>
__attribute__((target("avx2"))) void product_avx2(const void* const* arguments, uint32_t) {
  do_product<Layout>(arguments);
}

template <class Layout>
CollectiveWork* product_work() {
  static CollectiveWork* const work =
      __builtin_cpu_supports("avx2") ? product_avx2<Layout> : product_anywhere<Layout>;
  return work;
}
#else
template <class Layout>
CollectiveWork* product_work() {
  return product_anywhere<Layout>;
}
#endif

template <class Layout>
void multiply_together(const char* name, float* d, const uint32_t* a, const uint32_t* b,
                       const Where& where) {
  const Product part = {d, a, b};
  collect(name, kAllLanes, &part, product_work<Layout>(), where);
}

struct Tiles {
  uint32_t* r;
  const MatrixRow* row;
  bool transposed;
};

uint16_t element(const void* const* arguments, int tile, int row, int column) {
  uint16_t values[8];
  std::memcpy(values, static_cast<const Tiles*>(arguments[8 * tile + row])->row, sizeof values);
  return values[column];
}

void do_ldmatrix(const void* const* arguments, uint32_t) {
  for (int lane = 0; lane < static_cast<int>(kWarp); ++lane) {
    const auto& part = *static_cast<const Tiles*>(arguments[lane]);
    const int g = lane >> 2, t = lane & 3;
    for (int tile = 0; tile < 4; ++tile) {
      uint32_t both = 0;
      for (int half = 0; half < 2; ++half) {
        const int column = 2 * t + half;
        const uint32_t value = part.transposed ? element(arguments, tile, column, g)
                                               : element(arguments, tile, g, column);
        both |= value << 16 * half;
      }
      part.r[tile] = both;
    }
  }
}

struct Moved {
  uint32_t value;
  uint32_t* result;
};

void do_movmatrix(const void* const* arguments, uint32_t) {
  uint16_t tile[8][8];
  for (int lane = 0; lane < static_cast<int>(kWarp); ++lane) {
    const uint32_t value = static_cast<const Moved*>(arguments[lane])->value;
    tile[lane >> 2][2 * (lane & 3)] = static_cast<uint16_t>(value);
    tile[lane >> 2][2 * (lane & 3) + 1] = static_cast<uint16_t>(value >> 16);
  }
  for (int lane = 0; lane < static_cast<int>(kWarp); ++lane) {
    const int row = lane >> 2, column = 2 * (lane & 3);
    *static_cast<const Moved*>(arguments[lane])->result =
        uint32_t{tile[column][row]} | uint32_t{tile[column + 1][row]} << 16;
  }
}

}  // namespace

void mma_bf16(float* d, const uint32_t* a, const uint32_t* b, Where where) {
  require(80, "mma of bfloat16", where);
  multiply_together<Halves<16, Bf16>>("mma_bf16", d, a, b, where);
}

void mma_f16(float* d, const uint32_t* a, const uint32_t* b, Where where) {
  require(80, "mma m16n8k16", where);
  multiply_together<Halves<16, F16>>("mma_f16", d, a, b, where);
}

void mma_f16_k8(float* d, const uint32_t* a, uint32_t b, Where where) {
  multiply_together<Halves<8, F16>>("mma_f16_k8", d, a, &b, where);
}

void mma_tf32(float* d, const uint32_t* a, const uint32_t* b, Where where) {
  require(80, "mma of TF32", where);
  multiply_together<Tf32>("mma_tf32", d, a, b, where);
}

void check_matrix_row(const void* row, Where where) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) fail(where, "ldmatrix: misaligned row");
  if (!in_own_shared_memory(row, 16)) fail(where, "ldmatrix: not in a shared array of this block");
}

void ldmatrix(uint32_t* r, const MatrixRow& row, bool transposed, Where where) {
  const Tiles part = {r, &row, transposed};
  collect(transposed ? "ldmatrix.trans" : "ldmatrix", kAllLanes, &part, do_ldmatrix, where);
}

uint32_t movmatrix(uint32_t value, Where where) {
  uint32_t result = 0;
  const Moved moved = {value, &result};
  collect("movmatrix", kAllLanes, &moved, do_movmatrix, where);
  return result;
}

}  // namespace gatefuse::emulation
