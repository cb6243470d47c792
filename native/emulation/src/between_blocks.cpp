// SPDX-License-Identifier: Apache-2.0
//
// Release, acquire and time. The accesses themselves are atomic operations inline in the kernel,
// where ThreadSanitizer sees them.
#include "memory.hpp"
#include "scheduler.hpp"

namespace gatefuse::emulation {
namespace {

void check_word(const void* address, const char* what, const Where& where) {
  if (reinterpret_cast<uintptr_t>(address) % sizeof(unsigned) != 0) {
    fail(where, "%s: misaligned address", what);
  }
  if (!on_device(address, sizeof(unsigned))) fail(where, "%s: not in device memory", what);
}

}  // namespace

void release_point(const void* address, Where where) {
  check_word(address, "release", where);
  scheduler.progress();
  if (scheduler.mode() != Mode::in_order && scheduler.random().one_in(4)) {
    scheduler.yield("release", where);
  }
}

void poll(const void* address, Where where) {
  check_word(address, "acquire", where);
  scheduler.poll(where);
}

void sleep(Where where) { scheduler.poll(where); }

uint64_t virtual_nanoseconds(Where where) {
  scheduler.poll(where);
  return scheduler.now();
}

}  // namespace gatefuse::emulation
