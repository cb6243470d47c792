// SPDX-License-Identifier: Apache-2.0
//
// Products of rows of float32 with a packed weight matrix: out[m] = bias + W . row(m).
//
// Every output is one sum over k in the order of k, in one accumulator, whatever the number of rows
// and wherever in a tile it lies: a row's result does not depend on the others of its batch.
#pragma once

#include <cstdint>

#include "cuda/precision.cuh"
#include "cuda/ptx.cuh"
#include "cuda/sequences.cuh"

namespace gatefuse::cuda {

// A block makes a tile of kTileRows x kTileOutputs results, kTileK operands at a time.
constexpr int kTileRows = 64;
constexpr int kTileOutputs = 64;
constexpr int kTileK = 32;
constexpr int kProductThreads = 128;

// W [outputs, k], rows padded with zeros to `stride` operands (a multiple of kTileK) and their
// number to a multiple of kTileOutputs. Storage is that of the precision.
struct Matrix {
  void* weight = nullptr;
  float* bias = nullptr;  // [outputs, padded]
  int32_t outputs = 0;
  int32_t k = 0;
  int32_t stride = 0;
};

// The rows of a product.
struct Rows {
  enum Kind : int32_t {
    kMatrix,  // row m lies at base + m * stride
    kSteps,   // the same, and is step first + m / B of row m % B, within a sequence or not at all
    kInputs,  // row m is step first + m / B of row m % B: at base + place * stride
    kTokens,  // the same, but base is an embedding and the place holds a token
    kPlaces   // row m is place offset + m of a caller's tensor, within a sequence or not at all
  };
  Kind kind;
  int32_t count;
  const float* base;
  int64_t stride;
  Pass pass;
  const int32_t* tokens;
  int32_t vocabulary;
  const float* unknown;  // a row of NaN, for tokens that are none
  int64_t offset;

  // Null: there is no such row, and its results are nobody's.
  __device__ const float* operator[](int32_t m) const {
    if (m >= count) return nullptr;
    if (kind == kMatrix) return base + m * stride;
    if (kind == kPlaces) {
      return pass.sequences.within(offset + m) ? base + (offset + m) * stride : nullptr;
    }
    const int32_t s = step(m);
    const int32_t row = m % pass.sequences.batch;
    if (!pass.runs(s, row)) return nullptr;
    if (kind == kSteps) return base + m * stride;
    const int64_t place = pass.sequences.place(pass.time(s, row), row);
    if (kind == kInputs) return base + place * stride;
    const int32_t token = tokens[place];
    return token >= 0 && token < vocabulary ? base + token * stride : unknown;
  }
  __device__ int32_t step(int32_t m) const { return pass.first + m / pass.sequences.batch; }
  // The caller's place of row m, of steps.
  __device__ int64_t place(int32_t m) const {
    const int32_t row = m % pass.sequences.batch;
    return pass.sequences.place(pass.time(step(m), row), row);
  }
};

struct Product {
  Matrix matrix;
  Rows rows;
  float* out;
  int64_t out_stride;
  const float* add = nullptr;  // [as out] added to the sums; may be out; null: nothing
  int32_t out_places = 0;      // whether results (and `add`) lie by the caller's places, of kSteps
};

template <class P>
struct Tile {
  using Storage = typename P::Storage;
  // Padded so that the lanes of a warp read different banks.
  static constexpr int kStride = sizeof(Storage) == 2 ? kTileK + 8
                                 : P::kId == GF_TF32  ? kTileK + 4
                                                      : kTileK + 1;
  static constexpr int kPerThread = kTileRows * kTileK / kProductThreads;

  // A thread's part of the next tile of both operands, on its way from memory.
  Storage rows[kPerThread];
  Storage weights[kPerThread];

  __device__ void fetch(const Matrix& matrix, const float* const* row_at, int32_t first_output,
                        int32_t k0) {
    const Storage* weight = static_cast<const Storage*>(matrix.weight);
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      const int element = i * kProductThreads + static_cast<int>(threadIdx.x);
      const int line = element / kTileK;
      const int32_t k = k0 + element % kTileK;
      const float* row = row_at[line];
      rows[i] = P::of(row != nullptr && k < matrix.k ? row[k] : 0.0f);
      weights[i] = weight[int64_t{first_output + line} * matrix.stride + k];
    }
  }

  __device__ void store(Storage (*row_tile)[kStride], Storage (*weight_tile)[kStride]) const {
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      const int element = i * kProductThreads + static_cast<int>(threadIdx.x);
      row_tile[element / kTileK][element % kTileK] = rows[i];
      weight_tile[element / kTileK][element % kTileK] = weights[i];
    }
  }
};
static_assert(kTileRows == kTileOutputs, "Tile::fetch takes both operands in one sweep");

