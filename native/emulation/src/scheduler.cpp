// SPDX-License-Identifier: Apache-2.0
#include "scheduler.hpp"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "mbarrier.hpp"

// Plain globals, as kernels name them; one thread runs at a time.
uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace gatefuse::emulation {

ThreadPlace* current_place = nullptr;

std::string text_of(const uint3& index) {
  char text[48];
  std::snprintf(text, sizeof text, "(%u,%u,%u)", index.x, index.y, index.z);
  return text;
}

Scheduler scheduler;

namespace {

constexpr uint64_t kSwitchNanoseconds = 10;
constexpr uint64_t kLongestLeap = 1'000'000'000;
constexpr unsigned kIdleRounds = 1000;

const char* base_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

std::string place(const Where& where) {
  return std::string(base_name(where.file_name())) + ":" + std::to_string(where.line());
}

}  // namespace

void Scheduler::begin(Mode mode, uint64_t seed) {
  mode_ = mode;
  random_.restart(seed);
  failure_.clear();
}

void Scheduler::add(Thread& thread) {
  threads_.push_back(&thread);
  ++alive_;
  wake(thread);
}

bool Scheduler::run(Block* victim, void (*when_ended)(Thread&)) {
  victim_ = victim;
  when_ended_ = when_ended;
  epoch_ = random_.next();
  warp_ = nullptr;
  turn_ = 0;
  idle_rounds_ = 0;
  leap_ = 0;
  livelock_ = false;
  fault.thread = nullptr;
  // Nothing is allocated while threads run.
  pollers_.reserve(threads_.size());
  runnable_.reserve(threads_.size());
  host_.adopt_this_thread();
  while (alive_ > 0 && failure_.empty()) {
    Thread* thread = next();
    if (thread == nullptr) {
      failure_ = (livelock_ ? "only polling threads are left, and nothing changes (livelock)"
                            : "no thread can run (deadlock)") +
                 situation();
      break;
    }
    change_to(thread, host_, false);
    if (fault.thread != nullptr) failure_ = fault_sentence();
  }
  current_place = nullptr;
  threads_.clear();
  for (Warp* warp : runnable_) warp->listed = false;
  runnable_.clear();
  pollers_.clear();
  alive_ = 0;
  return failure_.empty();
}

void Scheduler::thread_entry() {
  Fiber::arrived(scheduler.host_);
  scheduler.body();
  scheduler.end_thread();
}

void Scheduler::end_thread() {
  Thread& me = current();
  if (me.fiber.overflowed()) fail(me.where, "the thread's stack has overflowed");
  when_ended_(me);
  me.warp->exited |= me.bit();
  --alive_;
  progress();
  change_to(alive_ > 0 ? next() : nullptr, me.fiber, true);
  std::abort();  // an ended fiber never goes on
}

// The host writes the sentence: what this thread's stack holds is never destroyed.
void Scheduler::abandon(const Where& where) {
  fault.thread = &current();
  fault.where = where;
  change_to(nullptr, current().fiber, false);
  std::abort();
}

std::string Scheduler::fault_sentence() const {
  return place(fault.where) + ": " + fault.text + ", in block " +
         text_of(fault.thread->block->index) + " thread " + text_of(fault.thread->index) +
         situation();
}

void Scheduler::stop(const Where& where, const std::string& sentence) {
  failure_ = place(where) + ": " + sentence + situation();
}

void Scheduler::wait(const char* activity, const Where& where) {
  Thread& me = current();
  me.activity = activity;
  me.where = where;
  progress();
  change_to(next(), me.fiber, false);
}

void Scheduler::yield(const char* activity, const Where& where) {
  wake(current());
  wait(activity, where);
}

void Scheduler::poll(const Where& where) {
  Thread& me = current();
  me.activity = "polling";
  me.where = where;
  pollers_.push_back(&me);
  change_to(next(), me.fiber, false);
}

void Scheduler::list(Warp& warp) {
  warp.listed = true;
  warp.position = static_cast<unsigned>(runnable_.size());
  runnable_.push_back(&warp);
}

void Scheduler::unlist(Warp& warp) {
  warp.listed = false;
  runnable_.back()->position = warp.position;
  runnable_[warp.position] = runnable_.back();
  runnable_.pop_back();
}

Warp* Scheduler::choose_warp() {
  const size_t count = runnable_.size();
  switch (mode_) {
    case Mode::in_order:
      return runnable_[turn_++ % count];
    case Mode::priorities: {
      if (random_.one_in(1024)) epoch_ = random_.next();
      Warp* best = runnable_[0];
      uint64_t highest = 0;
      for (Warp* warp : runnable_) {
        const uint64_t priority = (warp->priority ^ epoch_) * 0x9e3779b97f4a7c15u;
        if (priority >= highest) {
          highest = priority;
          best = warp;
        }
      }
      return best;
    }
    case Mode::starvation: {
      Warp* warp = runnable_[random_.below(count)];
      for (int i = 0; i < 64 && warp->block == victim_; ++i) {
        warp = runnable_[random_.below(count)];
      }
      return warp;
    }
    default:
      return runnable_[random_.below(count)];
  }
}

// Begins its search for a ready lane at a random one.
unsigned Scheduler::choose_lane(uint32_t ready) {
  if (mode_ == Mode::in_order) return static_cast<unsigned>(__builtin_ctz(ready));
  const unsigned start = random_.next() & (kWarp - 1);
  const uint32_t turned = ready >> start | ready << ((kWarp - start) & (kWarp - 1));
  return (static_cast<unsigned>(__builtin_ctz(turned)) + start) & (kWarp - 1);
}

// Polling threads look again now and then, and when nobody else can run. Where that changes nothing
// for long, time leaps, so that time-outs come, and at last it is a livelock.
void Scheduler::release_pollers() {
  if (runnable_.empty()) {
    if (progress_ != seen_progress_) {
      idle_rounds_ = 0;
      leap_ = 1000;
    } else {
      clock_ += leap_;
      leap_ = std::min(2 * leap_, kLongestLeap);
      if (++idle_rounds_ > kIdleRounds) {
        livelock_ = true;
        return;
      }
    }
    seen_progress_ = progress_;
  }
  for (Thread* thread : pollers_) wake(*thread);
  pollers_.clear();
}

Thread* Scheduler::next() {
  if (messages_under_way > 0) {
    land_messages();
    if (stopped()) return nullptr;
  }
  if (!pollers_.empty() && (runnable_.empty() || (random_.next() & 255) == 0)) release_pollers();
  if (runnable_.empty()) return nullptr;
  if (mode_ == Mode::random_thread || warp_ == nullptr || warp_->ready == 0) warp_ = choose_warp();
  const unsigned lane = choose_lane(warp_->ready);
  warp_->ready &= ~(1u << lane);
  if (warp_->ready == 0) unlist(*warp_);
  return warp_->thread[lane];
}

void Scheduler::change_to(Thread* thread, Fiber& from, bool last) {
  ++switches_;
  clock_ += kSwitchNanoseconds;
  if (thread == nullptr) {
    current_place = nullptr;
    Fiber::change(from, host_, last);
    return;
  }
  if (&thread->fiber == &from) return;
  current_place = thread;
  threadIdx = thread->index;
  blockIdx = thread->block->index;
  Fiber::change(from, thread->fiber, last);
}

std::string Scheduler::situation() const {
  std::map<std::string, int> groups;
  for (const Thread* thread : threads_) {
    const Warp& warp = *thread->warp;
    if ((warp.exited | warp.ready) & thread->bit() || thread == fault.thread) continue;
    if (thread->activity == nullptr) continue;
    ++groups["block " + text_of(thread->block->index) + " warp " + std::to_string(warp.index) +
             ": " + thread->activity + " at " + place(thread->where)];
  }
  std::string text;
  int written = 0;
  for (const auto& [group, count] : groups) {
    if (++written > 12) {
      text += "; and " + std::to_string(groups.size() - 12) + " such groups more";
      break;
    }
    text += (written == 1 ? "; others wait: " : "; ") + std::to_string(count) + " of " + group;
  }
  return text + describe_mbarriers();
}

void fail(Where where, const char* format, ...) {
  {
    Unwatched unwatched;
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(scheduler.fault.text, sizeof scheduler.fault.text, format, arguments);
    va_end(arguments);
  }
  scheduler.abandon(where);
}

}  // namespace gatefuse::emulation
