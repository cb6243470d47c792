// SPDX-License-Identifier: Apache-2.0
#include "cuda/products.hpp"

#include "cuda/launch.hpp"

namespace gatefuse::cuda {

void multiply(int precision, const Product& product, cudaStream_t stream) {
  const dim3 grid(blocks_for(product.rows.count, kTileRows),
                  blocks_for(product.matrix.outputs, kTileOutputs));
  with_precision(precision, [&](auto p) {
    launch("product", product_kernel<decltype(p)>, grid, dim3(kProductThreads), stream, product);
  });
}

void gather(int precision, const Rows& rows, const Matrix& matrix, void* operands,
            cudaStream_t stream) {
  constexpr int kThreads = 256;
  const dim3 grid(blocks_for(rows.count, kThreads / 32));
  with_precision(precision, [&](auto p) {
    using P = decltype(p);
    launch("operands", gather_kernel<P>, grid, dim3(kThreads), stream, rows, matrix.k,
           matrix.stride, static_cast<typename P::Storage*>(operands));
  });
}

void pack(int precision, const float* from, const Matrix& to, const Placement& at,
          cudaStream_t stream) {
  constexpr int kThreads = 256;
  const dim3 grid(blocks_for(int64_t{at.rows} * to.k, kThreads));
  with_precision(precision, [&](auto p) {
    launch("packing of weights", pack_kernel<decltype(p)>, grid, dim3(kThreads), stream, from, to,
           at);
  });
}

void transpose(int precision, const Matrix& from, const Matrix& to, cudaStream_t stream) {
  constexpr int kThreads = 256;
  const dim3 grid(blocks_for(int64_t{from.outputs} * from.k, kThreads));
  with_precision(precision, [&](auto p) {
    launch("packing of weights", transpose_kernel<decltype(p)>, grid, dim3(kThreads), stream, from,
           to);
  });
}

void transpose_by_unit(int precision, const Matrix& from, const Matrix& to, const UnitRows& rows,
                       cudaStream_t stream) {
  constexpr int kThreads = 256;
  const dim3 grid(blocks_for(int64_t{from.outputs} * from.k, kThreads));
  with_precision(precision, [&](auto p) {
    launch("packing of weights", transpose_by_unit_kernel<decltype(p)>, grid, dim3(kThreads),
           stream, from, to, rows);
  });
}

int kernels_capability() {
  cudaFuncAttributes attributes = {};
  check(cudaFuncGetAttributes(&attributes, product_kernel<Float32>), "kernels of this library");
  return attributes.ptxVersion;
}

}  // namespace gatefuse::cuda
