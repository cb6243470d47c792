// SPDX-License-Identifier: Apache-2.0
//
// Persistent kernels of the way back: one launch takes a slice of the batch from the last step of a
// chunk of time to its first.
//
// Every block owns some groups of 8 units with all their gates, and the same lanes as on the way
// there have their pointwise mathematics. It multiplies the gradients by its own pre-activations
// with those columns of the transposed matrix that belong to them: that gives a part of the
// gradient by h of all units. Who owns a unit adds up its parts, in an order that only the
// shape decides: the same bits in every run.
//
// A cell with scans needs all gradients by their gates in the middle of a step: they go to all
// blocks as the slots do on the way there, and each makes those by all slots by itself.
//
// Steps are counted by i in the order in which they are made: step 0 is the last one in time.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/draws.cuh"
#include "cuda/exchange.cuh"
#include "cuda/lane.cuh"
#include "cuda/persistent_backward.hpp"
#include "cuda/scan.cuh"
#include "cuda/tasks.cuh"

namespace gatefuse::cuda {

// ---- Parts --------------------------------------------------------------------------------------

// What the threads of a block have in shared memory beside weights: the tile of the gradients by
// its pre-activations, and the parts of the gradients by its units' h. How the parts get to the
// owners is the one difference between the tiers. Each gives the kernel
//
//   rank(shape)   the block's number in its slice
//   begin()       clears the tiles; all threads
//   tile(i)       the tile [kSliceRows, tile_stride] of step i: written before its barrier, read
//                 behind it
//   gather(i)     brings the parts that step i reads near, from step 1 on; all threads
//   count()       how many of each unit that makes; to be added up in their order
//   await(i)      those parts [count][units][kSliceRows], once they are whole; the threads that
//                 read them, behind gather(i)
//   expect(i)     announces those that step i reads; all threads, behind the barrier of step i - 1
//   send(i, ...)  hands on four rows of a unit's part for step i: `group` is the unit's among all
//   sent()        behind the sends of a step; all threads
//   end()         after the last step; all threads
template <class P, Exchange kExchange>
class PartsOf;

// Where a unit's part lies among those of a step: [parts][units][kSliceRows].
GF_DEVICE int part_of(const PersistentShape& shape, int32_t part, int32_t unit) {
  return (part * shape.units() + unit) * kSliceRows;
}

// Operands that nobody writes are zeros: weights of zero do not silence a NaN.
template <class P>
GF_DEVICE void clear(typename P::Storage* tiles, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
    tiles[i] = P::of(0.0f);
  }
}

// Tier S: one block, which owns all units. One buffer is enough of the parts, which are written
// behind the barrier of a step and read before that of the next, and of the tile, whose readers
// come before the barrier behind the sends.
template <class P>
class PartsOf<P, Exchange::kBlock> {
 public:
  using Storage = typename P::Storage;

  GF_DEVICE PartsOf(const PersistentBackwardArguments& a, ptx::SharedMemory& shared, int32_t)
      : shape_(a.shape),
        tile_(shared.take<Storage>(kSliceRows * a.shape.tile_stride)),
        parts_(shared.take<float>(part_of(a.shape, a.shape.parts, 0))) {}

  static GF_DEVICE int32_t rank(const PersistentShape&) { return 0; }

  GF_DEVICE void begin() const {
    clear<P>(tile_, kSliceRows * shape_.tile_stride);
    __syncthreads();
  }
  GF_DEVICE Storage* tile(int32_t) const { return tile_; }
  GF_DEVICE void gather(int32_t) const {}
  GF_DEVICE int32_t count() const { return shape_.parts; }
  GF_DEVICE const float* await(int32_t) const { return parts_; }
  GF_DEVICE void expect(int32_t) const {}
  GF_DEVICE void send(int32_t, int32_t part, int32_t group, int g, int row,
                      const float (&values)[4]) const {
    float* to = parts_ + part_of(shape_, part, group * kGroupUnits + g) + row;
    *reinterpret_cast<float4*>(to) = make_float4(values[0], values[1], values[2], values[3]);
  }
  GF_DEVICE void sent() const { __syncthreads(); }
  GF_DEVICE void end() const {}

