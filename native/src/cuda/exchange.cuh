// SPDX-License-Identifier: Apache-2.0
//
// How h of one step gets to all units of the next, by tier. Each gives the kernel
//
//   rank()      the block's number in its slice
//   begin()     puts h before the first step into the tile; all threads
//   await(i)    the tile [kSliceRows, tile_stride] that step i reads, once it is whole; all threads
//   publish(i)  hands on what the threads with a unit computed in step i; all threads, not after
//               the last step
//   end()       after the last step; all threads
//
// The tile has two buffers, by turns: step i reads buffer i % 2, and what it computes goes into the
// other one. That two are enough is argued at each exchange.
//
// A cell with scans exchanges more in the middle of a step: all pre-activations of a scan's slots,
// see SlotsOf.
#pragma once

#include <cstdint>

#include "cuda/operands.cuh"
#include "cuda/persistent.hpp"

namespace gatefuse::cuda {

template <class P>
struct Tiles {
  using Storage = typename P::Storage;
  Storage* even;
  Storage* odd;
  int32_t stride;

  GF_DEVICE Tiles(ptx::SharedMemory& shared, const PersistentShape& shape)
      : stride(shape.tile_stride) {
    even = shared.take<Storage>(kSliceRows * stride);
    odd = shared.take<Storage>(kSliceRows * stride);
  }

  // Not an array: an index known only at run time would put the whole object into local memory.
  GF_DEVICE Storage* buffer(int i) const { return i % 2 == 0 ? even : odd; }

  // h before the first step into the first buffer, and zeros wherever there is no unit or no row:
  // weights of zero do not silence a NaN.
  GF_DEVICE void load(const PersistentArguments& a, int32_t slice) {
    for (int i = static_cast<int>(threadIdx.x); i < kSliceRows * stride;
         i += static_cast<int>(blockDim.x)) {
      const int32_t row = slice * kSliceRows + i / stride;
      const int32_t unit = i % stride;
      const bool there = row < a.rows && unit < a.hidden;
      even[i] = P::of(there ? a.h[int64_t{row} * a.hidden + unit] : 0.0f);
      odd[i] = P::of(0.0f);
    }
  }
};

template <class P, Exchange kExchange>
class ExchangeOf;

// A wait for other blocks that ends. Who has waited in vain goes on and waits no more: the kernel
// ends, and its results are refused.
template <class Arguments>
class Patience {
 public:
  GF_DEVICE explicit Patience(const Arguments& a) : a_(a) {}

  // Until done(), in step i.
  template <class Done>
  GF_DEVICE void wait(int32_t i, Done done) {
    if (done() || lost_) return;
    const uint64_t begun = ptx::global_nanoseconds();
    while (!done()) {
      if (ptx::global_nanoseconds() - begun < a_.patience) continue;
      lost_ = true;
      ptx::red_min(a_.timed_out, static_cast<unsigned long long>(i));
      return;
    }
  }

 private:
  const Arguments& a_;
  bool lost_ = false;
};

// ---- Tier S: one block --------------------------------------------------------------------------

// Through shared memory. Two buffers are enough: a buffer is written after the barrier behind the
// step that read it.
template <class P>
class ExchangeOf<P, Exchange::kBlock> {
 public:
  GF_DEVICE ExchangeOf(const PersistentArguments& a, ptx::SharedMemory& shared, int32_t slice,
                       int32_t)
      : a_(a), slice_(slice), tiles_(shared, a.shape) {}

  static GF_DEVICE int32_t rank(const PersistentShape&) { return 0; }

  GF_DEVICE void begin() {
    tiles_.load(a_, slice_);
    __syncthreads();
  }
  GF_DEVICE const typename P::Storage* await(int32_t i) const { return tiles_.buffer(i); }
  GF_DEVICE void publish(int32_t i, bool mine, const float (&h)[2]) {
    if (mine) {
      const int lane = static_cast<int>(threadIdx.x) % 32;
      const int unit = static_cast<int>(threadIdx.x) / 32 * kGroupUnits + lane / 4;
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int row = 2 * (lane % 4) + j;
        tiles_.buffer(i + 1)[row * tiles_.stride + unit] = P::of(h[j]);
      }
    }
    __syncthreads();
  }
  GF_DEVICE void end() const {}

 private:
  const PersistentArguments& a_;
  int32_t slice_;
  Tiles<P> tiles_;
};

// ---- Tier C: a cluster of blocks ----------------------------------------------------------------

// Sends a warp's values into the shared memory of all blocks of its cluster, its own included, by
// st.async, which counts the bytes on the receiver's mbarrier.
template <class T>
class ClusterSender {
 public:
  static constexpr int kGroupSize = kSliceRows * kGroupUnits;

