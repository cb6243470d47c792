// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
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

  // The same with their rows as columns and without biases, where a way back is prepared.
  Matrix input_back;
  Matrix recurrent_back;
  Matrix candidate_back;
};

// Packed weights of a network on one device, which is the calling thread's current one in every
// function.
class Model {
 public:
  Model(const gf_spec* spec, const gf_model_options* options);

  void set_tensor(int32_t index, const float* data, int64_t count);

  // Replaces the values of all tensors, one after another in `parameters`.
  void update(const float* parameters, int64_t count);
  // How often update has been called.
  int64_t updates() const { return updates_; }

  // Checks that all weights are set, and prepares the way back if asked. Thread-safe, idempotent.
  void finish(bool backward);

  const Spec& spec() const { return spec_; }
  const DeviceFacts& device() const { return device_; }
  int32_t precision() const { return precision_; }
  const LayerWeights& layer(int64_t slot) const { return layers_[slot]; }
  const Matrix& head() const { return head_; }
  const Matrix& head_back() const { return head_back_; }
  // Where the rows of a tensor's block lie in its matrix.
  const Matrix& matrix(const Spec::Tensor& tensor, size_t block) const;
  Placement placement(const Spec::Tensor& tensor, size_t block) const;
  const float* embedding() const { return embedding_; }
  // A row of NaN as wide as the embedding: what a token that is none stands for.
  const float* unknown() const { return unknown_; }
  int64_t bytes() const { return arena_.bytes(); }

 private:
  Matrix make_matrix(const char* what, int64_t outputs, int64_t k);
  void make_layer(LayerWeights& weights, int64_t input);
  void pack_tensor(const Spec::Tensor& tensor, const float* data);
  void pack_block(const Matrix& matrix, const Spec::Tensor& tensor, const float* data,
                  Placement at);
  Matrix make_back(const Matrix& matrix);
  void make_back_matrices();
  void fill_back_matrices();

  Spec spec_;
  DeviceFacts device_;
  int32_t precision_;
  Stream stream_;
  DeviceArena arena_;
  std::vector<LayerWeights> layers_;  // [slots]
  Matrix head_;
  Matrix head_back_;
  float* embedding_ = nullptr;
  float* unknown_ = nullptr;
  std::vector<bool> given_;
  std::mutex finishing_;
  bool backward_ = false;
  int64_t updates_ = 0;
};

}  // namespace gatefuse::cuda
