// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "emulation.hpp"
#include "grid.hpp"
#include "random.hpp"

namespace gatefuse::emulation {

// Runs the threads of the resident blocks, all in the calling thread of the operating system, one
// at a time until it waits. A thread that waits hands over to the next one directly.
class Scheduler {
 public:
  // Between launches.
  void begin(Mode mode, uint64_t seed);
  void add(Thread& thread);
  // Runs what was added to its end; false where a failure ended it. `victim` is the block that
  // Mode::starvation holds back.
  bool run(Block* victim, void (*when_ended)(Thread&));
  const std::string& failure() const { return failure_; }

  // From a thread that runs.
  Thread& current() { return *static_cast<Thread*>(current_place); }
  void wait(const char* activity, const Where& where);
  void yield(const char* activity, const Where& where);
  void poll(const Where& where);
  [[noreturn]] void end_thread();
  [[noreturn]] void abandon(const Where& where);
  // A failure of no thread in particular; the caller goes on until it waits.
  void stop(const Where& where, const std::string& sentence);
  bool stopped() const { return !failure_.empty(); }

  void wake(Warp& warp, uint32_t lanes) {
    warp.ready |= lanes;
    if (!warp.listed && lanes != 0) list(warp);
  }
  void wake(Thread& thread) { wake(*thread.warp, thread.bit()); }
  bool anyone_ready() const { return !runnable_.empty(); }

  // A step that a polling thread waits for may have been taken.
  void progress() { ++progress_; }
  Mode mode() const { return mode_; }
  Random& random() { return random_; }
  uint64_t epoch() const { return epoch_; }
  const Block* victim() const { return victim_; }
  uint64_t now() const { return clock_; }
  uint64_t switches() const { return switches_; }
  // What the threads that have not ended wait for, by groups.
  std::string situation() const;

  // What a thread has run into.
  struct Fault {
    const Thread* thread = nullptr;
    Where where;
    char text[512];
  };
  Fault fault;

  void (*body)() = nullptr;    // what a thread runs
  static void thread_entry();  // where its fiber begins

 private:
  void list(Warp& warp);
  void unlist(Warp& warp);
  Warp* choose_warp();
  unsigned choose_lane(uint32_t ready);
  void release_pollers();
  Thread* next();
  std::string fault_sentence() const;
  void change_to(Thread* thread, Fiber& from, bool last);

  Mode mode_ = Mode::warp_at_a_time;
  Random random_;
  std::vector<Thread*> threads_;  // all of the run
  std::vector<Warp*> runnable_;   // those with ready lanes
  std::vector<Thread*> pollers_;
  Warp* warp_ = nullptr;  // that runs
  Block* victim_ = nullptr;
  size_t alive_ = 0;
  size_t turn_ = 0;
  uint64_t epoch_ = 0;
  uint64_t clock_ = 0, leap_ = 0;
  uint64_t progress_ = 0, seen_progress_ = 0;
  unsigned idle_rounds_ = 0;
  uint64_t switches_ = 0;
  bool livelock_ = false;
  std::string failure_;
  void (*when_ended_)(Thread&) = nullptr;
  Fiber host_;
};

extern Scheduler scheduler;
inline Statistics counters = {};

}  // namespace gatefuse::emulation