 private:
  const PersistentShape& shape_;
  Storage* tile_;
  float* parts_;
};

// Tier C: a cluster. Parts go into the owner's shared memory by st.async, which counts the bytes on
// the owner's mbarrier. There is no cluster-wide barrier on the way.
//
// Two buffers of parts are enough. A block P sends parts for step i+2 behind its barrier of step
// i+1, before which all parts for step i+1 have landed in P, some of any block Q among them. Q sent
// those behind its barrier of step i, before which its threads have read their parts of step i. So
// when P sends into the buffer that step i read, nobody in Q reads it any more, and its mbarrier
// has completed its phase of step i. Bytes may arrive before Q expects them: the count is below
// zero for a while, and the arrival that is still pending keeps the phase open.
//
// The tile needs two buffers as well. What a block waits for is sent by those of its warps that
// work for its own units; another one may still read the tile of step i when step i+1 begins. It
// has done so when it comes to the barrier of step i+1, behind which step i+2 writes that buffer.
//
// A block without units takes no part: nobody sends to it.
template <class P>
class PartsOf<P, Exchange::kCluster> {
 public:
  using Storage = typename P::Storage;

  GF_DEVICE PartsOf(const PersistentBackwardArguments& a, ptx::SharedMemory& shared, int32_t rank)
      : a_(a),
        tiles_(shared.take<Storage>(2 * kSliceRows * a.shape.tile_stride)),
        parts_(shared.take<float>(2 * part_of(a.shape, a.shape.parts, 0))),
        filled_(shared.take<uint64_t>(2)),
        reciprocal_((kOne + a.shape.groups - 1) / a.shape.groups),
        patience_(a) {
    const int32_t left = whole_groups(a.hidden) - rank * a.shape.units();
    const int32_t units = left < a.shape.units() ? left : a.shape.units();
    bytes_ = static_cast<unsigned>(a.shape.parts * units * kSliceRows * sizeof(float));
  }

  static GF_DEVICE int32_t rank(const PersistentShape&) {
    return static_cast<int32_t>(ptx::cluster_rank());
  }

  GF_DEVICE void begin() const {
    clear<P>(tiles_, 2 * kSliceRows * a_.shape.tile_stride);
    if (threadIdx.x == 0) {
#pragma unroll
      for (int i = 0; i < 2; ++i) ptx::mbarrier_init(filled_ + i, 1);
      ptx::fence_mbarrier_init();
    }
    everybody();  // runs, and has its mbarriers
  }

  GF_DEVICE Storage* tile(int32_t i) const {
    return tiles_ + i % 2 * kSliceRows * a_.shape.tile_stride;
  }

  GF_DEVICE void gather(int32_t) const {}
  GF_DEVICE int32_t count() const { return a_.shape.parts; }
  // Buffer i % 2 is filled for the k-th time (from 0) for step 2 k + 1 or 2 k + 2.
  GF_DEVICE const float* await(int32_t i) {
    const unsigned parity = static_cast<unsigned>((i - 1) / 2) % 2;
    patience_.wait(i, [&] { return ptx::mbarrier_try_wait(filled_ + i % 2, parity); });
    return parts(i);
  }
  GF_DEVICE void expect(int32_t i) const {
    if (threadIdx.x == 0) ptx::mbarrier_arrive_expect_tx(filled_ + i % 2, bytes_);
  }
  GF_DEVICE void send(int32_t i, int32_t part, int32_t group, int g, int row,
                      const float (&values)[4]) const {
    const int32_t owner = group * reciprocal_ / kOne;  // group / groups
    const int32_t unit = (group - owner * a_.shape.groups) * kGroupUnits + g;
    const uint32_t words[4] = {__float_as_uint(values[0]), __float_as_uint(values[1]),
                               __float_as_uint(values[2]), __float_as_uint(values[3])};
    const unsigned to = static_cast<unsigned>(owner);
    ptx::st_async_v4(ptx::remote_address(parts(i) + part_of(a_.shape, part, unit) + row, to), words,
                     ptx::remote_address(filled_ + i % 2, to));
  }
  GF_DEVICE void sent() const {}

