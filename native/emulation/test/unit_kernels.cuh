// SPDX-License-Identifier: Apache-2.0
//
// One small kernel for each wrapper of cuda/ptx.cuh and for what else of CUDA the kernels use.
#pragma once

#include "cuda/ptx.cuh"

namespace gatefuse::units {

using ptx::SharedMemory;

constexpr unsigned kAllLanes = 0xffffffffu;

// ---------------------------------------------------------------- number formats

// out [6, n]: each float in each format, and back.
static __global__ void convert(const float* in, uint32_t* out, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  const uint16_t bf16 = ptx::to_bf16(in[i]), f16 = ptx::to_f16(in[i]);
  out[i] = bf16;
  out[n + i] = f16;
  out[2 * n + i] = ptx::to_tf32(in[i]);
  out[3 * n + i] = __float_as_uint(ptx::from_bf16(bf16));
  out[4 * n + i] = __float_as_uint(ptx::from_f16(f16));
}

// ---------------------------------------------------------------- products

struct Lane {
  int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
};

template <class T>
GF_DEVICE uint32_t pair(const T* low, const T* high) {
  return static_cast<uint32_t>(*low) | static_cast<uint32_t>(*high) << 16;
}

GF_DEVICE void store(float* d, const float (&part)[4]) {  // d [16, 8]
  const Lane lane;
  for (int r = 0; r < 4; ++r) d[(lane.g + 8 * (r / 2)) * 8 + 2 * lane.t + r % 2] = part[r];
}

GF_DEVICE void load(const float* d, float (&part)[4]) {
  const Lane lane;
  for (int r = 0; r < 4; ++r) part[r] = d[(lane.g + 8 * (r / 2)) * 8 + 2 * lane.t + r % 2];
}

// d [16, 8] += a [16, 16] b [16, 8], 16-bit operands.
template <bool kBf16>
static __global__ void product_k16(const uint16_t* a, const uint16_t* b, float* d) {
  const Lane lane;
  uint32_t fa[4], fb[2];
  for (int r = 0; r < 4; ++r) {
    const uint16_t* place = a + (lane.g + 8 * (r % 2)) * 16 + 2 * lane.t + 8 * (r / 2);
    fa[r] = pair(place, place + 1);
  }
  for (int r = 0; r < 2; ++r) {
    const uint16_t* place = b + (2 * lane.t + 8 * r) * 8 + lane.g;
    fb[r] = pair(place, place + 8);
  }
  float part[4];
  load(d, part);
  if constexpr (kBf16) {
    ptx::mma_bf16(part, fa, fb);
  } else {
    ptx::mma_f16(part, fa, fb);
  }
  store(d, part);
}

// d [16, 8] += a [16, 8] b [8, 8], half precision.
static __global__ void product_f16_k8(const uint16_t* a, const uint16_t* b, float* d) {
  const Lane lane;
  const uint16_t* upper = a + lane.g * 8 + 2 * lane.t;
  const uint16_t* lower = upper + 8 * 8;
  const uint32_t fa[2] = {pair(upper, upper + 1), pair(lower, lower + 1)};
  const uint16_t* place = b + 2 * lane.t * 8 + lane.g;
  float part[4];
  load(d, part);
  ptx::mma_f16_k8(part, fa, pair(place, place + 8));
  store(d, part);
}

// d [16, 8] += a [16, 8] b [8, 8], rounded to TF32 here.
static __global__ void product_tf32(const float* a, const float* b, float* d) {
  const Lane lane;
  uint32_t fa[4], fb[2];
  for (int r = 0; r < 4; ++r) {
    fa[r] = ptx::to_tf32(a[(lane.g + 8 * (r % 2)) * 8 + lane.t + 4 * (r / 2)]);
  }
  for (int r = 0; r < 2; ++r) fb[r] = ptx::to_tf32(b[(lane.t + 4 * r) * 8 + lane.g]);
  float part[4];
  load(d, part);
  ptx::mma_tf32(part, fa, fb);
  store(d, part);
}

// ---------------------------------------------------------------- tiles

constexpr int kPitch = 24;  // of the rows in shared memory

// out [2, 4, 32]: registers of ldmatrix_x4 and of ldmatrix_x4_trans, for the tiles of in [16, 16],
// by rows first.
static __global__ void load_tiles(const uint16_t* in, uint32_t* out) {
  SharedMemory memory;
  uint16_t* tiles = memory.take<uint16_t>(16 * kPitch);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 256; i += 32) tiles[i / 16 * kPitch + i % 16] = in[i];
  __syncwarp(kAllLanes);
  const uint16_t* row = tiles + lane % 16 * kPitch + lane / 16 * 8;
  uint32_t r[4];
  ptx::ldmatrix_x4(r, row);
  for (int tile = 0; tile < 4; ++tile) out[tile * 32 + lane] = r[tile];
  ptx::ldmatrix_x4_trans(r, row);
  for (int tile = 0; tile < 4; ++tile) out[(4 + tile) * 32 + lane] = r[tile];
}