  // To the first `blocks` blocks, from a block of so many groups.
  GF_DEVICE ClusterSender(ptx::SharedMemory& shared, int32_t blocks, int32_t groups)
      : blocks_(blocks), outgoing_(shared.take<T>(groups * kGroupSize)) {}

  // All lanes of a warp: lane 4 g + t has the values of unit g for rows 2 t and 2 t + 1. `to` is
  // where row 0 of the warp's group begins in this block's memory, and `filled` its mbarrier: both
  // lie at the same places in the others'.
  GF_DEVICE void send(const T (&values)[2], const T* to, int32_t stride, const uint64_t* filled) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    T* outgoing = outgoing_ + static_cast<int>(threadIdx.x) / 32 * kGroupSize;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      outgoing[(2 * (lane % 4) + j) * kGroupUnits + lane / 4] = values[j];
    }
    __syncwarp(0xffffffffu);
    send_piece(lane, outgoing, to, stride, filled);
    // The next values go into `outgoing` after all lanes have read it; shuffles and matrix
    // instructions do not order memory.
    __syncwarp(0xffffffffu);
  }

 private:
  static constexpr int kPiece = 16 / sizeof(T);            // values of a message
  static constexpr int kPieces = kGroupSize / kPiece;      // of a group
  static constexpr int kRowPieces = kGroupUnits / kPiece;  // of a row
  static constexpr int kSenders = 32 / kPieces;            // lanes that send the same piece

  // Each lane takes one piece of 16 bytes to every kSenders-th block.
  GF_DEVICE void send_piece(int lane, const T* outgoing, const T* to, int32_t stride,
                            const uint64_t* filled) const {
    const int piece = lane % kPieces;
    const uint32_t* words = reinterpret_cast<const uint32_t*>(outgoing + piece * kPiece);
    const uint32_t value[4] = {words[0], words[1], words[2], words[3]};
    to += piece / kRowPieces * stride + piece % kRowPieces * kPiece;
    for (int block = lane / kPieces; block < blocks_; block += kSenders) {
      ptx::st_async_v4(ptx::remote_address(to, static_cast<unsigned>(block)), value,
                       ptx::remote_address(filled, static_cast<unsigned>(block)));
    }
  }

  int32_t blocks_;
  T* outgoing_;  // [groups][kSliceRows][kGroupUnits]
};

// Every block sends its part of h to all blocks. There is no cluster-wide barrier on the way.
//
// Two buffers are enough. A block P sends h of step i only after its wait of step i: after all
// parts of h of step i-1 have landed in P, those of any block Q among them. A warp of Q that sends
// has read its tile of step i-1 before; one that does not send comes before the senders through the
// block barrier between the sums and the pointwise mathematics. So when P sends into the buffer
// that step i-1 read, nobody in Q reads it any more: the exchange is all to all, hence its own
// barrier. By the same argument that buffer's mbarrier has completed its earlier phase before bytes
// of the next are counted. Bytes may arrive before Q expects them: the count is below zero for a
// while, and the arrival that is still pending keeps the phase open.
//
// This holds as long as every thread that reads the tile is ordered before a send of its block:
// hence the __syncwarp before the sends. Rows that have ended send on: the bytes have to add up.
template <class P>
class ExchangeOf<P, Exchange::kCluster> {
 public:
  using Storage = typename P::Storage;

  GF_DEVICE ExchangeOf(const PersistentArguments& a, ptx::SharedMemory& shared, int32_t slice,
                       int32_t rank)
      : a_(a),
        slice_(slice),
        rank_(rank),
        tiles_(shared, a.shape),
        sender_(shared, a.shape.blocks, a.shape.groups),
        patience_(a) {
    filled_ = shared.take<uint64_t>(2);
  }

  static GF_DEVICE int32_t rank(const PersistentShape&) {
    return static_cast<int32_t>(ptx::cluster_rank());
  }

  GF_DEVICE void begin() {
    tiles_.load(a_, slice_);
    if (threadIdx.x == 0) {
#pragma unroll
      for (int i = 0; i < 2; ++i) ptx::mbarrier_init(filled_ + i, 1);
      ptx::fence_mbarrier_init();
    }
    everybody();  // runs, and has its mbarriers and its first tile
  }

  // Buffer i % 2 is filled for the k-th time (from 0) for step 2 k + 1 or 2 k + 2.
  GF_DEVICE const Storage* await(int32_t i) {
    if (i > 0) {
      const unsigned parity = static_cast<unsigned>((i - 1) / 2) % 2;
      patience_.wait(i, [&] { return ptx::mbarrier_try_wait(filled_ + i % 2, parity); });
    }
    return tiles_.buffer(i);
  }

