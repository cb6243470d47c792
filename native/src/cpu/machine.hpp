// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace gatefuse::cpu {

// How many processors this process may use: its affinity mask and its container's CPU limit, at least 1.
int usable_processors();

// The processor's own name, as the system reports it, zero-terminated and cut at capacity.
void device_name(char* name, size_t capacity);

}  // namespace gatefuse::cpu
