// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backend.h"
#include "cpu/model.hpp"

namespace gatefuse::cpu {

// The CPU backend, always there.
const gf_backend_table* backend_table();

}  // namespace gatefuse::cpu