  GF_DEVICE void publish(int32_t i, bool mine, const float (&h)[2]) {
    uint64_t* filled = filled_ + (i + 1) % 2;
    if (threadIdx.x == 0) ptx::mbarrier_arrive_expect_tx(filled, bytes_of_a_step());
    if (!mine) return;
    const int group = static_cast<int>(threadIdx.x) / 32;
    const Storage values[2] = {P::of(h[0]), P::of(h[1])};
    sender_.send(values, tiles_.buffer(i + 1) + (rank_ * a_.shape.groups + group) * kGroupUnits,
                 tiles_.stride, filled);
  }

  // A block that has ended must not be sent to.
  GF_DEVICE void end() { everybody(); }

 private:
  static GF_DEVICE void everybody() {
    ptx::cluster_arrive();
    ptx::cluster_wait();
  }

  GF_DEVICE unsigned bytes_of_a_step() const {
    return static_cast<unsigned>(a_.shape.blocks * a_.shape.groups *
                                 ClusterSender<Storage>::kGroupSize * sizeof(Storage));
  }

  const PersistentArguments& a_;
  int32_t slice_;
  int32_t rank_;
  Tiles<P> tiles_;
  ClusterSender<Storage> sender_;
  Patience<PersistentArguments> patience_;
  uint64_t* filled_;  // [2]
};

// ---- Tier G: blocks anywhere on the device ------------------------------------------------------

// Through the L2 cache: every block stores its part into a buffer in global memory and adds one to
// the slice's counter; who has seen the counter of all blocks reads the whole.
//
// Two buffers are enough: a block stores h of step i after it has seen that all blocks have counted
// step i-1, which each did after its reading of the tile of step i-1 was complete. A block counts
// once more at its beginning, when it has read h before the first step: nobody may write the final
// state over it before.
template <class P>
class ExchangeOf<P, Exchange::kGrid> {
 public:
  using Storage = typename P::Storage;

  GF_DEVICE ExchangeOf(const PersistentArguments& a, ptx::SharedMemory& shared, int32_t slice,
                       int32_t rank)
      : a_(a), slice_(slice), rank_(rank), tiles_(shared, a.shape), patience_(a) {}

  static GF_DEVICE int32_t rank(const PersistentShape& shape) {
    return static_cast<int32_t>(blockIdx.x) % shape.blocks;
  }

  GF_DEVICE void begin() {
    tiles_.load(a_, slice_);
    __syncthreads();
    if (threadIdx.x == 0) ptx::red_add_release(a_.arrived + slice_, 1);
  }

  GF_DEVICE const Storage* await(int32_t i) {
    Storage* tile = tiles_.buffer(i);
    if (i == 0) return tile;
    wait_for(i);
    constexpr int kPiece = 16 / sizeof(Storage);
    const Storage* from = global(i % 2);
    const int units = a_.shape.blocks * a_.shape.groups * kGroupUnits;  // whole pieces
    const int pieces = units / kPiece;
    for (int p = static_cast<int>(threadIdx.x); p < kSliceRows * pieces;
         p += static_cast<int>(blockDim.x)) {
      const int at = p / pieces * tiles_.stride + p % pieces * kPiece;
      ptx::cp_async16(tile + at, from + at);
    }
    ptx::cp_async_commit();
    ptx::cp_async_wait<0>();
    __syncthreads();
    return tile;
  }

  GF_DEVICE void publish(int32_t i, bool mine, const float (&h)[2]) {
    if (mine) {
      const int lane = static_cast<int>(threadIdx.x) % 32;
      const int group = static_cast<int>(threadIdx.x) / 32;
      const int unit = (rank_ * a_.shape.groups + group) * kGroupUnits + lane / 4;
      Storage* to = global((i + 1) % 2) + unit;
#pragma unroll
      for (int j = 0; j < 2; ++j) to[(2 * (lane % 4) + j) * tiles_.stride] = P::of(h[j]);
    }
    __syncthreads();
    if (threadIdx.x == 0) ptx::red_add_release(a_.arrived + slice_, 1);
  }

  GF_DEVICE void end() { wait_for(0); }

 private:
  GF_DEVICE Storage* global(int buffer) const {
    const int64_t size = int64_t{kSliceRows} * tiles_.stride;
    return static_cast<Storage*>(a_.exchange) + (int64_t{slice_} * 2 + buffer) * size;
  }

  // All threads, until all blocks have begun and handed on the steps before i.
  GF_DEVICE void wait_for(int32_t i) {
    if (threadIdx.x == 0) {
      const unsigned count = static_cast<unsigned>(i + 1) * a_.shape.blocks;
      patience_.wait(i, [&] { return ptx::ld_acquire(a_.arrived + slice_) >= count; });
    }
    __syncthreads();
  }

  const PersistentArguments& a_;
  int32_t slice_;
  int32_t rank_;
  Tiles<P> tiles_;
  Patience<PersistentArguments> patience_;
};