  // A block that has all its parts is not sent to any more; one that has waited in vain may be, and
  // must not have ended.
  GF_DEVICE void end() const { everybody(); }

 private:
  // Exact for the groups of a cluster, of which there are fewer than 2^10.
  static constexpr int32_t kOne = 1 << 16;

  static GF_DEVICE void everybody() {
    ptx::cluster_arrive();
    ptx::cluster_wait();
  }
  GF_DEVICE float* parts(int32_t i) const {
    return parts_ + i % 2 * part_of(a_.shape, a_.shape.parts, 0);
  }

  const PersistentBackwardArguments& a_;
  Storage* tiles_;    // [2]
  float* parts_;      // [2]
  uint64_t* filled_;  // [2]
  int32_t reciprocal_;
  Patience<PersistentBackwardArguments> patience_;
  unsigned bytes_;  // of a step
};

// Tier G: blocks anywhere on the device. Parts go through the L2 cache: every block stores its own
// into a buffer in global memory and adds one to the slice's counter; who has seen the counter of
// all blocks reads those of its units. There is a part for each block and chunk, and all are far
// away: all threads of the block add them up by heaps, which lie in shared memory.
//
// Two buffers are enough. A block stores parts for step i+1 after it has seen that all blocks have
// counted those for step i, which each did behind the barrier that follows its reading of those for
// step i-1. One buffer is enough of the heaps, which are read before the barrier of a step and
// written behind it, and of the tile, as in tier S.
//
// A block without units takes no part, and is not counted. No state waits for all to have begun:
// its gradients are read and written by the threads that own them.
template <class P>
class PartsOf<P, Exchange::kGrid> {
 public:
  using Storage = typename P::Storage;

  GF_DEVICE PartsOf(const PersistentBackwardArguments& a, ptx::SharedMemory& shared, int32_t rank)
      : a_(a),
        first_unit_(rank * a.shape.units()),
        tile_(shared.take<Storage>(kSliceRows * a.shape.tile_stride)),
        heaps_(shared.take<float>(part_of(a.shape, a.shape.heaps(), 0))),
        patience_(a) {}

  static GF_DEVICE int32_t rank(const PersistentShape& shape) {
    return static_cast<int32_t>(blockIdx.x) % shape.blocks;
  }

  GF_DEVICE void begin() const {
    clear<P>(tile_, kSliceRows * a_.shape.tile_stride);
    __syncthreads();
  }
  GF_DEVICE Storage* tile(int32_t) const { return tile_; }

  // Half a warp takes every count()-th part of a group, 16 bytes a lane.
  GF_DEVICE void gather(int32_t i) {
    wait_for(i);
    const int half = static_cast<int>(threadIdx.x) / kHalf;
    const int32_t group = half / 2 % a_.shape.groups;
    const int32_t heap = half / 2 / a_.shape.groups * 2 + half % 2;
    const int32_t at = group * kGroupUnits * kSliceRows + static_cast<int>(threadIdx.x) % kHalf * 4;
    if (heap < count() && first_unit_ + group * kGroupUnits < a_.hidden) {
      const float* from = buffer(i) + first_unit_ * kSliceRows + at;
      float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll 4
      for (int32_t part = heap; part < a_.shape.parts; part += count()) {
        const float4 four = *reinterpret_cast<const float4*>(from + part * part_size());
        sum = make_float4(sum.x + four.x, sum.y + four.y, sum.z + four.z, sum.w + four.w);
      }
      *reinterpret_cast<float4*>(heaps_ + part_of(a_.shape, heap, 0) + at) = sum;
    }
    __syncthreads();
  }
  GF_DEVICE int32_t count() const { return a_.shape.heaps(); }
  GF_DEVICE const float* await(int32_t) const { return heaps_; }
  GF_DEVICE void expect(int32_t) const {}
  GF_DEVICE void send(int32_t i, int32_t part, int32_t group, int g, int row,
                      const float (&values)[4]) const {
    float* to = buffer(i) + part * part_size() + (group * kGroupUnits + g) * kSliceRows + row;
    *reinterpret_cast<float4*>(to) = make_float4(values[0], values[1], values[2], values[3]);
  }
  GF_DEVICE void sent() const {
    __syncthreads();
    if (threadIdx.x == 0) ptx::red_add_release(arrived(), 1);
  }
  GF_DEVICE void end() const {}

