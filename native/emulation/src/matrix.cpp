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

struct Product {
  float* d;
  const uint32_t* a;
  const uint32_t* b;
};

const Product& product(const void* const* arguments, int lane) {
  return *static_cast<const Product*>(arguments[lane]);
}

// d += a b, with the d of all columns of a row side by side.
template <int K>
__attribute__((always_inline)) inline void multiply(const float (&a)[kRows][K],
                                                    const float (&b)[K][kColumns],
                                                    float (&d)[kRows][kColumns]) {
  for (int row = 0; row < kRows; ++row) {
    float sum[kColumns];
    for (int column = 0; column < kColumns; ++column) sum[column] = d[row][column];
    for (int k = 0; k < K; ++k) {
      for (int column = 0; column < kColumns; ++column) sum[column] += a[row][k] * b[k][column];
    }
    for (int column = 0; column < kColumns; ++column) d[row][column] = sum[column];
  }
}

// How 16-bit operands lie: two to a register, the registers of a by rows, then by columns.
template <int K, float (*convert)(uint16_t)>
struct Halves {
  static constexpr int kDepth = K;
  static void unpack(const Product& lane, int g, int t, float (&a)[kRows][K],
                     float (&b)[K][kColumns]) {
    for (int r = 0; r < K / 4; ++r) {
      for (int half = 0; half < 2; ++half) {
        a[g + 8 * (r & 1)][2 * t + half + 8 * (r >> 1)] =
            convert(static_cast<uint16_t>(lane.a[r] >> 16 * half));
      }
    }
    for (int r = 0; r < K / 8; ++r) {
      for (int half = 0; half < 2; ++half) {
        b[2 * t + half + 8 * r][g] = convert(static_cast<uint16_t>(lane.b[r] >> 16 * half));
      }
    }
  }
};

struct Tf32 {
  static constexpr int kDepth = 8;
  static float convert(uint32_t bits) { return ptx::detail::float_of(bits & 0xffffe000u); }
  static void unpack(const Product& lane, int g, int t, float (&a)[kRows][8],
                     float (&b)[8][kColumns]) {
    for (int r = 0; r < 4; ++r) a[g + 8 * (r & 1)][t + 4 * (r >> 1)] = convert(lane.a[r]);
    for (int r = 0; r < 2; ++r) b[t + 4 * r][g] = convert(lane.b[r]);
  }
};

template <class Layout>
void do_product(const void* const* arguments, uint32_t) {
  constexpr int kDepth = Layout::kDepth;
  float a[kRows][kDepth], b[kDepth][kColumns], d[kRows][kColumns];
  for (int lane = 0; lane < static_cast<int>(kWarp); ++lane) {
    const Product& part = product(arguments, lane);
    const int g = lane >> 2, t = lane & 3;
    Layout::unpack(part, g, t, a, b);
    for (int r = 0; r < 4; ++r) d[g + 8 * (r >> 1)][2 * t + (r & 1)] = part.d[r];
  }
  multiply(a, b, d);
  for (int lane = 0; lane < static_cast<int>(kWarp); ++lane) {
    const Product& part = product(arguments, lane);
    const int g = lane >> 2, t = lane & 3;
    for (int r = 0; r < 4; ++r) part.d[r] = d[g + 8 * (r >> 1)][2 * t + (r & 1)];
  }
}

void multiply_together(const char* name, float* d, const uint32_t* a, const uint32_t* b,
                       CollectiveWork* work, const Where& where) {
  const Product part = {d, a, b};
  collect(name, kAllLanes, &part, work, where);
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
  multiply_together("mma_bf16", d, a, b, do_product<Halves<16, ptx::from_bf16>>, where);
}

void mma_f16(float* d, const uint32_t* a, const uint32_t* b, Where where) {
  require(80, "mma m16n8k16", where);
  multiply_together("mma_f16", d, a, b, do_product<Halves<16, ptx::from_f16>>, where);
}

void mma_f16_k8(float* d, const uint32_t* a, uint32_t b, Where where) {
  multiply_together("mma_f16_k8", d, a, &b, do_product<Halves<8, ptx::from_f16>>, where);
}

void mma_tf32(float* d, const uint32_t* a, const uint32_t* b, Where where) {
  require(80, "mma of TF32", where);
  multiply_together("mma_tf32", d, a, b, do_product<Tf32>, where);
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
