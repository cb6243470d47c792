// SPDX-License-Identifier: Apache-2.0
//
// The part of cuBLASLt's C interface that vendor_products.cu calls, so that neither its headers nor
// its library are needed to build. The values are those of cuBLAS 12 and 13, which have them in
// common. Matrices are by columns there.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace gatefuse::cuda::cublaslt {

using Status = int32_t;  // cublasStatus_t
constexpr Status kSuccess = 0;
constexpr Status kAllocationFailed = 3;

// cudaDataType
enum Type : int32_t { kFloat32 = 0, kFloat16 = 2, kBfloat16 = 14 };
// cublasComputeType_t: how operands are multiplied; the sums are float32.
enum Compute : int32_t { kExactly = 68, kInTf32 = 77 };
// cublasOperation_t
enum Operation : int32_t { kAsItIs = 0, kTransposed = 1 };
// cublasLtEpilogue_t: adds a bias to each row of the result.
enum Epilogue : int32_t { kAddBias = 4 };
// cublasLtMatmulDescAttributes_t
enum ProductAttribute : int32_t { kTransposeA = 3, kEpilogue = 7, kBiasPointer = 8 };
// cublasLtMatmulPreferenceAttributes_t
enum PreferenceAttribute : int32_t { kMostWorkspace = 1 };

// cublasLtMatmulAlgo_t and cublasLtMatmulHeuristicResult_t
struct Algorithm {
  uint64_t data[8];
};
struct Found {
  Algorithm algorithm;
  size_t workspace;  // bytes
  Status state;
  float waves;
  int32_t reserved[4];
};
static_assert(sizeof(Found) == 96);

// The functions, by the names that the library exports. Handles, descriptors and layouts are
// pointers to what only the library knows.
struct Functions {
  Status (*cublasLtCreate)(void** handle);
  Status (*cublasLtDestroy)(void* handle);
  size_t (*cublasLtGetVersion)();
  const char* (*cublasLtGetStatusName)(Status status);
  Status (*cublasLtMatmulDescCreate)(void** product, Compute compute, Type scale);
  Status (*cublasLtMatmulDescDestroy)(void* product);
  Status (*cublasLtMatmulDescSetAttribute)(void* product, ProductAttribute attribute,
                                           const void* value, size_t bytes);
  Status (*cublasLtMatrixLayoutCreate)(void** layout, Type type, uint64_t rows, uint64_t columns,
                                       int64_t stride);
  Status (*cublasLtMatrixLayoutDestroy)(void* layout);
  Status (*cublasLtMatmulPreferenceCreate)(void** preference);
  Status (*cublasLtMatmulPreferenceDestroy)(void* preference);
  Status (*cublasLtMatmulPreferenceSetAttribute)(void* preference, PreferenceAttribute attribute,
                                                 const void* value, size_t bytes);
  Status (*cublasLtMatmulAlgoGetHeuristic)(void* handle, void* product, void* layout_a,
                                           void* layout_b, void* layout_c, void* layout_d,
                                           void* preference, int32_t most, Found* found,
                                           int32_t* count);
  // d = alpha op(a) op(b) + beta c, and the epilogue.
  Status (*cublasLtMatmul)(void* handle, void* product, const void* alpha, const void* a,
                           void* layout_a, const void* b, void* layout_b, const void* beta,
                           const void* c, void* layout_c, void* d, void* layout_d,
                           const Algorithm* algorithm, void* workspace, size_t workspace_bytes,
                           cudaStream_t stream);
};

}  // namespace gatefuse::cuda::cublaslt