 private:
  static constexpr int kHalf = kGroupUnits * kSliceRows / 4;  // a warp, of pieces of 16 bytes

  // Of all units.
  GF_DEVICE int32_t part_size() const { return a_.shape.blocks * a_.shape.units() * kSliceRows; }
  // Of the slices of this launch; the counters are of all.
  GF_DEVICE int32_t slice() const { return static_cast<int32_t>(blockIdx.x) / a_.shape.blocks; }
  GF_DEVICE unsigned* arrived() const { return a_.arrived + a_.first_slice + slice(); }
  GF_DEVICE float* buffer(int32_t i) const {
    return a_.exchange + (int64_t{slice()} * 2 + i % 2) * a_.shape.parts * part_size();
  }

  // All threads, until all blocks with units have handed on their parts for step i.
  GF_DEVICE void wait_for(int32_t i) {
    if (threadIdx.x == 0) {
      const unsigned count = static_cast<unsigned>(i * a_.shape.owners());
      patience_.wait(i, [&] { return ptx::ld_acquire(arrived()) >= count; });
    }
    __syncthreads();
  }

  const PersistentBackwardArguments& a_;
  int32_t first_unit_;
  Storage* tile_;
  float* heaps_;
  Patience<PersistentBackwardArguments> patience_;
};

// ---- The kernel ---------------------------------------------------------------------------------

template <class Cell, class P, Exchange kExchange>
class PersistentBackwardLayer {
 public:
  static constexpr int kPlain = count_blocks<Cell>(false);
  static constexpr int kScans = count_blocks<Cell>(true);
  static constexpr int kBlocks = kPlain + kScans;
  static constexpr InstanceLimits kLimits = backward_limits_of(kExchange, P::kId, kPlain, kScans);
  static_assert(kScans == 0 || !Cell::kCandidateApart);

  GF_DEVICE explicit PersistentBackwardLayer(const PersistentBackwardArguments& arguments)
      : a_(arguments),
        role_(arguments, PartsOf<P, kExchange>::rank(arguments.shape)),
        parts_(arguments, shared_, role_.rank),
        slots_(arguments, shared_, kScans, arguments.hidden, arguments.shape.owners()),
        tasks_(arguments.shape, shared_) {
    if constexpr (kScans > 0) {
      terms_ = shared_.template take<float>(kScans * kSliceRows * a_.slots);
      totals_ = shared_.template take<double>(kScans * kSliceRows);
    }
  }

  GF_DEVICE void run() {
    load_weights();
    if constexpr (kScans > 0) slots_.begin();
    parts_.begin();
    if (first_unit() < a_.hidden) run_steps();
    parts_.end();
  }

 private:
  using Op = Operands<P>;
  using Storage = typename P::Storage;
  using TasksOf = Tasks<P, kBackwardFragments, kLimits.register_steps, kLimits.register_tasks>;
  using Results = typename TasksOf::Results;

  // What a step reads for a unit in a row.
  struct Input {
    float kept[kPlain];
    float candidate;  // its recurrent part, where it is apart
    float h;          // before the step, of a cell without a cell state
    float c;          // before the step
    float dh;         // by h after the step, but for what later steps give
    Gate<Lane> gates[kScans + 1];
  };

  // Of the block.
  GF_DEVICE int32_t first_unit() const { return role_.rank * a_.shape.units(); }

  // Steps of a row that is the j-th of the lane end with this one, as far as they are in the chunk.
  GF_DEVICE int32_t last_step(int32_t length) const {
    const int32_t end = a_.pass.first + a_.pass.steps;
    return (length < end ? length : end) - 1;
  }

  // The slice's longest row is its first.
  GF_DEVICE void run_steps() {
    const int32_t last = last_step(a_.pass.sequences.length(role_.slice * kSliceRows));
    load_state();
    fetch(last);
    int32_t i = 0;
    for (int32_t s = last; s >= a_.pass.first; --s, ++i) step(s, i);
    store_state(i);
  }

