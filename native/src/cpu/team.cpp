// SPDX-License-Identifier: Apache-2.0
#include "cpu/team.hpp"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include "cpu/machine.hpp"
#include "error.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace gatefuse::cpu {
namespace {

constexpr int kMostWorkers = 255;
// A pause takes 40 to 140 cycles. Some microseconds, then others may have the processor.
constexpr int kBarrierSpins = 256;
// Up to a millisecond: the time between two calls of a busy user.
constexpr int kIdleSpins = 20000;

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

// A worker is free, taken by a call, or given a job; it returns to free by itself.
class Worker {
 public:
  Worker() : thread_([this] { loop(); }) { thread_.detach(); }

  bool take() {
    int free = kFree;
    return state_.compare_exchange_strong(free, kTaken, std::memory_order_acquire);
  }

  void start(Job* job, int member, int members, int caller, std::atomic<int>* running) {
    job_ = job;
    caller_ = caller;
    member_ = member;
    members_ = members;
    running_ = running;
    state_.store(kGiven);  // sequentially consistent, against asleep_ in loop()
    if (asleep_.load()) {
      const std::lock_guard<std::mutex> lock(mutex_);
      wake_.notify_one();
    }
  }

 private:
  enum { kFree, kTaken, kGiven };

  void loop() {
    for (;;) {
      await_job();
      std::atomic<int>* running = running_;
      leave(caller_);
      job_->run(member_, members_);
      state_.store(kFree, std::memory_order_release);
      running->fetch_sub(1, std::memory_order_release);  // the last touch of the caller's memory
    }
  }

  void await_job() {
    for (int spin = 0; spin < kIdleSpins; ++spin) {
      if (state_.load(std::memory_order_acquire) == kGiven) return;
      relax();
    }
    std::unique_lock<std::mutex> lock(mutex_);
    asleep_.store(true);
    wake_.wait(lock, [this] { return state_.load() == kGiven; });
    asleep_.store(false);
  }

  // A thread is often woken on the processor of the one that wakes it. The two would share it until
  // the system spreads them, some milliseconds later: longer than most calls.
  static void leave(int processor) {
    cpu_set_t all;
    if (sched_getcpu() != processor || sched_getaffinity(0, sizeof all, &all) != 0) return;
    cpu_set_t others = all;
    CPU_CLR(processor, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0) {
      sched_setaffinity(0, sizeof all, &all);
    }
  }

  std::atomic<int> state_{kFree};
  std::atomic<bool> asleep_{false};
  Job* job_ = nullptr;
  int caller_ = 0;  // the processor of the thread that calls
  int member_ = 0;
  int members_ = 0;
  std::atomic<int>* running_ = nullptr;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;  // last: it uses the others
};

// Never destroyed: workers sleep on their members until the process ends.
struct Workers {
  std::mutex growing;
  std::atomic<int> count{0};
  std::atomic<int> limit{0};
  Worker* all[kMostWorkers] = {};
};

Workers& workers() {
  static Workers& them = []() -> Workers& {
    // A forked child has no workers: it begins anew.
    pthread_atfork(nullptr, nullptr, [] { workers().count = 0; });
    return *new Workers;
  }();
  return them;
}

// Workers leave to the threads of the host program all signals but those of their own faults.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

Worker* start_worker() {
  const BlockSignals blocked;
  try {
    return new Worker;
  } catch (const std::system_error&) {
    throw Error(GF_OUT_OF_MEMORY, "worker thread: the system refused to start one");
  }
}

int limit() {
  const int forced = workers().limit.load();
  return forced > 0 ? forced : usable_processors();
}

}  // namespace

void Barrier::wait() {
  if (members_ == 1) return;
  const uint32_t generation = generation_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == members_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_release);
    return;
  }
  for (int spin = 0; generation_.load(std::memory_order_acquire) == generation; ++spin) {
    if (spin < kBarrierSpins) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
}

namespace team {

int members(int asked) { return std::min({asked, limit(), kMostWorkers + 1}); }

int prepare(int asked) {
  Workers& them = workers();
  const std::lock_guard<std::mutex> lock(them.growing);
  const int wanted = members(asked);
  while (them.count < wanted - 1) {
    them.all[them.count] = start_worker();
    them.count.fetch_add(1, std::memory_order_release);
  }
  return wanted;
}

void set_limit_for_tests(int members) { workers().limit = members; }

void run(Job& job, Barrier& barrier, int members) {
  Workers& them = workers();
  Worker* taken[kMostWorkers];
  int others = 0;
  const int count = them.count.load(std::memory_order_acquire);
  for (int i = 0; i < count && others < members - 1; ++i) {
    if (them.all[i]->take()) taken[others++] = them.all[i];
  }
  barrier.reset(others + 1);
  std::atomic<int> running{others};
  const int caller = sched_getcpu();
  for (int i = 0; i < others; ++i) taken[i]->start(&job, i + 1, others + 1, caller, &running);
  job.run(0, others + 1);
  for (int spin = 0; running.load(std::memory_order_acquire) != 0; ++spin) {
    if (spin < kBarrierSpins) {
      relax();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace team
}  // namespace gatefuse::cpu