// A thread's accumulators, and where in the tile they lie. By the general template for the tensor
// cores: a warp has 32 x 32 results as 2 x 4 tiles of m16n8.
template <class P>
struct Accumulators {
  using Storage = typename P::Storage;
  static constexpr int kStride = Tile<P>::kStride;
  static constexpr int kCount = 32;
  float sum[2][4][4];

  __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
  __device__ static int first_row() { return static_cast<int>(threadIdx.x) / 32 % 2 * 32; }
  __device__ static int first_output() { return static_cast<int>(threadIdx.x) / 64 * 32; }
  __device__ static int row(int i) {
    return first_row() + i / 16 * 16 + i % 4 / 2 * 8 + lane() / 4;
  }
  __device__ static int output(int i) {
    return first_output() + i / 4 % 4 * 8 + lane() % 4 * 2 + i % 2;
  }
  __device__ float& operator[](int i) { return sum[i / 16][i / 4 % 4][i % 4]; }

  __device__ void multiply(Storage (*rows)[kStride], Storage (*weights)[kStride]) {
    if constexpr (P::kId == GF_TF32) {
      multiply_tf32(rows, weights);
    } else {
      multiply_16_bits(rows, weights);
    }
  }

 private:
  __device__ void multiply_16_bits(Storage (*rows)[kStride], Storage (*weights)[kStride]) {
    const int at = lane();
#pragma unroll
    for (int k = 0; k < kTileK; k += 16) {
      uint32_t a[2][4];
      uint32_t b[2][4];  // two tiles of outputs each
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        ptx::ldmatrix_x4(a[i], &rows[first_row() + i * 16 + at % 16][k + at / 16 * 8]);
        ptx::ldmatrix_x4(
            b[i], &weights[first_output() + i * 16 + at / 16 * 8 + at % 8][k + at / 8 % 2 * 8]);
      }
#pragma unroll
      for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int n = 0; n < 4; ++n) {
          const uint32_t one[2] = {b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]};
          if constexpr (P::kId == GF_BFLOAT16) {
            ptx::mma_bf16(sum[m][n], a[m], one);
          } else {
            ptx::mma_f16(sum[m][n], a[m], one);
          }
        }
      }
    }
  }

  __device__ void multiply_tf32(Storage (*rows)[kStride], Storage (*weights)[kStride]) {
    const int g = lane() / 4;
    const int t = lane() % 4;
#pragma unroll
    for (int k = 0; k < kTileK; k += 8) {
      uint32_t a[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        const int row = first_row() + m * 16 + g;
        a[m][0] = rows[row][k + t];
        a[m][1] = rows[row + 8][k + t];
        a[m][2] = rows[row][k + t + 4];
        a[m][3] = rows[row + 8][k + t + 4];
      }
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const int output = first_output() + n * 8 + g;
        const uint32_t b[2] = {weights[output][k + t], weights[output][k + t + 4]};
#pragma unroll
        for (int m = 0; m < 2; ++m) ptx::mma_tf32(sum[m][n], a[m], b);
      }
    }
  }
};

// Without tensor cores: a thread has 8 rows x 4 outputs.
template <>
struct Accumulators<Float32> {
  static constexpr int kStride = Tile<Float32>::kStride;
  static constexpr int kCount = 32;
  float sum[8][4];

  __device__ static int row(int i) { return static_cast<int>(threadIdx.x) / 16 * 8 + i / 4; }
  __device__ static int output(int i) { return static_cast<int>(threadIdx.x) % 16 + i % 4 * 16; }
  __device__ float& operator[](int i) { return sum[i / 4][i % 4]; }

  __device__ void multiply(float (*rows)[kStride], float (*weights)[kStride]) {
#pragma unroll 4
    for (int k = 0; k < kTileK; ++k) {
      float w[4];
#pragma unroll
      for (int j = 0; j < 4; ++j) w[j] = weights[output(j)][k];
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        const float x = rows[row(4 * i)][k];
#pragma unroll
        for (int j = 0; j < 4; ++j) sum[i][j] = fmaf(w[j], x, sum[i][j]);
      }
    }
  }
};

// Where the results of row m go.
GF_DEVICE int64_t out_row(const Product& product, int32_t m) {
  return (product.out_places != 0 ? product.rows.place(m) : int64_t{m}) * product.out_stride;
}

