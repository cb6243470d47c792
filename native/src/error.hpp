// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdarg>
#include <cstdio>
#include <exception>

#include "gatefuse.h"

namespace gatefuse {

// What the inside throws and the boundary (api.cpp) turns into a status and a sentence.
class Error : public std::exception {
 public:
  Error(gf_status status, const char* format, ...) __attribute__((format(printf, 3, 4)))
  : status_(status) {
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message_, sizeof message_, format, arguments);
    va_end(arguments);
  }

  gf_status status() const { return status_; }
  const char* what() const noexcept override { return message_; }

 private:
  gf_status status_;
  char message_[512];  // inside the object: making an error must not allocate
};

}  // namespace gatefuse
