// SPDX-License-Identifier: Apache-2.0
#include "launch.hpp"

#include <cfenv>
#include <memory>
#include <numeric>
#include <vector>

#include "mbarrier.hpp"
#include "memory.hpp"
#include "profile.hpp"
#include "scheduler.hpp"
#include "shared_memory.hpp"
#include "warp.hpp"

namespace gatefuse::emulation {

void leave_cluster(Cluster& cluster);

namespace {

constexpr unsigned kMostResidentBlocks = 8;  // of a grid that is not cooperative
#if GF_EMULATION_TSAN
constexpr size_t kMostThreads = 6000;  // ThreadSanitizer's own limit is a little above
#else
constexpr size_t kMostThreads = 24 << 10;  // each has two mappings of memory
#endif

size_t product(const unsigned (&size)[3]) { return size_t{size[0]} * size[1] * size[2]; }

uint3 index_in(size_t number, const unsigned (&size)[3]) {
  return {static_cast<unsigned>(number % size[0]),
          static_cast<unsigned>(number / size[0] % size[1]),
          static_cast<unsigned>(number / size[0] / size[1])};
}

// Objects that are kept and given out again in the same order.
template <class T>
class Pool {
 public:
  T& take() {
    if (taken_ == objects_.size()) objects_.push_back(std::make_unique<T>());
    return *objects_[taken_++];
  }
  void give_back_all() { taken_ = 0; }
  template <class F>
  void for_each_taken(F&& action) {
    for (size_t i = 0; i < taken_; ++i) action(*objects_[i]);
  }

 private:
  std::vector<std::unique_ptr<T>> objects_;
  size_t taken_ = 0;
};

// Never destroyed: a thread of the process may still end while another launches.
Pool<Thread>& threads = *new Pool<Thread>;
Pool<Warp>& warps = *new Pool<Warp>;
Pool<Block>& blocks = *new Pool<Block>;
Pool<Cluster>& clusters = *new Pool<Cluster>;
// What blocks and clusters point into.
std::vector<Warp*> warp_pointers;
std::vector<Block*> block_pointers;
// From the host to the threads of a launch, and back.
Order from_host, to_host;

const std::function<void()>* kernel = nullptr;

void run_thread() {
  Thread& me = scheduler.current();
  from_host.acquire();
  me.block->arena_order->acquire();
  (*kernel)();
}

void thread_ended(Thread& me) {
  Block& block = *me.block;
  if (me.arrived_at_cluster) fail(me.where, "exit between barrier.cluster.arrive and .wait");
  check_exit(me);
  if (block.barrier.arrived > 0) {
    fail(block.barrier.where, "a thread exits while others wait in __syncthreads");
  }
  if (me.copied < me.copies.size()) {
    fail(me.copies.back().where, "a thread exits before its cp.async is done");
  }
  if (--block.alive == 0) {
    end_mbarriers(block);
    end_shared_memory(block);
  }
  leave_cluster(*block.cluster);
  block.arena_order->release();
  to_host.release();
}

void reset(Barrier& barrier) {
  barrier.arrived = 0;
  barrier.generation = 0;
}

void set_up_warp(Warp& warp, Block& block, unsigned index) {
  warp.block = &block;
  warp.index = index;
  warp.exited = ~0u;
  warp.ready = warp.at_block_barrier = warp.at_cluster_barrier = 0;
  warp.listed = false;
  warp.priority = scheduler.random().next();
  warp.open_count = 0;
}

void set_up_thread(Thread& thread, Warp& warp, unsigned number, const Launch& launch) {
  Block& block = *warp.block;
  thread.warp = &warp;
  thread.block = &block;
  thread.index = index_in(number, launch.block);
  thread.lane = number % kWarp;
  thread.cluster_rank = block.rank;
  thread.cluster_size = block.cluster->size;
  thread.activity = nullptr;
  thread.copies.clear();
  thread.groups.clear();
  thread.copied = 0;
  thread.arrived_at_cluster = false;
  warp.thread[thread.lane] = &thread;
  warp.exited &= ~thread.bit();
}

// The resident blocks of a launch: whole clusters, as many as are asked for.
class Wave {
 public:
  Wave(const Launch& launch, size_t first_cluster, size_t cluster_count,
       const std::vector<size_t>& order)
      : launch_(launch) {
    cluster_size_ = static_cast<unsigned>(product(launch.cluster));
    block_threads_ = static_cast<unsigned>(product(launch.block));
    block_warps_ = (block_threads_ + kWarp - 1) / kWarp;
    warp_pointers.resize(cluster_count * cluster_size_ * block_warps_);
    block_pointers.resize(cluster_count * cluster_size_);
    for (size_t i = 0; i < cluster_count && complete_; ++i) {
      set_up_cluster(i, order[first_cluster + i]);
    }
  }
  ~Wave() {
    blocks.for_each_taken([](Block& block) { take_arena(block); });
    threads.give_back_all();
    warps.give_back_all();
    blocks.give_back_all();
    clusters.give_back_all();
    forget_mbarriers();
  }
  Wave(const Wave&) = delete;

