// SPDX-License-Identifier: Apache-2.0
//
// Random values in device memory, in the formats of the contenders.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime.hpp"

namespace gatefuse::benchmark {

enum class Format { kFloat32, kFloat16 };

inline int64_t bytes_of(Format format) { return format == Format::kFloat32 ? 4 : 2; }

// values[i] = a number from -bound to bound that depends on seed and i alone: every format gets the
// same ones, rounded.
void fill(void* values, Format format, int64_t count, uint32_t seed, float bound,
          cudaStream_t stream);

// Copies from the host, and back.
void upload(void* values, Format format, const float* from, int64_t count, cudaStream_t stream);
std::vector<float> download(const void* values, Format format, int64_t count, cudaStream_t stream);

}  // namespace gatefuse::benchmark
