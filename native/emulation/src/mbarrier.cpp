// SPDX-License-Identifier: Apache-2.0
//
// mbarrier and st.async. A value is queued when it is sent; it lands at a time of the scheduler's
// choice, and only then its bytes are counted.
//
// For ThreadSanitizer a value is written when it is sent, by its sender: everything that must not
// be overwritten has to be ordered before that. What the sender did before is kept beside the
// message and handed to those who see the end of the phase in which its bytes were counted.
#include "mbarrier.hpp"

#include <cinttypes>
#include <cstring>
#include <memory>
#include <vector>

#include "profile.hpp"
#include "scheduler.hpp"
#include "shared_memory.hpp"

namespace gatefuse::emulation {
namespace {

constexpr uint64_t kMark = 0x6d62617200000000u;  // the upper half of an initialised barrier
constexpr uint64_t kIndex = 0xffffffffu;
constexpr int64_t kMostBytes = (1 << 20) - 1;

using Past = std::shared_ptr<Order>;

struct MBarrier {
  uint64_t* place;  // null when its block has ended
  Block* block;
  const Thread* maker;
  unsigned count, pending;
  int64_t bytes = 0;  // expected and not yet here; below zero where they come first
  uint64_t phase = 0;
  bool fenced = false;
  uint64_t fence_generation = 0;  // of the cluster's barrier
  std::vector<Thread*> waiting = {};
  std::vector<Past> past = {}, past_of_last_phase = {};
};

struct Message {
  void* destination;
  unsigned char value[16];
  unsigned bytes;
  size_t barrier;
  Past past;
  Where where;
  uint3 sender_block, sender_thread;
};

std::vector<MBarrier> barriers;
std::vector<Message> messages;

MBarrier& find(const uint64_t* place, const Where& where) {
  const uint64_t word = __atomic_load_n(place, __ATOMIC_RELAXED);
  const size_t index = word & kIndex;
  if ((word & ~kIndex) != kMark || index >= barriers.size() || barriers[index].place != place) {
    fail(where, "mbarrier used that is not initialised, or was overwritten");
  }
  return barriers[index];
}

MBarrier& find_own(const uint64_t* place, const char* what, const Where& where) {
  require(90, "mbarrier", where);
  if (!in_own_shared_memory(place, sizeof *place)) {
    fail(where, "%s: not in a shared array of this block", what);
  }
  return find(place, where);
}

// Only ThreadSanitizer's build remembers what happened before. What a thread sends without being
// left in between has one past.
Past past_of_current() {
#if GF_EMULATION_TSAN
  static Past past;
  static uint64_t made_at = 0;
  if (past == nullptr || made_at != scheduler.switches()) past = std::make_shared<Order>();
  made_at = scheduler.switches();
  past->release();
  return past;
#else
  return nullptr;
#endif
}

void end_phase_if_complete(MBarrier& barrier) {
  if (barrier.pending > 0 || barrier.bytes != 0) return;
  ++barrier.phase;
  barrier.pending = barrier.count;
  barrier.past_of_last_phase.swap(barrier.past);
  barrier.past.clear();
  for (Thread* thread : barrier.waiting) scheduler.wake(*thread);
  barrier.waiting.clear();
  scheduler.progress();
}

void land(size_t index) {
  Message message = std::move(messages[index]);
  messages[index] = std::move(messages.back());
  messages.pop_back();
  ++counters.messages;
  MBarrier& barrier = barriers[message.barrier];
  if (barrier.place == nullptr) {
    scheduler.stop(message.where, "st.async lands in a block that has exited, sent by block " +
                                      text_of(message.sender_block) + " thread " +
                                      text_of(message.sender_thread));
    return;
  }
  std::memcpy(message.destination, message.value, message.bytes);
  barrier.bytes -= message.bytes;
  if (message.past != nullptr) barrier.past.push_back(std::move(message.past));
  end_phase_if_complete(barrier);
}

// How many land now, where others could still run.
size_t landing_now() {
  Random& random = scheduler.random();
  if (scheduler.mode() == Mode::random_thread || !random.one_in(4)) return 0;
  return 1 + random.below(4);
}

// Messages to this block wait as long as others can go on.
const Block* held_back() {
  if (scheduler.mode() == Mode::starvation) return scheduler.victim();
  if (scheduler.mode() != Mode::priorities) return nullptr;
  return barriers[messages[scheduler.epoch() % messages.size()].barrier].block;
}

size_t choose_message(const Block* held) {
  if (scheduler.mode() == Mode::random_thread) return messages.size() - 1;  // the last one first
  size_t index = scheduler.random().below(messages.size());
  for (int i = 0; i < 64 && barriers[messages[index].barrier].block == held; ++i) {
    index = scheduler.random().below(messages.size());
  }
  return index;
}

void land_some() {
  if (scheduler.mode() == Mode::in_order) {
    std::vector<Message> sent = std::move(messages);
    messages.clear();
    for (Message& message : sent) {
      messages.push_back(std::move(message));
      land(messages.size() - 1);
    }
    return;
  }
  const bool last_resort = !scheduler.anyone_ready();
  const Block* held = held_back();
  size_t count = last_resort ? 1 + scheduler.random().below(2) : landing_now();
  for (; count > 0 && !messages.empty(); --count) {
    const size_t index = choose_message(held);
    if (!last_resort && barriers[messages[index].barrier].block == held) return;
    land(index);
  }
}

}  // namespace

void land_messages() {
  Unwatched unwatched;
  land_some();
  while (!scheduler.anyone_ready() && !messages.empty() && !scheduler.stopped()) land_some();
  messages_under_way = messages.size();
}

void check_mbarrier_place(const uint64_t* barrier, Where where) {
  require(90, "mbarrier", where);
  if (reinterpret_cast<uintptr_t>(barrier) % 8 != 0) fail(where, "mbarrier: misaligned");
  if (!in_own_shared_memory(barrier, sizeof *barrier)) {
    fail(where, "mbarrier.init: not in a shared array of this block");
  }
}

void mbarrier_init(uint64_t* barrier, unsigned count, Where where) {
  if (count == 0 || count > kMostBytes) fail(where, "mbarrier.init with a count of %u", count);
  Unwatched unwatched;
  Thread& me = scheduler.current();
  for (MBarrier& old : barriers) {
    if (old.place == barrier) old.place = nullptr;
  }
  barriers.push_back({barrier, me.block, &me, count, count});
  __atomic_store_n(barrier, kMark | (barriers.size() - 1), __ATOMIC_RELAXED);
}

void fence_mbarrier_init(Where where) {
  require(90, "fence.mbarrier_init", where);
  Thread& me = scheduler.current();
  for (MBarrier& barrier : barriers) {
    if (barrier.maker != &me || barrier.fenced) continue;
    barrier.fenced = true;
    barrier.fence_generation = me.block->cluster->barrier.generation;
  }
}

void mbarrier_arrive(uint64_t* place, unsigned bytes, Where where) {
  MBarrier& barrier = find_own(place, "mbarrier.arrive", where);
  barrier.bytes += bytes;
  if (barrier.bytes > kMostBytes) fail(where, "mbarrier: more than 2^20-1 bytes expected");
  if (barrier.pending == 0) fail(where, "mbarrier.arrive: more arrivals than the phase expects");
  {
    Unwatched unwatched;
    if (Past past = past_of_current()) barrier.past.push_back(std::move(past));
    --barrier.pending;
    scheduler.progress();
    end_phase_if_complete(barrier);
  }
  if (scheduler.random().one_in(4)) scheduler.yield("mbarrier.arrive", where);
}

bool mbarrier_try_wait(const uint64_t* place, unsigned parity, Where where) {
  MBarrier* barrier = &find_own(place, "mbarrier.try_wait", where);
  if (parity > 1) fail(where, "mbarrier.try_wait: parity %u", parity);
  // It waits for a while only, and may say no at any time.
  if (scheduler.random().one_in(8)) {
    scheduler.yield("mbarrier.try_wait", where);
    return false;
  }
  if ((barrier->phase & 1) == parity) {
    {
      Unwatched unwatched;
      barrier->waiting.push_back(&scheduler.current());
    }
    scheduler.wait("mbarrier.try_wait", where);
    barrier = &find(place, where);
    if ((barrier->phase & 1) == parity) return false;
  }
  for (const Past& past : barrier->past_of_last_phase) past->acquire();
  return true;
}

void st_async(uint32_t destination, const void* value, unsigned bytes, uint32_t remote_barrier,
              Where where) {
  require(90, "st.async", where);
  Thread& me = scheduler.current();
  const Cluster& cluster = *me.block->cluster;
  if (destination % bytes != 0) fail(where, "st.async: misaligned destination");
  void *place = nullptr, *barrier_place = nullptr;
  Block* block = find_remote(destination, bytes, &place);
  if (block == nullptr) fail(where, "st.async: not in a shared array of the cluster");
  if (cluster.barrier.generation == 0) {
    fail(where, "st.async before the first cluster barrier: the other block may not have started");
  }
  if (block->alive == 0) {
    fail(where, "st.async: block %u of the cluster has exited", block->rank);
  }
  if (find_remote(remote_barrier, sizeof(uint64_t), &barrier_place) != block) {
    fail(where, "st.async: the data and the mbarrier are in different blocks");
  }
  const MBarrier& barrier = find(static_cast<uint64_t*>(barrier_place), where);
  if (!barrier.fenced) {
    fail(where, "st.async: no fence.mbarrier_init has followed the mbarrier's initialisation");
  }
  if (cluster.barrier.generation <= barrier.fence_generation) {
    fail(where, "st.async: no cluster barrier since the mbarrier's initialisation");
  }
  announce_write(place, bytes);
  Unwatched unwatched;
  Message message = {place,
                     {},
                     bytes,
                     static_cast<size_t>(&barrier - barriers.data()),
                     past_of_current(),
                     where,
                     me.block->index,
                     me.index};
  std::memcpy(message.value, value, bytes);
  messages.push_back(std::move(message));
  messages_under_way = messages.size();
  scheduler.progress();
}

void end_mbarriers(const Block& block) {
  for (MBarrier& barrier : barriers) {
    if (barrier.block != &block || barrier.place == nullptr) continue;
    if (barrier.bytes != 0) {
      fail(scheduler.current().where,
           "the block exits while its mbarrier still expects %" PRId64 " bytes in phase %" PRIu64,
           barrier.bytes, barrier.phase);
    }
    barrier.place = nullptr;
  }
}

void forget_mbarriers() {
  messages.clear();
  messages_under_way = 0;
  barriers.clear();
}

std::string describe_mbarriers() {
  std::string text;
  int written = 0;
  for (const MBarrier& barrier : barriers) {
    if (barrier.place == nullptr || (barrier.waiting.empty() && barrier.bytes == 0)) continue;
    if (++written > 4) break;
    text += "; mbarrier of block " + text_of(barrier.block->index) + ": phase " +
            std::to_string(barrier.phase) + ", " + std::to_string(barrier.pending) +
            " arrivals and " + std::to_string(barrier.bytes) + " bytes to come, " +
            std::to_string(barrier.waiting.size()) + " threads wait";
  }
  return text;
}

}  // namespace gatefuse::emulation
