// SPDX-License-Identifier: Apache-2.0
//
// What the sanitizers are told of fibers, memory and order. Empty in the plain build.
//
// ThreadSanitizer takes each fiber for a thread of its own and learns of no order between them but
// what Order announces, so that it reports what a GPU may reorder. The runtime itself is compiled
// without it: only the kernels' accesses are looked at. Unwatched hides those that the C library's
// functions would report on the runtime's behalf; it never spans a switch.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define GF_EMULATION_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define GF_EMULATION_ASAN 0
#endif

#if !defined(GF_EMULATION_TSAN)
#define GF_EMULATION_TSAN 0
#endif
#if GF_EMULATION_TSAN
extern "C" {
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void* __tsan_get_current_fiber();
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
void __tsan_write_range(void* address, unsigned long bytes);
void __tsan_ignore_thread_begin();
void __tsan_ignore_thread_end();
}
#endif

namespace gatefuse::emulation {

// A place through which one thread's past is handed to others.
class Order {
 public:
  void release() {
#if GF_EMULATION_TSAN
    __tsan_release(&place_);
#endif
  }
  void acquire() {
#if GF_EMULATION_TSAN
    __tsan_acquire(&place_);
#endif
  }

 private:
  [[maybe_unused]] char place_ = 0;
};

class Unwatched {
 public:
#if GF_EMULATION_TSAN
  Unwatched() { __tsan_ignore_thread_begin(); }
  ~Unwatched() { __tsan_ignore_thread_end(); }
#else
  Unwatched() {}
#endif
  Unwatched(const Unwatched&) = delete;
};

// A write that the runtime does in the name of the thread that runs.
inline void announce_write([[maybe_unused]] void* address, [[maybe_unused]] size_t bytes) {
#if GF_EMULATION_TSAN
  __tsan_write_range(address, bytes);
#endif
}

inline void forbid([[maybe_unused]] void* address, [[maybe_unused]] size_t bytes) {
#if GF_EMULATION_ASAN
  __asan_poison_memory_region(address, bytes);
#endif
}

inline void allow([[maybe_unused]] void* address, [[maybe_unused]] size_t bytes) {
#if GF_EMULATION_ASAN
  __asan_unpoison_memory_region(address, bytes);
#endif
}

}  // namespace gatefuse::emulation
