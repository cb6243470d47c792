// SPDX-License-Identifier: Apache-2.0
//
// Device memory and pinned host memory: heap objects, filled with NaN, between red zones, in a
// registry. Callers hold the context's mutex.
#pragma once

#include <cstddef>

#include "cuda_runtime.h"
#include "emulation.hpp"

namespace gatefuse::emulation {

// Null where there is no more.
void* allocate(cudaMemoryType type, size_t bytes);
// False where there is no such allocation of this type.
bool release(cudaMemoryType type, void* pointer);

// cudaMemoryTypeUnregistered for all other memory.
cudaMemoryType type_of(const void* pointer);
// Whether all these bytes lie in one allocation of this type.
bool holds(cudaMemoryType type, const void* pointer, size_t bytes);
// Whether a kernel may read there: device memory or pinned host memory.
bool on_device(const void* pointer, size_t bytes);

size_t device_bytes_in_use();
void count_memory(Live& live);

// A sentence about the first allocation that was written outside its bounds, null where none was.
const char* check_memory();

}  // namespace gatefuse::emulation
