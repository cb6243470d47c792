// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace gatefuse::cpu {

// How many processors this process may use: its affinity mask and its container's CPU limit, at
// least 1.
int usable_processors();

// Bytes of memory that this process can at most have: the machine's, or its container's limit.
int64_t usable_memory();

// The processor's own name, as the system reports it, zero-terminated and cut at capacity.
void device_name(char* name, size_t capacity);

}  // namespace gatefuse::cpu
