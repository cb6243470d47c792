// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <new>

#include "backend.h"
#include "error.hpp"

namespace gatefuse {

// Runs body and turns what it throws into a status and a sentence.
template <class Body>
gf_status guard(gf_message* message, Body body) {
  try {
    body();
    return GF_OK;
  } catch (const Error& error) {
    std::snprintf(message->text, sizeof message->text, "%s", error.what());
    return error.status();
  } catch (const std::bad_alloc&) {
    std::snprintf(message->text, sizeof message->text, "host memory: the allocation failed");
    return GF_OUT_OF_MEMORY;
  } catch (const std::exception& error) {
    std::snprintf(message->text, sizeof message->text, "internal error: %s", error.what());
    return GF_INTERNAL;
  }
}

}  // namespace gatefuse
