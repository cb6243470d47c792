// SPDX-License-Identifier: Apache-2.0
//
// The barriers of a block and of a cluster.
#include "grid.hpp"
#include "profile.hpp"
#include "scheduler.hpp"

namespace gatefuse::emulation {
namespace {

void gather(Barrier& barrier, Reduction reduction, int value) {
  if (barrier.arrived == 0) barrier.gathered = reduction == Reduction::all ? 1 : 0;
  if (reduction == Reduction::count) barrier.gathered += value != 0;
  if (reduction == Reduction::any) barrier.gathered |= value != 0;
  if (reduction == Reduction::all) barrier.gathered &= value != 0;
}

void complete(Barrier& barrier) {
  barrier.arrived = 0;
  barrier.result = barrier.gathered;
  ++barrier.generation;
}

void complete_cluster(Cluster& cluster) {
  complete(cluster.barrier);
  for (unsigned i = 0; i < cluster.size; ++i) {
    Block& block = *cluster.blocks[i];
    for (unsigned w = 0; w < block.warp_count; ++w) {
      Warp& warp = *block.warps[w];
      scheduler.wake(warp, warp.at_cluster_barrier);
      warp.at_cluster_barrier = 0;
    }
  }
}

}  // namespace

int block_barrier(Reduction reduction, int value, Where where) {
  Thread& me = scheduler.current();
  Block& block = *me.block;
  Barrier& barrier = block.barrier;
  if (barrier.arrived == 0) {
    barrier.where = where;
  } else if (!same_place(barrier.where, where)) {
    fail(where, "__syncthreads reached from two places, the other one is line %u of %s",
         barrier.where.line(), barrier.where.file_name());
  }
  if (block.alive < block.threads) {
    fail(where, "__syncthreads after %u threads of the block have exited",
         block.threads - block.alive);
  }
  gather(barrier, reduction, value);
  Order& order = barrier.orders[barrier.generation & 1];
  order.release();
  if (++barrier.arrived < block.threads) {
    me.warp->at_block_barrier |= me.bit();
    scheduler.wait("__syncthreads", where);
  } else {
    complete(barrier);
    ++counters.block_barriers;
    for (unsigned w = 0; w < block.warp_count; ++w) {
      Warp& warp = *block.warps[w];
      scheduler.wake(warp, warp.at_block_barrier);
      warp.at_block_barrier = 0;
    }
    scheduler.yield("__syncthreads", where);
  }
  order.acquire();
  return barrier.result;
}

void cluster_arrive(Where where) {
  require(90, "barrier.cluster", where);
  Thread& me = scheduler.current();
  Cluster& cluster = *me.block->cluster;
  if (me.arrived_at_cluster) fail(where, "barrier.cluster.arrive twice without a wait");
  me.arrived_at_cluster = true;
  me.cluster_generation = cluster.barrier.generation;
  cluster.barrier.orders[me.cluster_generation & 1].release();
  scheduler.progress();
  if (++cluster.barrier.arrived == cluster.alive) complete_cluster(cluster);
  // Others may run between the arrival and the wait.
  if (scheduler.random().one_in(2)) scheduler.yield("barrier.cluster.arrive", where);
}

void cluster_wait(Where where) {
  require(90, "barrier.cluster", where);
  Thread& me = scheduler.current();
  Barrier& barrier = me.block->cluster->barrier;
  if (!me.arrived_at_cluster) fail(where, "barrier.cluster.wait without an arrival");
  me.arrived_at_cluster = false;
  if (barrier.generation == me.cluster_generation) {
    me.warp->at_cluster_barrier |= me.bit();
    scheduler.wait("barrier.cluster.wait", where);
  }
  barrier.orders[me.cluster_generation & 1].acquire();
}

// The cluster's barrier waits for the threads that have not ended.
void leave_cluster(Cluster& cluster) {
  --cluster.alive;
  if (cluster.alive > 0 && cluster.barrier.arrived == cluster.alive) complete_cluster(cluster);
}

}  // namespace gatefuse::emulation