static __global__ void transpose_tile(const uint32_t* in, uint32_t* out) {
  out[threadIdx.x] = ptx::movmatrix_trans(in[threadIdx.x]);
}

// ---------------------------------------------------------------- copies

// out [n] = in [n] reversed within each of the groups of 4 blockDim.x floats, two groups under way.
static __global__ void copy_async(const float* in, float* out, int groups) {
  SharedMemory memory;
  const int group = static_cast<int>(blockDim.x) * 4;
  float* buffers[2];
  for (float*& buffer : buffers) buffer = memory.take<float>(static_cast<size_t>(group));
  const int thread = static_cast<int>(threadIdx.x);
  for (int g = 0; g <= groups; ++g) {
    if (g < groups) ptx::cp_async16(buffers[g % 2] + 4 * thread, in + g * group + 4 * thread);
    ptx::cp_async_commit();
    if (g == 0) continue;
    ptx::cp_async_wait<1>();
    __syncthreads();
    for (int i = thread; i < group; i += static_cast<int>(blockDim.x)) {
      out[(g - 1) * group + i] = buffers[(g - 1) % 2][group - 1 - i];
    }
    __syncthreads();
  }
}

// ---------------------------------------------------------------- shared memory

// out [4]: whether arrays are aligned to 128 bytes, and what a static array and two dynamic ones
// hold.
static __global__ void shared_arrays(uint32_t* out) {
  SharedMemory memory;
  uint16_t* first = memory.take<uint16_t>(3);
  float* second = memory.take<float>(33);
  GF_SHARED(uint32_t, table, [2][32]);
  GF_SHARED(uint32_t, single, );
  const unsigned thread = threadIdx.x;
  if (thread < 3) first[thread] = static_cast<uint16_t>(100 + thread);
  second[thread] = static_cast<float>(thread);
  table[1][thread] = 7 * thread;
  if (thread == 0) single = 5;
  __syncthreads();
  const uintptr_t bits = reinterpret_cast<uintptr_t>(first) | reinterpret_cast<uintptr_t>(second);
  if (thread != 0) return;
  out[0] = bits % 128 == 0 ? 1 : 0;
  out[1] = first[2];
  out[2] = static_cast<uint32_t>(second[31]);
  out[3] = table[1][31] + single;
}

// ---------------------------------------------------------------- warps and blocks

// out [8, 32]
static __global__ void shuffles(uint32_t* out) {
  const unsigned lane = threadIdx.x;
  const unsigned value = 100 + lane;
  out[lane] = __shfl_sync(kAllLanes, value, 5);
  out[32 + lane] = __shfl_sync(kAllLanes, value, 3, 8);
  out[64 + lane] = __shfl_up_sync(kAllLanes, value, 2);
  out[96 + lane] = __shfl_down_sync(kAllLanes, value, 3, 16);
  out[128 + lane] = __shfl_xor_sync(kAllLanes, value, 9);
  out[160 + lane] = __ballot_sync(kAllLanes, lane % 3 == 0);
  out[192 + lane] =
      (__any_sync(kAllLanes, lane == 31) ? 1u : 0u) + (__all_sync(kAllLanes, lane < 31) ? 2u : 0u);
  // The halves of the warp apart.
  const unsigned half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  out[224 + lane] = __shfl_xor_sync(half, value, 1);
}

// out [3, threads]
static __global__ void block_votes(int* out) {
  const int n = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
  out[thread] = __syncthreads_count(thread % 5 == 0);
  out[n + thread] = __syncthreads_or(thread == 7) != 0;
  out[2 * n + thread] = __syncthreads_and(thread < n - 1) != 0;
}

// ---------------------------------------------------------------- between blocks

// A ring of blocks: each waits for its left neighbour's mark, adds one to the value and passes it
// on. marks [blocks + 1] and values [blocks + 1], marks 0 but the first one.
static __global__ void pass_on(unsigned* marks, float* values) {
  if (threadIdx.x != 0) return;
  const unsigned block = blockIdx.x;
  while (ptx::ld_acquire(marks + block) == 0) ptx::nanosleep(50);
  values[block + 1] = ptx::ld_global_cg(values + block) + 1.0f;
  if (block % 2 == 0) {
    ptx::red_add_release(marks + block + 1, 1);
  } else {
    ptx::st_release(marks + block + 1, 1);
  }
}

