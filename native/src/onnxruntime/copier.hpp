// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "gatefuse.h"

namespace gatefuse::onnxruntime {

// The CUDA device that an operator runs on; none: the CPU.
using Device = std::optional<int32_t>;

// Throws the sentence of a failed call of gatefuse.h.
void check(gf_status status);

// Memory where the operator runs, which grows.
class Scratch {
 public:
  explicit Scratch(const Device& device) : device_(device) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  // So many values, zeros where they are new. Nothing may be using what it gave before.
  float* take(int64_t count);

 private:
  Device device_;
  int64_t count_ = 0;        // on the device
  float* memory_ = nullptr;  // there
  std::vector<float> host_;
};

// How the pieces of a tensor lie, as in gf_copy.
struct Pieces {
  int64_t values;
  int64_t inner, outer;
  int64_t to_inner, to_outer;
  int64_t from_inner, from_outer;
};

// Rearranges tensors where the operator runs: at once, or on a stream.
class Copier {
 public:
  Copier(const Device& device, void* stream) : device_(device), stream_(stream) {}

  void copy(float* to, const float* from, const Pieces& pieces,
            int32_t completion = GF_ON_STREAM) const;

 private:
  Device device_;
  void* stream_;
};

}  // namespace gatefuse::onnxruntime
