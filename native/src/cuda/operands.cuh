// SPDX-License-Identifier: Apache-2.0
//
// The matrix instruction of each precision as the persistent kernels use it: 16 rows of weights,
// held as fragments, times an operand tile of 8 rows of h.
//
// Lane 4 g + t of a warp holds rows g and g + 8 of a fragment, and of the results their columns 2 t
// and 2 t + 1: r[0], r[1] of row g, r[2], r[3] of row g + 8.
#pragma once

#include <cstdint>

#include "cuda/precision.cuh"

namespace gatefuse::cuda {

struct Fragment {
  uint32_t r[4];
};

// 16-bit operands: m16n8k16.
template <class P>
struct Operands {
  using Storage = typename P::Storage;
  static constexpr int kStep = 16;       // operands of a step
  static constexpr bool kHalves = true;  // whether a step is of two times 8 operands
  // From row to row of a tile, so that the rows of a warp's lanes lie in different banks.
  static constexpr int tile_stride(int k) { return (k + 63) / 64 * 64 + 8; }

  struct Columns {
    uint32_t b[2];
  };
  struct Sum {
    float r[4];
  };

  // Rows g (low) and g + 8 (high) of a fragment, from their first operand of the step; null: zeros.
  static GF_DEVICE Fragment load(const Storage* low, const Storage* high, int t) {
    return {{pair(low, 2 * t), pair(high, 2 * t), pair(low, 2 * t + 8), pair(high, 2 * t + 8)}};
  }
  // Of the step's first half; the other one is zeros.
  static GF_DEVICE Fragment load_half(const Storage* low, const Storage* high, int t) {
    return {{pair(low, 2 * t), pair(high, 2 * t), 0, 0}};
  }
  // tile: the operands of 8 rows from their first one of the step.
  static GF_DEVICE Columns columns(const Storage* tile, int stride, int g, int t) {
    return {{pair(tile + g * stride, 2 * t), pair(tile + g * stride, 2 * t + 8)}};
  }
  static GF_DEVICE void multiply(Sum& sum, const Fragment& a, const Columns& b) {
    if constexpr (P::kId == GF_BFLOAT16) {
      ptx::mma_bf16(sum.r, a.r, b.b);
    } else {
      ptx::mma_f16(sum.r, a.r, b.b);
    }
  }
  static GF_DEVICE void finish(const Sum& sum, int, float (&result)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) result[i] = sum.r[i];
  }

 private:
  static GF_DEVICE uint32_t pair(const Storage* row, int k) {
    return row == nullptr ? 0 : *reinterpret_cast<const uint32_t*>(row + k);
  }
};

// TF32: m16n8k8.
template <>
struct Operands<Tf32> {
  using Storage = uint32_t;
  static constexpr int kStep = 8;
  static constexpr bool kHalves = false;
  static constexpr int tile_stride(int k) { return (k + 31) / 32 * 32 + 4; }

  struct Columns {
    uint32_t b[2];
  };
  struct Sum {
    float r[4];
  };

  static GF_DEVICE Fragment load(const Storage* low, const Storage* high, int t) {
    return {{one(low, t), one(high, t), one(low, t + 4), one(high, t + 4)}};
  }
  static GF_DEVICE Columns columns(const Storage* tile, int stride, int g, int t) {
    return {{tile[g * stride + t], tile[g * stride + t + 4]}};
  }
  static GF_DEVICE void multiply(Sum& sum, const Fragment& a, const Columns& b) {
    ptx::mma_tf32(sum.r, a.r, b.b);
  }
  static GF_DEVICE void finish(const Sum& sum, int, float (&result)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i) result[i] = sum.r[i];
  }

 private:
  static GF_DEVICE uint32_t one(const Storage* row, int k) { return row == nullptr ? 0 : row[k]; }
};

// Float32 without a matrix instruction, on fragments laid out as those of TF32: a lane multiplies
// the operands that it holds, of k = t and t + 4 in each step, with all 8 columns, and the four
// lanes of a row add up at the end.
template <>
struct Operands<Float32> {
  using Storage = float;
  static constexpr int kStep = 8;
  static constexpr bool kHalves = false;
  static constexpr int tile_stride(int k) { return (k + 31) / 32 * 32 + 4; }

  struct Columns {
    float b[2][kStep];
  };
  struct Sum {
    float r[2][8];  // rows g and g + 8
  };

  static GF_DEVICE Fragment load(const Storage* low, const Storage* high, int t) {
    return {{one(low, t), one(high, t), one(low, t + 4), one(high, t + 4)}};
  }
  static GF_DEVICE Columns columns(const Storage* tile, int stride, int, int t) {
    Columns columns;
#pragma unroll
    for (int n = 0; n < 8; ++n) {
      columns.b[0][n] = tile[n * stride + t];
      columns.b[1][n] = tile[n * stride + t + 4];
    }
    return columns;
  }
  static GF_DEVICE void multiply(Sum& sum, const Fragment& a, const Columns& b) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int n = 0; n < 8; ++n) {
        sum.r[0][n] = fmaf(__uint_as_float(a.r[2 * half]), b.b[half][n], sum.r[0][n]);
        sum.r[1][n] = fmaf(__uint_as_float(a.r[2 * half + 1]), b.b[half][n], sum.r[1][n]);
      }
    }
  }
  // First the pairs of lanes t and t + 2 add up and keep four columns each, then their neighbours.
  static GF_DEVICE void finish(const Sum& sum, int t, float (&result)[4]) {
    const bool upper = t >= 2;
    const bool odd = t % 2 == 1;
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      float four[4];
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const float keep = upper ? sum.r[row][n + 4] : sum.r[row][n];
        const float give = upper ? sum.r[row][n] : sum.r[row][n + 4];
        four[n] = keep + __shfl_xor_sync(0xffffffffu, give, 2);
      }
#pragma unroll
      for (int n = 0; n < 2; ++n) {
        const float keep = odd ? four[n + 2] : four[n];
        const float give = odd ? four[n] : four[n + 2];
        result[2 * row + n] = keep + __shfl_xor_sync(0xffffffffu, give, 1);
      }
    }
  }

 private:
  static GF_DEVICE uint32_t one(const Storage* row, int k) {
    return row == nullptr ? 0 : __float_as_uint(row[k]);
  }
};

}  // namespace gatefuse::cuda