  bool run() {
    threads.for_each_taken([](Thread& thread) { scheduler.add(thread); });
    from_host.release();  // the memory that the wave was given, too
    Block* victim = block_pointers[scheduler.random().below(block_pointers.size())];
    const bool good = scheduler.run(victim, thread_ended);
    // Threads that stand somewhere in the middle are not used again as they are.
    if (!good) threads.for_each_taken([](Thread& thread) { thread.fiber.abandon(to_host); });
    return good;
  }
  bool complete() const { return complete_; }

 private:
  void set_up_cluster(size_t place, size_t number) {
    Cluster& cluster = clusters.take();
    reset(cluster.barrier);
    cluster.size = cluster_size_;
    cluster.alive = cluster_size_ * block_threads_;
    cluster.blocks = &block_pointers[place * cluster_size_];
    for (unsigned rank = 0; rank < cluster_size_ && complete_; ++rank) {
      cluster.blocks[rank] = &set_up_block(cluster, number, rank);
    }
  }

  // Where a block of a cluster lies in the grid: clusters tile it.
  uint3 block_index(size_t cluster, unsigned rank) const {
    unsigned clusters_in_grid[3];
    for (int i = 0; i < 3; ++i) clusters_in_grid[i] = launch_.grid[i] / launch_.cluster[i];
    const uint3 tile = index_in(cluster, clusters_in_grid);
    const uint3 inner = index_in(rank, launch_.cluster);
    return {tile.x * launch_.cluster[0] + inner.x, tile.y * launch_.cluster[1] + inner.y,
            tile.z * launch_.cluster[2] + inner.z};
  }

  Block& set_up_block(Cluster& cluster, size_t number, unsigned rank) {
    Block& block = blocks.take();
    reset(block.barrier);
    block.cluster = &cluster;
    block.rank = rank;
    block.index = block_index(number, rank);
    block.threads = block.alive = block_threads_;
    block.warps = &warp_pointers[next_warp_];
    block.warp_count = block_warps_;
    next_warp_ += block_warps_;
    complete_ = give_arena(block);
    for (unsigned w = 0; w < block_warps_ && complete_; ++w) {
      Warp& warp = warps.take();
      block.warps[w] = &warp;
      set_up_warp(warp, block, w);
    }
    for (unsigned t = 0; t < block_threads_ && complete_; ++t) {
      Thread& thread = threads.take();
      set_up_thread(thread, *block.warps[t / kWarp], t, launch_);
      complete_ = thread.fiber.prepare(Scheduler::thread_entry);
    }
    return block;
  }

