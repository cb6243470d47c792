// SPDX-License-Identifier: Apache-2.0
#include "cpu/team.hpp"

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
constexpr int kBarrierSpins = 256;  // some 5 us; then others may have the processor
constexpr int kIdleSpins = 20000;   // some 50 us: the pause between two calls of a busy user

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

  void start(Job* job, int member, int members, std::atomic<int>* running) {
    job_ = job;
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

  std::atomic<int> state_{kFree};
  std::atomic<bool> asleep_{false};
  Job* job_ = nullptr;
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
  static Workers& them = *new Workers;
  return them;
}

// Workers leave all signals to the threads of the host program.
Worker* start_worker() {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  Worker* worker = nullptr;
  try {
    worker = new Worker;
  } catch (const std::system_error&) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Error(GF_OUT_OF_MEMORY, "worker thread: the system refused to start one");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return worker;
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

int prepare(int members) {
  Workers& them = workers();
  const std::lock_guard<std::mutex> lock(them.growing);
  const int most = std::min(limit(), kMostWorkers + 1);
  const int wanted = members < most ? members : most;
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
  for (int i = 0; i < others; ++i) taken[i]->start(&job, i + 1, others + 1, &running);
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
