// SPDX-License-Identifier: Apache-2.0
#include "onnxruntime/copier.hpp"

#include <algorithm>

#include "error.hpp"

namespace gatefuse::onnxruntime {

void check(gf_status status) {
  if (status != GF_OK) throw Error(status, "%s", gf_last_error());
}

Scratch::~Scratch() { gf_device_free(GF_BACKEND_CUDA, memory_); }

float* Scratch::take(int64_t count) {
  if (!device_) {
    if (static_cast<int64_t>(host_.size()) < count) host_.resize(static_cast<size_t>(count));
    return host_.data();
  }
  if (count_ < count) {
    gf_device_free(GF_BACKEND_CUDA, memory_);
    memory_ = nullptr;
    count_ = 0;
    void* memory = nullptr;
    const int64_t bytes = count * static_cast<int64_t>(sizeof(float));
    check(gf_device_allocate(GF_BACKEND_CUDA, *device_, bytes, &memory));
    memory_ = static_cast<float*>(memory);
    count_ = count;
  }
  return memory_;
}

void Copier::copy(float* to, const float* from, const Pieces& pieces, int32_t completion) const {
  if (device_) {
    const gf_copy copy = {sizeof copy,
                          *device_,
                          to,
                          from,
                          pieces.values,
                          pieces.inner,
                          pieces.outer,
                          pieces.to_inner,
                          pieces.to_outer,
                          pieces.from_inner,
                          pieces.from_outer,
                          stream_,
                          completion,
                          0};
    check(gf_device_copy(GF_BACKEND_CUDA, &copy));
    return;
  }
  for (int64_t i = 0; i < pieces.outer; ++i) {
    for (int64_t j = 0; j < pieces.inner; ++j) {
      std::copy_n(from + i * pieces.from_outer + j * pieces.from_inner, pieces.values,
                  to + i * pieces.to_outer + j * pieces.to_inner);
    }
  }
}

}  // namespace gatefuse::onnxruntime
