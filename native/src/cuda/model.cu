// SPDX-License-Identifier: Apache-2.0
#include "cuda/model.hpp"

#include <algorithm>
#include <limits>

#include "batch.hpp"
#include "cuda/products.hpp"

namespace gatefuse::cuda {
namespace {

int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

int64_t operand_bytes(int32_t precision) {
  int64_t bytes = 0;
  with_precision(precision, [&](auto p) { bytes = sizeof(typename decltype(p)::Storage); });
  return bytes;
}

// A precision that there is, and that the device has.
int32_t checked_precision(int32_t precision, const DeviceFacts& device) {
  if (precision < GF_FLOAT32 || precision > GF_FLOAT16) {
    throw Error(
        GF_INVALID_ARGUMENT,
        "precision: expected %d (float32), %d (tf32), %d (bfloat16) or %d (float16), got %d",
        GF_FLOAT32, GF_TF32, GF_BFLOAT16, GF_FLOAT16, precision);
  }
  with_precision(precision, [&](auto p) {
    using P = decltype(p);
    if (device.kernels >= P::kLeastCapability) return;
    throw Error(GF_BACKEND_UNAVAILABLE,
                "precision: compute capability %s or later is needed for %s, %s; it has float32 "
                "and float16",
                capability_text(P::kLeastCapability).c_str(), P::kName, device.has_text().c_str());
  });
  return precision;
}

DeviceFacts facts_of(int device) {
  DeviceFacts facts = DeviceFacts::of(device);
  facts.kernels = std::min(facts.capability, kernels_capability());
  return facts;
}

bool is_recurrent(const Spec::Tensor& tensor) {
  return tensor.role == Spec::Role::kWeightHh || tensor.role == Spec::Role::kBiasHh;
}

// Cells with reset before have no chunked blocks: a block's number is that among the plain ones.
bool is_candidate(const CellInfo& cell, size_t block) {
  return cell.reset_before && static_cast<int>(block) == cell.candidate_block;
}

}  // namespace

Model::Model(const gf_spec* spec, const gf_model_options* options)
    : spec_(spec),
      device_(facts_of(options->device)),
      precision_(checked_precision(options->precision, device_)),
      layers_(spec_.slots()),
      given_(spec_.tensor_count()) {
  for (int64_t slot = 0; slot < spec_.slots(); ++slot) {
    make_layer(layers_[slot], spec_.layer_input(slot / spec_.directions));
  }
  if (spec_.vocabulary > 0) {
    embedding_ = arena_.take<float>(stream_, "embedding", spec_.vocabulary, spec_.input);
    unknown_ = arena_.take<float>(stream_, "embedding", spec_.input);
    check(cudaMemsetAsync(unknown_, 0xff, spec_.input * sizeof(float), stream_), "embedding");
  }
  if (spec_.outputs > 0) {
    head_ = make_matrix("head", spec_.outputs, spec_.directions * spec_.hidden);
  }
  check(cudaStreamSynchronize(stream_), "model");
}

Matrix Model::make_matrix(const char* what, int64_t outputs, int64_t k) {
  constexpr int64_t kMostOutputs = int64_t{65535} * kTileOutputs;  // blocks of a launch
  const int64_t padded = round_up(outputs, kTileOutputs);
  const int64_t stride = round_up(k, kTileK);
  if (outputs > kMostOutputs || stride > std::numeric_limits<int32_t>::max()) {
    throw Error(GF_INVALID_ARGUMENT,
                "%s: expected at most %lld rows of at most 2^31 - 32 values on CUDA, got %lld of "
                "%lld",
                what, static_cast<long long>(kMostOutputs), static_cast<long long>(outputs),
                static_cast<long long>(k));
  }
  Matrix matrix;
  matrix.outputs = static_cast<int32_t>(outputs);
  matrix.k = static_cast<int32_t>(k);
  matrix.stride = static_cast<int32_t>(stride);
  matrix.weight = arena_.take<char>(stream_, what, padded, stride, operand_bytes(precision_));
  matrix.bias = arena_.take<float>(stream_, what, padded);
  return matrix;
}

void Model::make_layer(LayerWeights& weights, int64_t input) {
  const int64_t candidate = spec_.cell->reset_before ? spec_.hidden : 0;
  weights.input = make_matrix("weight_ih", spec_.rows(), input);
  weights.recurrent = make_matrix("weight_hh", spec_.rows() - candidate, spec_.hidden);
  if (candidate > 0) weights.candidate = make_matrix("weight_hh", candidate, spec_.hidden);
}

// With reset before, the candidate's recurrent rows are a matrix of their own.
const Matrix& Model::matrix(const Spec::Tensor& tensor, size_t block) const {
  const LayerWeights& weights = layers_[tensor.slot];
  if (!is_recurrent(tensor)) return weights.input;
  const bool own = spec_.cell->reset_before && is_candidate(*spec_.cell, block);
  return own ? weights.candidate : weights.recurrent;
}

Placement Model::placement(const Spec::Tensor& tensor, size_t block) const {
  const CellInfo& cell = *spec_.cell;
  const bool apart = cell.reset_before && is_recurrent(tensor);
  if (apart && is_candidate(cell, block)) {
    return {static_cast<int32_t>(spec_.hidden), 0, 1};
  }
  int plain = 0;   // blocks of this matrix that are not chunked
  int before = 0;  // those of the same kind before this one
  for (size_t b = 0; b < cell.blocks.size(); ++b) {
    if (apart && is_candidate(cell, b)) continue;
    plain += !cell.blocks[b].chunked;
    if (b < block) before += cell.blocks[b].chunked == cell.blocks[block].chunked;
  }
  const int64_t rows = spec_.block_rows(cell.blocks[block]);
  if (cell.blocks[block].chunked) {
    return {static_cast<int32_t>(rows), static_cast<int32_t>(spec_.hidden * plain + before * rows),
            1};
  }
  return {static_cast<int32_t>(rows), before, plain};
}

void Model::pack_block(const Matrix& matrix, const Spec::Tensor& tensor, const float* data,
                       Placement at) {
  if (!tensor.is_bias()) {
    pack(precision_, data, matrix, at, stream_);
    return;
  }
  // A bias is a matrix of one column.
  Matrix bias = matrix;
  bias.weight = matrix.bias;
  bias.k = 1;
  bias.stride = 1;
  pack(GF_FLOAT32, data, bias, at, stream_);
}

void Model::pack_tensor(const Spec::Tensor& tensor, const float* data) {
  if (tensor.role == Spec::Role::kEmbedding) {
    check(cudaMemcpyAsync(embedding_, data, tensor.count() * sizeof(float),
                          cudaMemcpyDeviceToDevice, stream_),
          "embedding");
    return;
  }
  if (tensor.role == Spec::Role::kHeadWeight || tensor.role == Spec::Role::kHeadBias) {
    pack_block(head_, tensor, data, {head_.outputs, 0, 1});
    return;
  }
  for (size_t b = 0; b < spec_.cell->blocks.size(); ++b) {
    const Placement at = placement(tensor, b);
    pack_block(matrix(tensor, b), tensor, data, at);
    data += at.rows * tensor.columns;
  }
}

void Model::set_tensor(int32_t index, const float* data, int64_t count) {
  const Spec::Tensor tensor = spec_.tensor(index);
  if (count != tensor.count()) {
    throw Error(GF_INVALID_ARGUMENT, "tensor %d: expected %lld x %lld = %lld values, got %lld",
                index, static_cast<long long>(tensor.rows), static_cast<long long>(tensor.columns),
                static_cast<long long>(tensor.count()), static_cast<long long>(count));
  }
  cudaPointerAttributes attributes = {};
  check(cudaPointerGetAttributes(&attributes, data), "data");
  if (attributes.type == cudaMemoryTypeDevice) wrong("data", "host memory", "device memory");
  DeviceArena temporary;
  float* copy = temporary.take<float>(stream_, "tensor on its way", count);
  check(cudaMemcpyAsync(copy, data, count * sizeof(float), cudaMemcpyHostToDevice, stream_),
        "tensor on its way");
  pack_tensor(tensor, copy);
  check(cudaStreamSynchronize(stream_), "packing of weights");
  given_[index] = true;
}

void Model::update(const float* parameters, int64_t count) {
  spec_.for_each_tensor(parameters, count, [&](int32_t index, const float* data, int64_t values) {
    set_tensor(index, data, values);
  });
  if (backward_) fill_back_matrices();
  ++updates_;
}

void Model::finish(bool backward) {
  for (int32_t index = 0; index < spec_.tensor_count(); ++index) {
    if (!given_[index] && !spec_.tensor(index).is_bias()) {
      throw Error(GF_INVALID_STATE, "model: expected tensor %d to be set before a session", index);
    }
  }
  const std::lock_guard<std::mutex> lock(finishing_);
  if (!backward || backward_) return;
  make_back_matrices();
  fill_back_matrices();
  backward_ = true;
}

// ---- The way back -------------------------------------------------------------------------------

Matrix Model::make_back(const Matrix& matrix) {
  return make_matrix("weights of the way back", matrix.k, matrix.outputs);
}

void Model::make_back_matrices() {
  for (LayerWeights& weights : layers_) {
    weights.input_back = make_back(weights.input);
    weights.recurrent_back = make_back(weights.recurrent);
    if (weights.candidate.weight != nullptr) weights.candidate_back = make_back(weights.candidate);
  }
  if (spec_.outputs > 0) head_back_ = make_back(head_);
}

void Model::fill_back_matrices() {
  for (const LayerWeights& weights : layers_) {
    transpose(precision_, weights.input, weights.input_back, stream_);
    transpose(precision_, weights.recurrent, weights.recurrent_back, stream_);
    if (weights.candidate.weight != nullptr) {
      transpose(precision_, weights.candidate, weights.candidate_back, stream_);
    }
  }
  if (spec_.outputs > 0) transpose(precision_, head_, head_back_, stream_);
  check(cudaStreamSynchronize(stream_), "weights of the way back");
}

}  // namespace gatefuse::cuda