// out [2]: whether the clock runs, and the sum of four words loaded at once.
static __global__ void clock_and_load(const uint32_t* words, uint32_t* out) {
  const uint64_t start = ptx::global_nanoseconds();
  while (ptx::global_nanoseconds() - start < 100'000) ptx::nanosleep(1000);
  const uint4 four = ptx::ld_global_cg(reinterpret_cast<const uint4*>(words));
  out[0] = ptx::global_nanoseconds() - start >= 100'000 ? 1 : 0;
  out[1] = four.x + four.y + four.z + four.w;
}

// ---------------------------------------------------------------- clusters

// out [blocks, 4]: rank, size, what the next block has, and what the one before has written here.
static __global__ void cluster_neighbours(uint32_t* out) {
  SharedMemory memory;
  uint32_t* mine = memory.take<uint32_t>(2);
  const unsigned rank = ptx::cluster_rank(), size = ptx::cluster_size();
  if (threadIdx.x == 0) mine[0] = 10 * blockIdx.x;
  ptx::cluster_arrive();
  ptx::cluster_wait();
  uint32_t* next = ptx::cluster_map(mine, (rank + 1) % size);
  if (threadIdx.x == 0) {
    uint32_t* result = out + 4 * blockIdx.x;
    result[0] = rank;
    result[1] = size;
    result[2] = next[0];
    next[1] = 1000 + blockIdx.x;
  }
  ptx::cluster_arrive();
  ptx::cluster_wait();
  if (threadIdx.x == 0) out[4 * blockIdx.x + 3] = mine[1];
}

// In each of `rounds` phases every block sends 28 bytes to the next one of its cluster, in one
// store of each width. out [rounds, blocks, 7].
static __global__ void send_around(uint32_t* out, int rounds) {
  SharedMemory memory;
  uint32_t* inbox = memory.take<uint32_t>(8);
  uint64_t* arrived = memory.take<uint64_t>(1);
  const unsigned rank = ptx::cluster_rank(), to = (rank + 1) % ptx::cluster_size();
  const unsigned thread = threadIdx.x;
  if (thread == 0) {
    ptx::mbarrier_init(arrived, 1);
    ptx::fence_mbarrier_init();
  }
  ptx::cluster_arrive();
  ptx::cluster_wait();
  const ptx::RemoteAddress barrier = ptx::remote_address(arrived, to);
  for (int round = 0; round < rounds; ++round) {
    if (thread == 0) ptx::mbarrier_arrive_expect_tx(arrived, 28);
    const uint32_t first = 100 * rank + static_cast<uint32_t>(round);
    const uint32_t four[4] = {first, first + 1, first + 2, first + 3};
    if (thread == 1) ptx::st_async_v4(ptx::remote_address(inbox, to), four, barrier);
    if (thread == 2) {
      ptx::st_async_b64(ptx::remote_address(inbox + 4, to), (first + 4) | uint64_t{first + 5} << 32,
                        barrier);
    }
    if (thread == 3) ptx::st_async_b32(ptx::remote_address(inbox + 6, to), first + 6, barrier);
    while (!ptx::mbarrier_try_wait(arrived, static_cast<unsigned>(round) & 1)) {
    }
    const int blocks = static_cast<int>(gridDim.x);
    if (thread < 7)
      out[(round * blocks + static_cast<int>(blockIdx.x)) * 7 + static_cast<int>(thread)] =
          inbox[thread];
    ptx::cluster_arrive();
    ptx::cluster_wait();
  }
}

// A barrier of the block's threads alone: out [threads] gets the neighbour's value of each phase,
// summed.
static __global__ void arrive_locally(uint32_t* out, int rounds) {
  SharedMemory memory;
  const unsigned n = blockDim.x, thread = threadIdx.x;
  uint32_t* values[2];
  for (uint32_t*& value : values) value = memory.take<uint32_t>(n);
  uint64_t* barrier = memory.take<uint64_t>(1);
  if (thread == 0) ptx::mbarrier_init(barrier, n);
  __syncthreads();
  uint32_t sum = 0;
  for (int round = 0; round < rounds; ++round) {
    values[round & 1][thread] = thread * static_cast<uint32_t>(round + 1);
    ptx::mbarrier_arrive(barrier);
    while (!ptx::mbarrier_try_wait(barrier, static_cast<unsigned>(round) & 1)) {
    }
    sum += values[round & 1][(thread + 1) % n];
  }
  out[thread] = sum;
}

}  // namespace gatefuse::units
