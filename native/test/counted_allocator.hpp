// SPDX-License-Identifier: Apache-2.0
//
// Replaces the C library's allocator by one that counts; operator new is built on it. Sanitizers
// have allocators of their own: under them, and without glibc, there is nothing here. For one unit
// of an executable.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "support.hpp"

#if !defined(__GLIBC__) || GATEFUSE_SANITIZED
#define GATEFUSE_COUNTS_ALLOCATIONS 0
#else
#define GATEFUSE_COUNTS_ALLOCATIONS 1

namespace gatefuse::test {

inline std::atomic<long> allocations{0};
inline std::atomic<long> frees{0};
// Whether what the calling thread does now is somebody else's; null: never.
inline bool (*is_elsewhere)() = nullptr;

inline void count(std::atomic<long>& counter) {
  if (is_elsewhere == nullptr || !is_elsewhere()) ++counter;
}

}  // namespace gatefuse::test

#define GF_VISIBLE __attribute__((visibility("default")))

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

GF_VISIBLE void* malloc(size_t size) noexcept {
  gatefuse::test::count(gatefuse::test::allocations);
  return __libc_malloc(size);
}
GF_VISIBLE void* calloc(size_t count, size_t size) noexcept {
  gatefuse::test::count(gatefuse::test::allocations);
  return __libc_calloc(count, size);
}
GF_VISIBLE void* realloc(void* block, size_t size) noexcept {
  gatefuse::test::count(gatefuse::test::allocations);
  return __libc_realloc(block, size);
}
GF_VISIBLE void* memalign(size_t alignment, size_t size) noexcept {
  gatefuse::test::count(gatefuse::test::allocations);
  return __libc_memalign(alignment, size);
}
GF_VISIBLE void* aligned_alloc(size_t alignment, size_t size) noexcept {
  gatefuse::test::count(gatefuse::test::allocations);
  return __libc_memalign(alignment, size);
}
GF_VISIBLE int posix_memalign(void** block, size_t alignment, size_t size) noexcept {
  gatefuse::test::count(gatefuse::test::allocations);
  *block = __libc_memalign(alignment, size);
  return *block == nullptr ? ENOMEM : 0;
}
GF_VISIBLE void free(void* block) noexcept {
  if (block != nullptr) gatefuse::test::count(gatefuse::test::frees);
  __libc_free(block);
}
}

namespace gatefuse::test {

// The counters count: what follows proves something.
inline void check_counters() {
  const auto counted = [](auto allocate) {
    const long before = allocations;
    void* volatile block = allocate();
    return block != nullptr && allocations == before + 1;
  };
  static std::unique_ptr<int> one;
  static std::unique_ptr<std::vector<char> > many;
  CHECK(counted([] { return one = std::make_unique<int>(1), one.get(); }));
  CHECK(counted([] { return many = std::make_unique<std::vector<char> >(), many.get(); }));
  CHECK(counted([] { return many->resize(1000), many->data(); }));
  const long before = frees;
  one.reset();
  CHECK_EQ(frees.load(), before + 1);
}

}  // namespace gatefuse::test

#endif
