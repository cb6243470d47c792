// SPDX-License-Identifier: Apache-2.0
//
// Sums over the rows of many steps: what gradients by parameters are made of.
#pragma once

#include <cstdint>

#include "cuda/product.cuh"

namespace gatefuse::cuda {

// out[i, k] = sum over m of left(m)[i] * right(m)[k], in the order of m; added to `out` if asked.
// Both have as many rows; a row that is not there adds nothing.
struct RowProducts {
  Rows left;
  int32_t left_columns;
  Rows right;
  int32_t right_columns;
  float* out;  // [left_columns, out_stride]
  int64_t out_stride;
  int32_t accumulate;
};
void add_products(int precision, const RowProducts& products, cudaStream_t stream);

// out[i] = sum over m of rows(m)[i], in a fixed order; added to `out` if asked.
struct RowSums {
  Rows rows;
  int32_t columns;
  double* out;
  int32_t accumulate;
};
void add_rows(const RowSums& sums, cudaStream_t stream);

// Adds each row m to the row of its token of the embedding's gradient, in the order of m.
struct TokenSums {
  Rows tokens;        // of kTokens: what the rows are gradients of
  const float* rows;  // [count, columns]
  int32_t columns;
  float* out;  // [vocabulary, columns]
};
void add_to_tokens(const TokenSums& sums, cudaStream_t stream);

// The rows of a parameter's block out of sums that lie as the rows of its Matrix do: see Placement.
// A bias has one column.
struct Unpacking {
  Placement at;
  int32_t columns;
  float* to;  // [at.rows, columns]
  int32_t accumulate;
};
void unpack(const float* from, int64_t stride, const Unpacking& unpacking, cudaStream_t stream);
void unpack(const double* from, const Unpacking& unpacking, cudaStream_t stream);

}  // namespace gatefuse::cuda
