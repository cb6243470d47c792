// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace gatefuse::cpu {

// A meeting point of a fixed number of threads. Waits by spinning, then by giving up the processor:
// a step is shorter than what sleeping and waking would cost.
class Barrier {
 public:
  void reset(int members) {
    members_ = members;
    arrived_.store(0, std::memory_order_relaxed);
  }

  // All that a member wrote before is seen by all after.
  void wait();

 private:
  int members_ = 1;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};
};

// What a team runs: the same function by every member.
class Job {
 public:
  virtual void run(int member, int members) = 0;

 protected:
  ~Job() = default;
};

// The worker threads of the process, shared by all sessions, one fewer than there are processors:
// calls from several threads do not multiply them. A call takes the workers that are free at that
// moment, and does the rest itself: results do not depend on how many there are. Thread-safe.
namespace team {

// The members that a call can have where so many are asked for.
int members(int asked);

// Makes sure that a call finds them, and gives their number. Starts threads; called when a session
// is made.
int prepare(int asked);

// Lets tests run more members than there are processors.
void set_limit_for_tests(int members);

// Runs job with at most `members` members, the caller being member 0, and returns when all have
// ended. barrier is reset to their number before any begins. Allocates nothing.
void run(Job& job, Barrier& barrier, int members);

}  // namespace team
}  // namespace gatefuse::cpu
