// SPDX-License-Identifier: Apache-2.0
#include "warp.hpp"

#include "profile.hpp"
#include "scheduler.hpp"

namespace gatefuse::emulation {
namespace {

Collective& open_collective(Warp& warp, uint32_t mask, const char* name, const Where& where) {
  Collective& collective = warp.open[warp.open_count++];
  collective = {mask, 0, name, warp.next_order++ % (2 * kWarp), where};
  return collective;
}

// The one that this lane belongs to, or a new one.
Collective& join(Warp& warp, uint32_t mask, const char* name, const Where& where) {
  for (unsigned i = 0; i < warp.open_count; ++i) {
    Collective& other = warp.open[i];
    if ((other.mask & mask) == 0) continue;
    if (other.mask != mask || other.name != name || !same_place(other.where, where)) {
      fail(where,
           "diverged warp: %s with mask %08x, while lanes %08x are in %s with mask %08x at "
           "line %u",
           name, mask, other.arrived, other.name, other.mask, other.where.line());
    }
    return other;
  }
  return open_collective(warp, mask, name, where);
}

}  // namespace

unsigned collect(const char* name, uint32_t mask, const void* argument, CollectiveWork* work,
                 const Where& where) {
  Thread& me = scheduler.current();
  Warp& warp = *me.warp;
  if ((mask & me.bit()) == 0) fail(where, "%s: the lane is not in its mask %08x", name, mask);
  if ((mask & warp.exited) != 0) {
    fail(where, "%s: mask %08x names lanes that have exited or do not exist (%08x)", name, mask,
         mask & warp.exited);
  }
  Collective& collective = join(warp, mask, name, where);
  const unsigned order = collective.order;
  warp.argument[me.lane] = argument;
  collective.arrived |= me.bit();
  if (work == nullptr) warp.orders[order].release();
  if (collective.arrived != mask) {
    scheduler.wait(name, where);
  } else {
    ++counters.collectives;
    collective = warp.open[--warp.open_count];
    if (work != nullptr) work(warp.argument, mask);
    scheduler.progress();
    scheduler.wake(warp, mask & ~me.bit());
    if (scheduler.mode() == Mode::random_thread) scheduler.yield(name, where);
  }
  return order;
}

void warp_barrier(unsigned mask, Where where) {
  Warp& warp = *scheduler.current().warp;
  warp.orders[collect("__syncwarp", mask, nullptr, nullptr, where)].acquire();
}

// A lane that exits must not be one that others wait for.
void check_exit(const Thread& thread) {
  const Warp& warp = *thread.warp;
  for (unsigned i = 0; i < warp.open_count; ++i) {
    if (warp.open[i].mask & thread.bit()) {
      fail(warp.open[i].where, "%s: a lane of mask %08x exits while others wait for it",
           warp.open[i].name, warp.open[i].mask);
    }
  }
}

namespace {

struct Shuffled {
  uint64_t value;
  Shuffle kind;
  int lane, width;
  uint64_t* result;
};

// The lane whose value this lane gets; itself where there is none on that side.
int source_lane(const Shuffled& shuffled, int lane) {
  const int first = lane & ~(shuffled.width - 1);
  const int last = first + shuffled.width - 1;
  switch (shuffled.kind) {
    case Shuffle::index:
      return first + (shuffled.lane & (shuffled.width - 1));
    case Shuffle::up:
      return lane - shuffled.lane < first ? lane : lane - shuffled.lane;
    case Shuffle::down:
      return lane + shuffled.lane > last ? lane : lane + shuffled.lane;
    default:
      return (lane ^ shuffled.lane) > last ? lane : lane ^ shuffled.lane;
  }
}

void do_shuffle(const void* const* arguments, uint32_t mask) {
  constexpr uint64_t kUndefined = 0xfff5fff5fff5fff5u;  // NaN in every format
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    const auto& shuffled = *static_cast<const Shuffled*>(arguments[lane]);
    const int source = source_lane(shuffled, lane);
    *shuffled.result = (mask >> source & 1) == 0
                           ? kUndefined
                           : static_cast<const Shuffled*>(arguments[source])->value;
  }
}

struct Vote {
  bool predicate;
  uint32_t* result;
};

void do_vote(const void* const* arguments, uint32_t mask) {
  uint32_t votes = 0;
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    votes |= uint32_t{static_cast<const Vote*>(arguments[lane])->predicate} << lane;
  }
  for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
    *static_cast<const Vote*>(arguments[__builtin_ctz(rest)])->result = votes;
  }
}

}  // namespace

uint64_t shuffle(unsigned mask, uint64_t value, Shuffle kind, int lane, int width, Where where) {
  if (width < 1 || width > static_cast<int>(kWarp) || (width & (width - 1)) != 0) {
    fail(where, "shuffle: width %d is not a power of two up to 32", width);
  }
  uint64_t result = 0;
  const Shuffled shuffled = {value, kind, lane, width, &result};
  collect("shuffle", mask, &shuffled, do_shuffle, where);
  return result;
}

unsigned ballot(unsigned mask, bool predicate, Where where) {
  uint32_t result = 0;
  const Vote vote = {predicate, &result};
  collect("vote", mask, &vote, do_vote, where);
  return result;
}

}  // namespace gatefuse::emulation
