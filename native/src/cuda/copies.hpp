// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cuda/device.hpp"
#include "gatefuse.h"

namespace gatefuse::cuda {

// Where kernels see memory that a caller has; null: nowhere, it is pageable.
template <class T>
T* seen_by_kernels(T* memory) {
  if (memory == nullptr) return nullptr;
  cudaPointerAttributes attributes = {};
  check(cudaPointerGetAttributes(&attributes, memory), "memory");
  return static_cast<T*>(attributes.devicePointer);
}

// Whether a graph is being made of what goes on the stream; throws where there is no such stream.
bool is_capturing(cudaStream_t stream);

// A caller's copy, on the current device.
void copy_pieces(const gf_copy& copy);

}  // namespace gatefuse::cuda
