// SPDX-License-Identifier: Apache-2.0
#include "fiber.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>

namespace gatefuse::emulation {
namespace {

#if GF_EMULATION_ASAN || GF_EMULATION_TSAN
constexpr size_t kStack = 256 << 10;
#else
constexpr size_t kStack = 64 << 10;
#endif
constexpr size_t kGuard = 4096;
constexpr uint64_t kUntouched = 0x9e3779b97f4a7c15u;

// Memory is used only as it is touched. The page below the stack faults.
char* new_stack() {
  void* memory = mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  if (mprotect(memory, kGuard, PROT_NONE) != 0) {
    munmap(memory, kGuard + kStack);
    return nullptr;
  }
  char* stack = static_cast<char*>(memory) + kGuard;
  *reinterpret_cast<uint64_t*>(stack) = kUntouched;
  return stack;
}

}  // namespace

#if GF_EMULATION_OWN_SWITCH

// Pushes what the calling convention wants preserved, exchanges the stacks and pops. Floating-point
// modes are the same for all fibers.
extern "C" void gatefuse_change_stack(void** save, void* next);
asm(R"(
.text
.p2align 4
.hidden gatefuse_change_stack
.globl gatefuse_change_stack
.type gatefuse_change_stack, @function
gatefuse_change_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size gatefuse_change_stack, .-gatefuse_change_stack
)");

#endif

void Fiber::abandon([[maybe_unused]] Order& order) {
#if GF_EMULATION_TSAN
  void* me = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(watched_, 1);
  order.release();
  __tsan_switch_to_fiber(me, 1);
  __tsan_destroy_fiber(watched_);
  watched_ = nullptr;
#endif
#if GF_EMULATION_ASAN
  fake_stack_ = nullptr;
#endif
}

bool Fiber::prepare(void (*entry)()) {
  if (stack_ == nullptr) stack_ = new_stack();
  if (stack_ == nullptr) return false;
  allow(stack_, kStack);
#if GF_EMULATION_ASAN
  bottom_ = stack_;
  size_ = kStack;
#endif
#if GF_EMULATION_TSAN
  if (watched_ == nullptr) watched_ = __tsan_create_fiber(0);
#endif
#if GF_EMULATION_OWN_SWITCH
  // As if gatefuse_change_stack had been called from the first instruction of the entry: six
  // registers and the address to return to, and above it the alignment that a function expects.
  void** top = reinterpret_cast<void**>(stack_ + kStack) - 8;
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  stack_pointer_ = top;
#else
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_;
  context_.uc_stack.ss_size = kStack;
  context_.uc_link = nullptr;
  makecontext(&context_, entry, 0);
#endif
  return true;
}

void Fiber::adopt_this_thread() {
#if GF_EMULATION_ASAN
  bottom_ = nullptr;  // known when the first fiber has been reached from here
#endif
#if GF_EMULATION_TSAN
  watched_ = __tsan_get_current_fiber();
#endif
}

void Fiber::change(Fiber& from, Fiber& to, [[maybe_unused]] bool last) {
#if GF_EMULATION_TSAN
  __tsan_switch_to_fiber(to.watched_, 1 /* no order */);
#endif
#if GF_EMULATION_ASAN
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake_stack_, to.bottom_, to.size_);
#endif
#if GF_EMULATION_OWN_SWITCH
  gatefuse_change_stack(&from.stack_pointer_, to.stack_pointer_);
#else
  swapcontext(&from.context_, &to.context_);
#endif
#if GF_EMULATION_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::arrived([[maybe_unused]] Fiber& starter) {
#if GF_EMULATION_ASAN
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
  if (starter.stack_ == nullptr && starter.bottom_ == nullptr) {
    starter.bottom_ = bottom;
    starter.size_ = size;
  }
#endif
}

bool Fiber::overflowed() const { return *reinterpret_cast<const uint64_t*>(stack_) != kUntouched; }

}  // namespace gatefuse::emulation
