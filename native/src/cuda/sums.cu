// SPDX-License-Identifier: Apache-2.0
#include "cuda/sums.hpp"

#include "cuda/launch.hpp"
#include "cuda/scan.cuh"

namespace gatefuse::cuda {
namespace {

constexpr int kThreads = 256;

// ---- Products of rows ---------------------------------------------------------------------------

// Of both operands kTileK rows at a time go through shared memory, turned so that these rows are
// the k of the matrix instruction.
template <class P>
struct TurnedTile {
  using Storage = typename P::Storage;
  static constexpr int kStride = Tile<P>::kStride;
  static constexpr int kPerThread = kTileRows * kTileK / kProductThreads;

  Storage values[kPerThread];

  __device__ static int row(int i) { return element(i) / kTileRows; }
  __device__ static int column(int i) { return element(i) % kTileRows; }

  // Columns first .. of the rows row_at[kTileK].
  __device__ void fetch(const float* const* row_at, int32_t first, int32_t columns) {
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      const float* from = row_at[row(i)];
      const int32_t at = first + column(i);
      values[i] = P::of(from != nullptr && at < columns ? from[at] : 0.0f);
    }
  }
  __device__ void store(Storage (*tile)[kStride]) const {
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) tile[column(i)][row(i)] = values[i];
  }

 private:
  __device__ static int element(int i) {
    return i * kProductThreads + static_cast<int>(threadIdx.x);
  }
};

template <class P>
GF_DEVICE void multiply_rows(const RowProducts& p) {
  using Storage = typename P::Storage;
  constexpr int kStride = Tile<P>::kStride;
  GF_SHARED(const float*, left_at, [kTileK]);
  GF_SHARED(const float*, right_at, [kTileK]);
  GF_SHARED(Storage, left_tile, [kTileRows][kStride]);
  GF_SHARED(Storage, right_tile, [kTileOutputs][kStride]);
  const int thread = static_cast<int>(threadIdx.x);
  const int32_t first_left = static_cast<int32_t>(blockIdx.x) * kTileRows;
  const int32_t first_right = static_cast<int32_t>(blockIdx.y) * kTileOutputs;

  Accumulators<P> sums;
#pragma unroll
  for (int i = 0; i < sums.kCount; ++i) sums[i] = 0.0f;
  for (int32_t m = 0; m < p.left.count; m += kTileK) {
    const float* mine = nullptr;
    if (thread < kTileK) {
      mine = p.left[m + thread];
      left_at[thread] = mine;
    } else if (thread < 2 * kTileK) {
      right_at[thread - kTileK] = p.right[m + thread - kTileK];
    }
    if (__syncthreads_or(mine != nullptr) == 0) continue;
    TurnedTile<P> left;
    TurnedTile<P> right;
    left.fetch(left_at, first_left, p.left_columns);
    right.fetch(right_at, first_right, p.right_columns);
    left.store(left_tile);
    right.store(right_tile);
    __syncthreads();
    sums.multiply(left_tile, right_tile);
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < sums.kCount; ++i) {
    const int32_t row = first_left + sums.row(i);
    const int32_t column = first_right + sums.output(i);
    if (row >= p.left_columns || column >= p.right_columns) continue;
    float& to = p.out[row * p.out_stride + column];
    to = p.accumulate != 0 ? to + sums[i] : sums[i];
  }
}

template <class P>
__global__ void __launch_bounds__(kProductThreads)
    row_products_kernel([[maybe_unused]] const __grid_constant__ RowProducts products) {
  if constexpr (kHasProducts<P>) multiply_rows<P>(products);
}

// ---- Sums of rows -------------------------------------------------------------------------------

constexpr int kSumColumns = 32;
constexpr int kSumParts = kThreads / kSumColumns;

// A thread sums every kSumParts-th row of its column, in double: sums are as long as all steps.
__global__ void row_sums_kernel(const __grid_constant__ RowSums sums) {
  GF_SHARED(double, parts, [kSumParts][kSumColumns]);
  const int column = static_cast<int>(threadIdx.x) % kSumColumns;
  const int part = static_cast<int>(threadIdx.x) / kSumColumns;
  const int32_t at = static_cast<int32_t>(blockIdx.x) * kSumColumns + column;
  double sum = 0;
  for (int32_t m = part; m < sums.rows.count; m += kSumParts) {
    const float* row = sums.rows[m];
    if (row != nullptr && at < sums.columns) sum += row[at];
  }
  parts[part][column] = sum;
  __syncthreads();
  if (part != 0 || at >= sums.columns) return;
  double total = sums.accumulate != 0 ? sums.out[at] : 0;
  for (int i = 0; i < kSumParts; ++i) total += parts[i][column];
  sums.out[at] = total;
}

// ---- Tokens -------------------------------------------------------------------------------------

// A warp for each row of the embedding: it goes through all tokens and takes those that are its
// own, so that each sum has one order.
__global__ void token_sums_kernel(const __grid_constant__ TokenSums sums) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t own = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32;
  if (own >= sums.tokens.vocabulary) return;
  float* to = sums.out + own * sums.columns;
  for (int32_t first = 0; first < sums.tokens.count; first += 32) {
    const int32_t m = first + lane;
    const bool mine = sums.tokens[m] == sums.tokens.base + own * sums.tokens.stride;
    for (unsigned left = __ballot_sync(kAllLanes, mine); left != 0; left &= left - 1) {
      const float* row = sums.rows + int64_t{first + __ffs(left) - 1} * sums.columns;
      for (int32_t k = lane; k < sums.columns; k += 32) to[k] += row[k];
    }
  }
}

// ---- Gradients by parameters --------------------------------------------------------------------

template <class T>
__global__ void unpack_kernel(const T* from, int64_t stride, const Unpacking unpacking) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= int64_t{unpacking.at.rows} * unpacking.columns) return;
  const int64_t row = unpacking.at.first + i / unpacking.columns * unpacking.at.step;
  const float value = static_cast<float>(from[row * stride + i % unpacking.columns]);
  unpacking.to[i] = unpacking.accumulate != 0 ? unpacking.to[i] + value : value;
}

template <class T>
void launch_unpack(const T* from, int64_t stride, const Unpacking& unpacking, cudaStream_t stream) {
  const dim3 grid(blocks_for(int64_t{unpacking.at.rows} * unpacking.columns, kThreads));
  launch("gradients", unpack_kernel<T>, grid, dim3(kThreads), stream, from, stride, unpacking);
}

}  // namespace

void add_products(int precision, const RowProducts& products, cudaStream_t stream) {
  const dim3 grid(blocks_for(products.left_columns, kTileRows),
                  blocks_for(products.right_columns, kTileOutputs));
  with_precision(precision, [&](auto p) {
    launch("gradients", row_products_kernel<decltype(p)>, grid, dim3(kProductThreads), stream,
           products);
  });
}

void add_rows(const RowSums& sums, cudaStream_t stream) {
  launch("gradients", row_sums_kernel, dim3(blocks_for(sums.columns, kSumColumns)), dim3(kThreads),
         stream, sums);
}

void add_to_tokens(const TokenSums& sums, cudaStream_t stream) {
  launch("gradients", token_sums_kernel, dim3(blocks_for(sums.tokens.vocabulary, kThreads / 32)),
         dim3(kThreads), stream, sums);
}

void unpack(const float* from, int64_t stride, const Unpacking& unpacking, cudaStream_t stream) {
  launch_unpack(from, stride, unpacking, stream);
}

void unpack(const double* from, const Unpacking& unpacking, cudaStream_t stream) {
  launch_unpack(from, 1, unpacking, stream);
}

}  // namespace gatefuse::cuda
