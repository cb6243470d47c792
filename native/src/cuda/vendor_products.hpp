// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/cublaslt.hpp"
#include "cuda/device.hpp"
#include "cuda/product.cuh"

namespace gatefuse::cuda {

// Products by NVIDIA's cuBLASLt, for sessions that ask for them. The library is searched for when
// the first one does: libcublasLt.so.13, then .12, where the dynamic linker looks, or the one that
// GATEFUSE_CUBLASLT (environment) names.
//
// All that a product needs is made when the session is: descriptors, algorithms, memory. A product
// itself is two launches and can be captured.
class VendorProducts {
 public:
  // An Error where the library is not found, or lacks a function.
  explicit VendorProducts(int32_t precision);
  VendorProducts(const VendorProducts&) = delete;
  VendorProducts& operator=(const VendorProducts&) = delete;

  // Makes ready for products of this matrix with up to so many rows.
  // out: [most_rows, outputs], for the results of all of them.
  void prepare(const Matrix& matrix, float* out, int64_t most_rows);
  // After the last matrix: takes memory.
  void finish(DeviceArena& arena, cudaStream_t stream);
  // Runs each product once on zeros. That loads the kernels, which a capture could not, and an
  // algorithm that fails does so here.
  void try_all(cudaStream_t stream) const;

  // product.out[m] = bias + W . row(m), for all rows. The matrix and out have been prepared;
  // results behind the last row are unspecified.
  void multiply(const Product& product, cudaStream_t stream) const;

  // Such as "cublasLt 13.1".
  std::string name() const;

 private:
  // What the library made and takes back.
  struct Destroy {
    cublaslt::Status (*destroy)(void*);
    void operator()(void* object) const { destroy(object); }
  };
  using Object = std::unique_ptr<void, Destroy>;

  // A product with so many rows.
  struct Size {
    int64_t rows;
    Object operands;  // layouts
    Object results;
    cublaslt::Found found;
  };
  struct Plan {
    Matrix matrix;
    float* out;
    Object product;
    Object weights;           // layout
    std::vector<Size> sizes;  // the largest first
  };

  template <class Make>
  Object make(const char* what, cublaslt::Status (*destroy)(void*), Make create) const;
  Object layout(cublaslt::Type type, int64_t rows, int64_t columns, int64_t stride) const;
  Size size_of(const Plan& plan, void* preference, int64_t rows) const;
  void run(const Plan& plan, const Size& size, cudaStream_t stream) const;
  void check(cublaslt::Status status, const char* what) const;

  int32_t precision_;
  cublaslt::Functions lt_;
  cublaslt::Type type_;  // of operands
  cublaslt::Compute compute_;
  Object handle_;
  std::vector<Plan> plans_;
  char* operands_ = nullptr;   // the rows of a product, rounded
  char* workspace_ = nullptr;  // the library's
  size_t workspace_bytes_ = 0;
};

}  // namespace gatefuse::cuda
