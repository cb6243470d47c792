// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/product.cuh"

namespace gatefuse::cuda {

// product.out[m] = bias + W . row(m), or that and product.add[m], for all rows.
void multiply(int precision, const Product& product, cudaStream_t stream);

// The rows of a product with a matrix as operands [rows, matrix.stride] of the precision.
void gather(int precision, const Rows& rows, const Matrix& matrix, void* operands,
            cudaStream_t stream);

// Packs rows of float32 on the device into a matrix, rounded to the precision.
void pack(int precision, const float* from, const Matrix& to, const Placement& at,
          cudaStream_t stream);

// to = from with its rows as columns. The padding of `to` is not touched.
void transpose(int precision, const Matrix& from, const Matrix& to, cudaStream_t stream);

// The same, with the slots of scans beside the plain blocks of their units.
void transpose_by_unit(int precision, const Matrix& from, const Matrix& to, const UnitRows& rows,
                       cudaStream_t stream);

// The compute capability that the kernels are compiled for which the current device runs.
int kernels_capability();

}  // namespace gatefuse::cuda