// ---- Slots of scans -----------------------------------------------------------------------------

// How the values of a scan, of which each warp has made some, get to all who run the scan of a row:
// the pre-activations of its slots, and on the way back the gradients by its gates. Each gives the
// kernel
//
//   begin()        before the begin() of the other exchange; all threads
//   publish(...)   hands on the slots of one scan that a warp has made; all lanes of a warp with a
//                  group that has slots
//   await(i)       until all slots of step i are there; all threads
//   row(...)       the slots of one row, which the scan may overwrite
//
// Behind the scans of a step comes a barrier of the block, before its pointwise mathematics. Slots
// have one buffer: that it is enough is argued at each. By the same argument one is enough for the
// gates, which the warps of a block write in the scans and read behind that barrier, before they
// hand on h.
template <Exchange kExchange, class Arguments>
class SlotsOf;

// The slots [scans][kSliceRows][stride] of one step: `count` of each scan.
class SlotTile {
 public:
  GF_DEVICE SlotTile(ptx::SharedMemory& shared, int scans, int32_t count)
      : stride(whole_groups(count)), slots_(shared.take<float>(scans * kSliceRows * stride)) {}

  GF_DEVICE float* row(int scan, int row) const {
    return slots_ + (scan * kSliceRows + row) * stride;
  }

  const int32_t stride;

 private:
  float* slots_;
};

// Within a block. One buffer is enough: the exchange of h has a barrier of the block between the
// scans of a step and the slots of the next.
template <class Arguments>
class SlotsOf<Exchange::kBlock, Arguments> {
 public:
  GF_DEVICE SlotsOf(const Arguments&, ptx::SharedMemory& shared, int scans, int32_t count, int32_t)
      : tile_(shared, scans, count) {}

  GF_DEVICE void begin() const {}
  GF_DEVICE void publish(int scan, int32_t first, const float (&values)[2]) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int j = 0; j < 2; ++j) tile_.row(scan, 2 * (lane % 4) + j)[first + lane / 4] = values[j];
  }
  GF_DEVICE void await(int32_t) const { __syncthreads(); }
  GF_DEVICE float* row(int scan, int row) const { return tile_.row(scan, row); }

 private:
  SlotTile tile_;
};

// Every block sends its slots to all blocks, and each runs all scans by itself: the same sums in
// the same order, and a shorter way than that of gates which somebody else has made.
//
// One buffer is enough. A block P sends slots of step i only after its wait for h of that step:
// after all parts of it have landed in P, those of any block Q among them. A warp of Q has sent its
// part behind the barrier that follows the scans of step i-1. So when P sends, nobody in Q reads or
// writes slots of step i-1 any more, and all threads of Q have seen their phase of the mbarrier
// complete. Thread 0 expects the bytes of step i, after its own wait of step i-1: those that come
// before are counted below zero, as those of h are. On the way back it is the parts that P waits
// for, which Q sends behind the barrier that follows its scans.
template <class Arguments>
class SlotsOf<Exchange::kCluster, Arguments> {
 public:
  // Among the first `blocks` blocks.
  GF_DEVICE SlotsOf(const Arguments& a, ptx::SharedMemory& shared, int scans, int32_t count,
                    int32_t blocks)
      : tile_(shared, scans, count), sender_(shared, blocks, a.shape.groups), patience_(a) {
    filled_ = shared.take<uint64_t>(1);
    bytes_ = static_cast<unsigned>(scans * kSliceRows * tile_.stride * sizeof(float));
  }

  GF_DEVICE void begin() const {
    if (threadIdx.x != 0) return;
    ptx::mbarrier_init(filled_, 1);
    ptx::fence_mbarrier_init();
  }
  GF_DEVICE void publish(int scan, int32_t first, const float (&values)[2]) {
    sender_.send(values, tile_.row(scan, 0) + first, tile_.stride, filled_);
  }
  GF_DEVICE void await(int32_t i) {
    if (threadIdx.x == 0) ptx::mbarrier_arrive_expect_tx(filled_, bytes_);
    const unsigned parity = static_cast<unsigned>(i) % 2;
    patience_.wait(i, [&] { return ptx::mbarrier_try_wait(filled_, parity); });
  }
  GF_DEVICE float* row(int scan, int row) const { return tile_.row(scan, row); }

 private:
  SlotTile tile_;
  ClusterSender<float> sender_;
  Patience<Arguments> patience_;
  uint64_t* filled_;
  unsigned bytes_;  // of a step
};

// Of a cell without scans.
struct NoSlots {
  template <class Arguments>
  GF_DEVICE NoSlots(const Arguments&, ptx::SharedMemory&, int, int32_t, int32_t) {}
};

}  // namespace gatefuse::cuda
