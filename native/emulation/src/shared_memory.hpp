// SPDX-License-Identifier: Apache-2.0
//
// Shared memory: every block has an arena in which each array is an object of its own, between red
// zones and filled with NaN. An array is at the same place in the arenas of all blocks, so that an
// address can be mapped into another block of the cluster.
#pragma once

#include <cstddef>
#include <cstdint>

#include "grid.hpp"

namespace gatefuse::emulation {

// Before a launch: which dynamic shared memory it has. Forgets the arrays of the last one.
void begin_shared_memory(size_t dynamic_bytes);
// Gives the block an arena, or takes it back; false where there is no memory.
bool give_arena(Block& block);
void take_arena(Block& block);
// When the block's last thread ends: what was written past an array's end is a failure, and later
// accesses find NaN.
void end_shared_memory(Block& block);

bool in_own_shared_memory(const void* address, size_t bytes);
// The block of the current cluster that an address of remote_address() lies in, and where; null
// where it is in no array.
Block* find_remote(uint32_t address, size_t bytes, void** place);

}  // namespace gatefuse::emulation
