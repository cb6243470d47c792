// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace gatefuse::cpu {

// How many processors this thread may use: its affinity mask and its container's CPU limit, at
// least 1.
int usable_processors();

// Of the L2 cache of a core; 0 where the system does not tell.
int64_t l2_cache_bytes();

// Whether the processor brings lines into the L1 cache as it remembers them of a region, which is
// slower than by strides: AMD's of family 26 (Zen 5). See docs/performance-notes.md.
bool foresees_regions();

// The compiler's own question does not know this one. False elsewhere than on x86-64.
bool has_avx_vnni();

// Whether tile registers may be used (AMX, with products of bfloat16 and int8): the processor has
// them, and the system has let this process have them. False elsewhere than on Linux on x86-64.
bool has_amx();

// Bytes of memory that this process can at most have: the machine's, or its container's limit.
int64_t usable_memory();

// The processor's own name, as the system reports it, zero-terminated and cut at capacity.
void device_name(char* name, size_t capacity);

// While it lives, the thread rounds to nearest, keeps subnormal numbers and takes no floating-point
// traps, whatever other code has set: results must not depend on it.
class StandardFloatingPoint {
 public:
#if defined(__x86_64__)
  StandardFloatingPoint() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~StandardFloatingPoint() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#else
  StandardFloatingPoint() {}
#endif
};

}  // namespace gatefuse::cpu
