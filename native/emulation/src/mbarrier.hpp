// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "grid.hpp"

namespace gatefuse::emulation {

// Values of st.async that are on their way. The scheduler lets some of them land from time to time,
// all of them where nobody else could run.
inline size_t messages_under_way = 0;
void land_messages();

// When a block's last thread ends, and after a launch.
void end_mbarriers(const Block& block);
void forget_mbarriers();

// For a sentence about threads that wait: "; mbarrier of block ... expects ...".
std::string describe_mbarriers();

}  // namespace gatefuse::emulation
