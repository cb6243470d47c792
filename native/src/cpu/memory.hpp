// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <new>
#include <vector>

#include "error.hpp"

namespace gatefuse::cpu {

// Zeroed memory for whoever frees it (std::free); null where it cannot be had. size is above 0.
void* allocate_zeros(int64_t alignment, int64_t size);

// Zeroed, aligned blocks that live as long as their owner. Knows how much it holds.
class Arena {
 public:
  // A measuring arena only counts: what it gives is an address that nothing may be read from or
  // written to.
  explicit Arena(bool measuring = false) : measuring_(measuring) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  // An array of a * b * c elements; what is the sentence's subject where it cannot be had.
  template <class T>
  T* take(const char* what, int64_t a, int64_t b = 1, int64_t c = 1) {
    int64_t count = 0;
    int64_t size = 0;
    if (__builtin_mul_overflow(a, b, &count) || __builtin_mul_overflow(count, c, &count) ||
        __builtin_mul_overflow(count, static_cast<int64_t>(sizeof(T)), &size) || size > kMost) {
      throw Error(GF_OUT_OF_MEMORY,
                  "%s: %lld x %lld x %lld values of %zu bytes are more than an address space", what,
                  static_cast<long long>(a), static_cast<long long>(b), static_cast<long long>(c),
                  sizeof(T));
    }
    return static_cast<T*>(block(what, size));
  }

  int64_t bytes() const { return bytes_; }
  bool measures() const { return measuring_; }

 private:
  static constexpr int64_t kMost = int64_t{1} << 46;

  void* block(const char* what, int64_t size);

  bool measuring_;
  std::vector<void*> blocks_;
  int64_t bytes_ = 0;
};

}  // namespace gatefuse::cpu
