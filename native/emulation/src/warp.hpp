// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "grid.hpp"

namespace gatefuse::emulation {

// What the last lane to arrive does, with the arguments of all lanes of the mask.
using CollectiveWork = void(const void* const* arguments, uint32_t mask);

// Waits until all lanes of the mask have come with the same name and from the same place. Orders
// memory only where there is no work (__syncwarp), by the Order whose number it returns: shuffles
// and products order nothing.
unsigned collect(const char* name, uint32_t mask, const void* argument, CollectiveWork* work,
                 const Where& where);

void check_exit(const Thread& thread);

}  // namespace gatefuse::emulation
