// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "sanitizers.hpp"

#if !defined(__x86_64__) || defined(GF_EMULATION_UCONTEXT)
#define GF_EMULATION_OWN_SWITCH 0
#include <ucontext.h>
#else
#define GF_EMULATION_OWN_SWITCH 1
#endif

namespace gatefuse::emulation {

// A stack of its own and the place in a function at which it stands still. The default one stands
// for the operating system's thread that starts the others. Stacks are kept for ever: fibers are
// used again.
class Fiber {
 public:
  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Makes the next switch to this fiber begin `entry`, which must never return. False where there
  // is no memory for a stack.
  bool prepare(void (*entry)());
  // For a fiber that is left in the middle and will not go on. `order` hands on what it has done.
  void abandon(Order& order);
  // For the default one, before the first switch away from it.
  void adopt_this_thread();

  // Leaves `from` where it stands and goes on with `to`. `last` where `from` has ended.
  static void change(Fiber& from, Fiber& to, bool last);
  // The first thing that an entry does.
  static void arrived(Fiber& starter);

  // Whether the stack has been used to its very end.
  bool overflowed() const;

 private:
#if GF_EMULATION_OWN_SWITCH
  void* stack_pointer_ = nullptr;
#else
  ucontext_t context_;
#endif
  char* stack_ = nullptr;
#if GF_EMULATION_ASAN
  void* fake_stack_ = nullptr;
  const void* bottom_ = nullptr;
  size_t size_ = 0;
#endif
#if GF_EMULATION_TSAN
  void* watched_ = nullptr;
#endif
};

}  // namespace gatefuse::emulation