// A block's tile of a product.
template <class P>
GF_DEVICE void multiply_tile(const Product& product) {
  using Storage = typename P::Storage;
  constexpr int kStride = Tile<P>::kStride;
  GF_SHARED(const float*, row_at, [kTileRows]);
  GF_SHARED(Storage, row_tile, [kTileRows][kStride]);
  GF_SHARED(Storage, weight_tile, [kTileOutputs][kStride]);
  const Matrix& matrix = product.matrix;
  const int32_t first_row = static_cast<int32_t>(blockIdx.x) * kTileRows;
  const int32_t first_output = static_cast<int32_t>(blockIdx.y) * kTileOutputs;
  const float* mine = nullptr;
  if (threadIdx.x < kTileRows) {
    mine = product.rows[first_row + static_cast<int32_t>(threadIdx.x)];
    row_at[threadIdx.x] = mine;
  }
  if (__syncthreads_or(mine != nullptr) == 0) return;

  Accumulators<P> sums;
#pragma unroll
  for (int i = 0; i < sums.kCount; ++i) sums[i] = matrix.bias[first_output + sums.output(i)];
  Tile<P> tile;
  tile.fetch(matrix, row_at, first_output, 0);
  for (int32_t k = 0; k < matrix.k; k += kTileK) {
    tile.store(row_tile, weight_tile);
    __syncthreads();
    if (k + kTileK < matrix.k) tile.fetch(matrix, row_at, first_output, k + kTileK);
    sums.multiply(row_tile, weight_tile);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < sums.kCount; ++i) {
    const int32_t row = first_row + sums.row(i);
    const int32_t output = first_output + sums.output(i);
    if (row >= product.rows.count || output >= matrix.outputs) continue;
    if (product.out_places != 0 && row_at[sums.row(i)] == nullptr) continue;
    const int64_t at = out_row(product, row) + output;
    product.out[at] = product.add == nullptr ? sums[i] : product.add[at] + sums[i];
  }
}

template <class P>
__global__ void __launch_bounds__(kProductThreads)
    product_kernel([[maybe_unused]] const __grid_constant__ Product product) {
  if constexpr (kHasProducts<P>) multiply_tile<P>(product);
}

// Rows as a product takes its operands: rounded, `stride` from one to the next, with zeros behind k
// and where there is no row. A warp for each.
template <class P>
__global__ void gather_kernel(const __grid_constant__ Rows rows, int32_t k, int32_t stride,
                              typename P::Storage* to) {
  const int64_t m = int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32;
  if (m >= rows.count) return;
  const float* row = rows[static_cast<int32_t>(m)];
  for (int32_t i = static_cast<int32_t>(threadIdx.x) % 32; i < stride; i += 32) {
    to[m * stride + i] = P::of(row != nullptr && i < k ? row[i] : 0.0f);
  }
}

// A matrix with its rows as columns: to.weight [from.k, from.outputs], without a bias.
template <class P>
__global__ void transpose_kernel(const Matrix from, Matrix to) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= int64_t{from.outputs} * from.k) return;
  const int64_t row = i / from.k;
  const int64_t column = i % from.k;
  static_cast<typename P::Storage*>(to.weight)[column * to.stride + row] =
      static_cast<const typename P::Storage*>(from.weight)[row * from.stride + column];
}

// How the rows of LayerWeights::recurrent lie: the plain blocks of all units, then the slots of
// each scan.
struct UnitRows {
  int32_t hidden, plain, scans, slots;
};

// The same for a matrix whose rows are UnitRows, with the slots of a unit behind its plain blocks:
// all that comes from one unit is side by side. A unit without slots has gaps there.
template <class P>
__global__ void transpose_by_unit_kernel(const Matrix from, Matrix to, UnitRows rows) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= int64_t{from.outputs} * from.k) return;
  const int64_t row = i / from.k;
  const int64_t column = i % from.k;
  const int64_t slot = row - int64_t{rows.hidden} * rows.plain;
  const int64_t unit = slot < 0 ? row / rows.plain : slot % rows.slots;
  const int64_t block = slot < 0 ? row % rows.plain : rows.plain + slot / rows.slots;
  static_cast<typename P::Storage*>(
      to.weight)[column * to.stride + unit * (rows.plain + rows.scans) + block] =
      static_cast<const typename P::Storage*>(from.weight)[row * from.stride + column];
}

// Where the rows of a parameter's block go in a Matrix: row i to first + i * step.
struct Placement {
  int32_t rows;
  int32_t first;
  int32_t step;
};

// Packs rows [rows, k] of float32 into a matrix, rounded to its precision.
template <class P>
__global__ void pack_kernel(const float* from, Matrix to, Placement at) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= int64_t{at.rows} * to.k) return;
  const int64_t row = at.first + i / to.k * at.step;
  static_cast<typename P::Storage*>(to.weight)[row * to.stride + i % to.k] = P::of(from[i]);
}

}  // namespace gatefuse::cuda
