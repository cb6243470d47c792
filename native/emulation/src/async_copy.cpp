// SPDX-License-Identifier: Apache-2.0
//
// cp.async: a copy is made at once or when its thread waits for it, by the scheduler's choice. The
// copying itself is inline in the kernel, where the sanitizers see it.
#include "memory.hpp"
#include "profile.hpp"
#include "scheduler.hpp"
#include "shared_memory.hpp"

namespace gatefuse::emulation {
namespace {

void forget_done_copies(Thread& me) {
  if (me.copied == 0 && me.copies.size() > 0) return;
  const size_t done = me.copied;
  me.copies.erase(me.copies.begin(), me.copies.begin() + static_cast<ptrdiff_t>(done));
  auto open = me.groups.begin();
  while (open != me.groups.end() && *open <= done) ++open;
  me.groups.erase(me.groups.begin(), open);
  for (size_t& end : me.groups) end -= done;
  me.copied = 0;
}

}  // namespace

void check_async_copy(const void* shared, const void* global, Where where) {
  if (reinterpret_cast<uintptr_t>(shared) % 16 != 0) {
    fail(where, "cp.async: misaligned shared address");
  }
  if (reinterpret_cast<uintptr_t>(global) % 16 != 0) {
    fail(where, "cp.async: misaligned global address");
  }
  if (!in_own_shared_memory(shared, 16)) {
    fail(where, "cp.async: not in a shared array of this block");
  }
  if (!on_device(global, 16)) fail(where, "cp.async: the source is not in device memory");
}

bool async_copy_is_early() {
  if (capability < 80 || scheduler.mode() == Mode::in_order) return true;
  return scheduler.mode() != Mode::random_thread && scheduler.random().one_in(2);
}

void queue_async_copy(void* shared, const void* global, bool done, Where where) {
  if (capability < 80) return;  // an ordinary copy
  Unwatched unwatched;
  scheduler.current().copies.push_back({{shared, global}, done, where});
}

void commit_async_copies() {
  Unwatched unwatched;
  Thread& me = scheduler.current();
  me.groups.push_back(me.copies.size());
}

bool next_async_copy(int groups, AsyncCopy* copy) {
  Thread& me = scheduler.current();
  const size_t keep = static_cast<size_t>(groups);
  const size_t due = me.groups.size() > keep ? me.groups[me.groups.size() - keep - 1] : 0;
  while (me.copied < due) {
    const QueuedCopy& next = me.copies[me.copied++];
    if (next.done) continue;
    *copy = next.copy;
    return true;
  }
  forget_done_copies(me);
  return false;
}

}  // namespace gatefuse::emulation