  // ---- Weights

  // Operands of a matrix row that belong to the block, whole halves of a k step.
  GF_DEVICE int32_t own_operands() const {
    const int32_t left = a_.recurrent.stride - first_unit() * kBlocks;
    const int32_t own = a_.shape.units() * kBlocks;
    return left < own ? left : own;
  }
  GF_DEVICE const Storage* weight(int32_t unit, int k_step) const {
    if (unit >= a_.hidden) return nullptr;
    return static_cast<const Storage*>(a_.recurrent.weight) + int64_t{unit} * a_.recurrent.stride +
           first_unit() * kBlocks + k_step * Op::kStep;
  }
  GF_DEVICE typename TasksOf::Rows rows_of(int task) const {
    const int32_t unit = task / a_.shape.chunks * kBackwardUnits + role_.g;
    const int k_step = task % a_.shape.chunks * a_.shape.chunk_steps;
    typename TasksOf::Rows rows;
#pragma unroll
    for (int f = 0; f < kBackwardFragments; ++f) {
      rows.low[f] = weight(unit + 2 * f * kGroupUnits, k_step);
      rows.high[f] = weight(unit + (2 * f + 1) * kGroupUnits, k_step);
    }
    return rows;
  }
  // Zeros behind the block's own operands: others' weights times zeros might be NaN.
  GF_DEVICE Fragment load_fragment(int task, const Storage* low, const Storage* high,
                                   int step) const {
    const int first = task % a_.shape.chunks * a_.shape.chunk_steps;
    const int left = own_operands() - (first + step) * Op::kStep;
    const int k = step * Op::kStep;
    low = left <= 0 || low == nullptr ? nullptr : low + k;
    high = left <= 0 || high == nullptr ? nullptr : high + k;
    if constexpr (Op::kHalves) {
      if (left < Op::kStep) return Op::load_half(low, high, role_.t);
    }
    return Op::load(low, high, role_.t);
  }

  GF_DEVICE void load_weights() {
    tasks_.load([&](int task) { return rows_of(task); },
                [&](int task, const Storage* low, const Storage* high, int step) {
                  return load_fragment(task, low, high, step);
                });
  }

  // ---- State and input

  // Whether the warp has a group with units, and the lane a unit in its row j.
  GF_DEVICE bool pointwise_warp() const {
    return role_.pointwise && role_.unit - role_.g < a_.hidden;
  }
  GF_DEVICE bool own(int j) const {
    return role_.pointwise && role_.unit < a_.hidden && role_.row[j] < a_.rows;
  }
  GF_DEVICE bool runs(int32_t s, int j) const { return own(j) && s < role_.length[j]; }
  // Whether the gradients by h and c after the step are the caller's.
  GF_DEVICE bool joins(int32_t s, int j) const { return s == last_step(role_.length[j]); }

  GF_DEVICE int64_t state(int j) const { return int64_t{role_.row[j]} * a_.hidden + role_.unit; }
  // A row of the tape at a step.
  GF_DEVICE int64_t tape_row(int32_t s, int j) const {
    return int64_t{s - a_.pass.first} * a_.pass.sequences.batch + role_.row[j];
  }