  const Launch& launch_;
  unsigned cluster_size_ = 0, block_threads_ = 0, block_warps_ = 0;
  size_t next_warp_ = 0;
  bool complete_ = true;
};

// CUDA promises no order of the blocks.
std::vector<size_t> order_of_clusters(size_t count) {
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  if (scheduler.mode() == Mode::in_order) return order;
  for (size_t i = count; i > 1; --i) std::swap(order[i - 1], order[scheduler.random().below(i)]);
  return order;
}

// GPUs compute with the default modes, whatever the host's thread has set.
class DefaultFloatingPoint {
 public:
  DefaultFloatingPoint() {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloatingPoint() { std::fesetenv(&saved_); }
  DefaultFloatingPoint(const DefaultFloatingPoint&) = delete;

 private:
  std::fenv_t saved_;
};

size_t resident_at_once(const Launch& launch, size_t cluster_count) {
  if (launch.cooperative) return cluster_count;
  const size_t blocks_at_once = 1 + scheduler.random().below(kMostResidentBlocks);
  return std::max<size_t>(1, std::min(cluster_count, blocks_at_once / product(launch.cluster)));
}

std::string run_waves(const Launch& launch) {
  const size_t cluster_count = product(launch.grid) / product(launch.cluster);
  const size_t cluster_threads = product(launch.cluster) * product(launch.block);
  const std::vector<size_t> order = order_of_clusters(cluster_count);
  for (size_t first = 0; first < cluster_count;) {
    const size_t count = std::min(resident_at_once(launch, cluster_count), cluster_count - first);
    if (count * cluster_threads > kMostThreads) {
      return std::to_string(count * cluster_threads) +
             " resident threads are more than the emulation holds (" +
             std::to_string(kMostThreads) + ")";
    }
    Wave wave(launch, first, count, order);
    if (!wave.complete()) return "no memory for the stacks of the emulated threads";
    if (!wave.run()) return scheduler.failure();
    first += count;
  }
  return "";
}

}  // namespace

cudaError_t check_launch(const Launch& launch, const Function& function) {
  const Profile& device = profile();
  const size_t block = product(launch.block), cluster = product(launch.cluster);
  constexpr unsigned kMostY = 65535;
  if (block == 0 || product(launch.grid) == 0 || block > kThreadsPerBlock || launch.block[2] > 64 ||
      launch.grid[1] > kMostY || launch.grid[2] > kMostY) {
    return cudaErrorInvalidConfiguration;
  }
  if (launch.dynamic_shared > static_cast<size_t>(function.dynamic_shared) ||
      launch.dynamic_shared > device.shared_per_block) {
    return cudaErrorInvalidValue;
  }
  if (launch.has_cluster) {
    if (device.capability < 90) return cudaErrorNotSupported;
    const unsigned most = function.large_clusters ? kLargestCluster : kPortableCluster;
    if (cluster == 0 || cluster > most) return cudaErrorInvalidClusterSize;
    for (int i = 0; i < 3; ++i) {
      if (launch.grid[i] % launch.cluster[i] != 0) return cudaErrorInvalidClusterSize;
    }
  }
  if (launch.cooperative) {
    const int resident = blocks_per_multiprocessor(static_cast<int>(block), launch.dynamic_shared) *
                         device.multiprocessors;
    if (product(launch.grid) > static_cast<size_t>(resident)) {
      return cudaErrorCooperativeLaunchTooLarge;
    }
  }
  return cudaSuccess;
}

int blocks_per_multiprocessor(int block_threads, size_t dynamic_shared) {
  const Profile& device = profile();
  const int rounded = (block_threads + static_cast<int>(kWarp) - 1) / static_cast<int>(kWarp) *
                      static_cast<int>(kWarp);
  if (rounded <= 0 || rounded > kThreadsPerBlock) return 0;
  const size_t reserved = device.capability >= 80 ? kReservedShared : 0;
  const size_t shared = std::max<size_t>(dynamic_shared + reserved, 1);
  const int by_threads = device.threads_per_multiprocessor / rounded;
  const int by_shared = static_cast<int>(device.shared_per_multiprocessor / shared);
  return std::min({by_threads, by_shared, device.blocks_per_multiprocessor});
}

int resident_clusters(const Launch& launch) {
  const int each =
      blocks_per_multiprocessor(static_cast<int>(product(launch.block)), launch.dynamic_shared);
  // A cluster lies within a group of 16 or 18 multiprocessors; what does not fit is left idle.
  constexpr int kGroup = 16;
  const int size = static_cast<int>(product(launch.cluster));
  return profile().multiprocessors / kGroup * (kGroup * each / size) +
         profile().multiprocessors % kGroup * each / size;
}

std::string run_launch(const Launch& launch, Mode mode, uint64_t seed) {
  DefaultFloatingPoint floating_point;
  ++counters.launches;
  counters.threads += product(launch.grid) * product(launch.block);
  blockDim = dim3(launch.block[0], launch.block[1], launch.block[2]);
  gridDim = dim3(launch.grid[0], launch.grid[1], launch.grid[2]);
  kernel = &launch.body;
  scheduler.body = run_thread;
  scheduler.begin(mode, seed);
  begin_shared_memory(launch.dynamic_shared);
  std::string failure = run_waves(launch);
  to_host.acquire();
  counters.switches = scheduler.switches();
  if (failure.empty() && check_memory() != nullptr) failure = check_memory();
  return failure;
}

}  // namespace gatefuse::emulation
