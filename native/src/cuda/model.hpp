// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "cuda/device.hpp"
#include "cuda/product.cuh"
#include "gatefuse.h"
#include "spec.hpp"

namespace gatefuse::cuda {

// One layer in one direction. The rows of a matrix are the plain blocks unit by unit, so that a
// thread finds all that its unit needs side by side, then the slots of the chunked blocks.
struct LayerWeights {
  Matrix input;      // all blocks over the layer's input, bias_ih
  Matrix recurrent;  // all blocks over h, bias_hh (with reset before: less the candidate)
  Matrix candidate;  // with reset before: the candidate over reset * h
};

// Packed weights of a network on one device, which is the calling thread's current one in every
// function.
class Model {
 public:
  Model(const gf_spec* spec, const gf_model_options* options);

  void set_tensor(int32_t index, const float* data, int64_t count);

  // Checks that all weights are set. Thread-safe.
  void finish() const;

  const Spec& spec() const { return spec_; }
  const DeviceFacts& device() const { return device_; }
  int32_t precision() const { return precision_; }
  const LayerWeights& layer(int64_t slot) const { return layers_[slot]; }
  const Matrix& head() const { return head_; }
  const float* embedding() const { return embedding_; }
  // A row of NaN as wide as the embedding: what a token that is none stands for.
  const float* unknown() const { return unknown_; }
  int64_t bytes() const { return arena_.bytes(); }

 private:
  Matrix make_matrix(const char* what, int64_t outputs, int64_t k);
  void make_layer(LayerWeights& weights, int64_t input);
  void pack_tensor(const Spec::Tensor& tensor, const float* data);
  void pack_block(Matrix& matrix, const Spec::Tensor& tensor, const float* data, Placement at);
  Matrix& matrix_of(const Spec::Tensor& tensor, size_t block);
  Placement placement(const Spec::Tensor& tensor, size_t block) const;

  Spec spec_;
  DeviceFacts device_;
  int32_t precision_;
  Stream stream_;
  DeviceArena arena_;
  std::vector<LayerWeights> layers_;  // [slots]
  Matrix head_;
  float* embedding_ = nullptr;
  float* unknown_ = nullptr;
  std::vector<bool> given_;
};

}  // namespace gatefuse::cuda