  GF_DEVICE void load_state() {
    if constexpr (Cell::kCellState) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const int32_t after = last_step(role_.length[j]) + 1;
        dc_[j] = own(j) ? a_.dc[state(j)] : 0.0f;
        c_[j] = own(j) ? a_.c[tape_row(after, j) * a_.hidden + role_.unit] : 0.0f;
      }
    }
  }
  GF_DEVICE void store_state(int32_t i) {
    parts_.gather(i);
    if (!pointwise_warp()) return;
    float dh[2];
    sum_parts(i, dh);
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      if (!own(j)) continue;
      a_.dh[state(j)] = dh[j] + direct(j);
      if constexpr (Cell::kCellState) a_.dc[state(j)] = dc_[j];
    }
  }

  // The gradient by h past the products, of a row that runs. A cell with a cell state has one with
  // masks alone: in memory, since a register would be taken without them too.
  GF_DEVICE float direct(int j) const {
    if constexpr (!Cell::kCellState) return direct_[j];
    return a_.masks.bits != nullptr ? a_.dh[state(j)] : 0.0f;
  }

  // Brings what a step reads on its way, a step before it is used.
  GF_DEVICE void fetch(int32_t s) {
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      if (!runs(s, j)) continue;
      const int64_t row = tape_row(s, j);
      const float* kept = a_.kept + row * a_.kept_stride + int64_t{role_.unit} * kPlain;
      const int64_t unit = row * a_.hidden + role_.unit;
      Input& in = next_[j];
#pragma unroll
      for (int b = 0; b < kPlain; ++b) in.kept[b] = kept[b];
      if constexpr (Cell::kCandidateApart) in.candidate = a_.candidate[unit];
      if constexpr (Cell::kCellState) {
        in.c = a_.c[unit];
      } else {
        in.h = a_.h[unit];
      }
#pragma unroll
      for (int scan = 0; scan < kScans; ++scan) {
        const float* gate = a_.gates + (row * kScans + scan) * 2 * a_.hidden + role_.unit;
        in.gates[scan] = {{gate[0]}, {gate[a_.hidden]}};
      }
      in.dh = joins(s, j) ? a_.dh[state(j)] : 0.0f;
      if (a_.dy != nullptr) {
        const int32_t place_row = role_.row[j];
        const int64_t place = a_.pass.sequences.place(a_.pass.time(s, place_row), place_row);
        in.dh += a_.dy[place * a_.dy_stride + role_.unit];
      }
    }
  }

  // ---- A step

  GF_DEVICE void step(int32_t s, int32_t i) {
    const Input input[2] = {next_[0], next_[1]};
    if (s > a_.pass.first) fetch(s - 1);
    if (i > 0) parts_.gather(i);
    if (pointwise_warp()) {
      float dh[2] = {0.0f, 0.0f};
      if (i > 0) sum_parts(i, dh);
      float by_gates[kScans + 1][2] = {};
#pragma unroll
      for (int j = 0; j < 2; ++j) pointwise(s, j, input[j], dh[j], parts_.tile(i), by_gates);
      if constexpr (kScans > 0) {
#pragma unroll
        for (int scan = 0; scan < kScans; ++scan) {
          slots_.publish(scan, role_.unit - role_.g, by_gates[scan]);
        }
      }
    }
    if constexpr (kScans > 0) run_scans(s, i);
    __syncthreads();
    parts_.expect(i + 1);
    multiply(i);
    parts_.sent();
  }

  GF_DEVICE void sum_parts(int32_t i, float (&dh)[2]) {
    const float* from =
        parts_.await(i) + part_of(a_.shape, 0, role_.warp * kGroupUnits + role_.g) + 2 * role_.t;
    dh[0] = dh[1] = 0.0f;
    for (int32_t part = 0; part < parts_.count(); ++part) {
      const float2 two = *reinterpret_cast<const float2*>(from + part_of(a_.shape, part, 0));
      dh[0] += two.x;
      dh[1] += two.y;
    }
  }

  // The cell's mathematics for the lane's unit in its row j. parts: the gradient by h after the
  // step through the products of the next one. by_gates: receives the gradients by the gates.
  GF_DEVICE void pointwise(int32_t s, int j, const Input& in, float parts, Storage* tile,
                           float (&by_gates)[kScans + 1][2]) {
    if (!runs(s, j)) return;
    Lane inputs[kPlain];
    Lane recurrent[kPlain];
#pragma unroll
    for (int b = 0; b < kPlain; ++b) {
      inputs[b] = {in.kept[b]};
      recurrent[b] = {0.0f};
    }
    if constexpr (Cell::kCandidateApart) recurrent[Cell::kCandidate] = {in.candidate};
    const Lane dh = {joins(s, j) ? in.dh : parts + direct(j) + in.dh};
    StepStates<Lane> around = {dh, dh, dh};
    Lane dc = dh;
    if constexpr (Cell::kCellState) {
      around.c = {in.c};
      around.c_next = {c_[j]};
      dc = {dc_[j]};
    } else {
      around.h = {in.h};
    }
    Lane by_a[kPlain];
    Lane by_scan[kScans + 1];
    StepGradients<Lane> d = {by_a, dh, by_scan, dh};
    Masked<Cell>{a_.masks, tape_row(s, j) * a_.hidden + role_.unit}.backward(
        PreActivations<Lane>{inputs, recurrent}, in.gates, around, dh, dc, d);
#pragma unroll
    for (int scan = 0; scan < kScans; ++scan) by_gates[scan][j] = by_scan[scan].v;
    if constexpr (Cell::kCellState) {
      c_[j] = in.c;
      dc_[j] = dc.v;
      if (a_.masks.bits != nullptr) a_.dh[state(j)] = d.h.v;
    } else {
      direct_[j] = d.h.v;
    }
    write_gradients(s, j, d, tile);
  }

  // The recurrent ones are the operands of the step's product.
  GF_DEVICE void write_gradients(int32_t s, int j, const StepGradients<Lane>& d,
                                 Storage* tile) const {
    const int64_t at = tape_row(s, j) * a_.kept_stride + int64_t{role_.unit} * kPlain;
    Storage* operands =
        tile + (2 * role_.t + j) * a_.shape.tile_stride + (role_.unit - first_unit()) * kBlocks;
#pragma unroll
    for (int b = 0; b < kPlain; ++b) {
      float recurrent = d.a[b].v;
      a_.da[at + b] = recurrent;
      if constexpr (Cell::kCandidateApart) {
        if (b == Cell::kCandidate) recurrent = d.candidate.v;
        a_.da_recurrent[at + b] = recurrent;
      }
      operands[b] = P::of(recurrent);
    }
  }

  // ---- Scans

  // Calls f(scan, row, item) for the warp's scans of rows of the slice that run.
  template <class F>
  GF_DEVICE void for_scans(int32_t s, F f) const {
    for (int item = role_.warp; item < kScans * kSliceRows; item += a_.shape.warps) {
      const int row = item % kSliceRows;
      const int32_t even = __shfl_sync(kAllLanes, role_.length[0], row / 2);
      const int32_t odd = __shfl_sync(kAllLanes, role_.length[1], row / 2);
      if (s < (row % 2 == 0 ? even : odd)) f(item / kSliceRows, row, item);
    }
  }

  // Every block makes the gradients by all slots of its slice's rows, and keeps those of its own
  // units. The exponentials wait for nobody.
  GF_DEVICE void run_scans(int32_t s, int32_t i) {
    const auto first_slot = [&](int scan, int row) {
      const int64_t of_row =
          int64_t{s - a_.pass.first} * a_.pass.sequences.batch + role_.slice * kSliceRows + row;
      return of_row * a_.kept_stride + int64_t{a_.hidden} * kPlain + int64_t{scan} * a_.slots;
    };
    for_scans(s, [&](int scan, int row, int item) {
      const float* pre = a_.kept + first_slot(scan, row);
      const double total = scan_terms(
          role_.lane, a_.slots, [&](int32_t k) { return pre[k]; }, terms_ + item * a_.slots);
      if (role_.lane == 0) totals_[item] = total;
    });
    slots_.await(i);
    __syncwarp(kAllLanes);  // behind the totals
    for_scans(s, [&](int scan, int row, int item) {
      float* by_slot = terms_ + item * a_.slots;
      scan_row_backward(role_.lane, a_.slots, a_.chunk, totals_[item], slots_.row(scan, row),
                        by_slot);
      __syncwarp(kAllLanes);
      write_slots(scan, by_slot, a_.da + first_slot(scan, row),
                  parts_.tile(i) + row * a_.shape.tile_stride);
    });
  }

  // Those of the block's own units, among all slots of a scan in a row.
  GF_DEVICE void write_slots(int scan, const float* by_slot, float* da, Storage* operands) const {
    for (int32_t unit = role_.lane; unit < a_.shape.units(); unit += 32) {
      const int32_t slot = first_unit() + unit;
      if (slot >= a_.slots) return;
      da[slot] = by_slot[slot];
      operands[unit * kBlocks + kPlain + scan] = P::of(by_slot[slot]);
    }
  }

  // ---- The product

  // Not by task numbers: they would be divided in each step.
  GF_DEVICE void multiply(int32_t i) {
    int32_t set = tasks_.task(0) / a_.shape.chunks;
    int32_t chunk = tasks_.task(0) % a_.shape.chunks;
    tasks_.sum_each(parts_.tile(i), [&](int, const Results& sums) {
#pragma unroll
      for (int f = 0; f < kBackwardFragments; ++f) {
        hand_on(i + 1, set * (kBackwardUnits / kGroupUnits) + 2 * f, chunk, sums.r[f]);
      }
      if (++chunk == a_.shape.chunks) {
        chunk = 0;
        ++set;
      }
    });
  }

  // The results of a fragment are those of two groups. A lane has two rows of a unit of each; it
  // gives those of one to its neighbour and gets two more rows of the other.
  GF_DEVICE void hand_on(int32_t i, int32_t first_group, int32_t chunk, const float (&r)[4]) {
    const int upper = role_.t % 2;
    float got[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      got[j] = __shfl_xor_sync(0xffffffffu, upper != 0 ? r[j] : r[2 + j], 1);
    }
    const float four[4] = {upper != 0 ? got[0] : r[0], upper != 0 ? got[1] : r[1],
                           upper != 0 ? r[2] : got[0], upper != 0 ? r[3] : got[1]};
    const int32_t group = first_group + upper;
    if (group * kGroupUnits >= a_.hidden) return;
    parts_.send(i, role_.rank * a_.shape.chunks + chunk, group, role_.g, role_.t / 2 * 4, four);
  }

  const PersistentBackwardArguments& a_;
  ptx::SharedMemory shared_;
  Role role_;
  PartsOf<P, kExchange> parts_;
  std::conditional_t<(kScans > 0), SlotsOf<kExchange, PersistentBackwardArguments>, NoSlots>
      slots_;  // gradients by gates
  TasksOf tasks_;
  float* terms_ = nullptr;    // [scans][kSliceRows][slots] exponentials, then gradients by slots
  double* totals_ = nullptr;  // [scans][kSliceRows] sums of the exponentials
  float c_[2] = {};           // after the step
  float dc_[2] = {};          // the gradient by it
  float direct_[2] = {};      // the gradient by h past the products, without a cell state
  Input next_[2] = {};
};

template <class Cell, class P, Exchange kExchange>
__global__ void __launch_bounds__(PersistentBackwardLayer<Cell, P, kExchange>::kLimits.most_warps *
                                      32,
                                  1)
    persistent_backward_kernel(
        [[maybe_unused]] const __grid_constant__ PersistentBackwardArguments arguments) {
  // Where an instance is never launched, nothing of it is compiled.
  if constexpr (kHasProducts<P> && (kExchange != Exchange::kCluster || ptx::kClusters)) {
    PersistentBackwardLayer<Cell, P, kExchange> layer(arguments);
    layer.run();
  }
}

// The kernels of one exchange, by cell and precision.
template <class Cell, Exchange kExchange>
PersistentBackwardKernel backward_kernel_of(int32_t precision) {
  PersistentBackwardKernel kernel = nullptr;
  if constexpr (!Cell::kResetBefore &&
                (kExchange != Exchange::kGrid || count_blocks<Cell>(true) == 0)) {
    with_precision(precision, [&](auto p) {
      kernel = persistent_backward_kernel<Cell, decltype(p), kExchange>;
    });
  }
  return kernel;
}

template <Exchange kExchange>
PersistentBackwardKernel backward_kernel_of(int32_t cell, int32_t precision) {
  int32_t number = 0;
#define GF_KERNEL_OF(Cell) \
  if (number++ == cell) return backward_kernel_of<Cell, kExchange>(precision);
  GF_FOR_EACH_CELL(GF_KERNEL_OF)
#undef GF_KERNEL_OF
  return nullptr;
}

}  // namespace gatefuse::cuda
