// SPDX-License-Identifier: Apache-2.0
//
// Small kernels that exchange data in each of the ways that the library's kernels do. They are what
// scripts/emulation-mutants seeds bugs into.
#pragma once

#include "cuda/ptx.cuh"

namespace gatefuse::exercises {

using ptx::SharedMemory;

constexpr int kThreads = 64;
constexpr unsigned kAllLanes = 0xffffffffu;

// ---------------------------------------------------------------- through L2, by the whole grid

// All blocks meet: each counts one, release, and polls, acquire. Returns false after the time-out.
GF_DEVICE bool meet(unsigned* counter, unsigned target, uint64_t timeout) {
  GF_SHARED(int, met, [1]);
  __syncthreads();
  if (threadIdx.x == 0) {
    ptx::red_add_release(counter, 1);
    const uint64_t start = ptx::global_nanoseconds();
    met[0] = 1;
    while (ptx::ld_acquire(counter) < target) {
      if (ptx::global_nanoseconds() - start > timeout) {
        met[0] = 0;
        break;
      }
    }
  }
  __syncthreads();
  return met[0] != 0;
}

// Every step replaces each of the grid's values [gridDim.x * blockDim.x] by the sum of a value of
// the next block and one of the block after that. values is [2, n], used by turns; counter is 0.
static __global__ void grid_exchange(float* values, unsigned* counter, int* status, int steps) {
  const int n = static_cast<int>(gridDim.x * blockDim.x);
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  for (int step = 0; step < steps; ++step) {
    const float* from = values + (step & 1) * n;
    float* to = values + ((step + 1) & 1) * n;
    const int next = (i + static_cast<int>(blockDim.x)) % n;
    const int after = (i + 2 * static_cast<int>(blockDim.x)) % n;
    to[i] = ptx::ld_global_cg(from + next) + ptx::ld_global_cg(from + after);
    if (!meet(counter, static_cast<unsigned>(step + 1) * gridDim.x, 10'000'000'000u)) {
      if (threadIdx.x == 0) *status = 1;
      return;
    }
  }
}

// Meets with a counter that others never raise: *status tells whether it gave up.
static __global__ void wait_in_vain(unsigned* counter, int* status, uint64_t timeout) {
  if (!meet(counter, 0xffffffffu, timeout) && threadIdx.x == 0 && blockIdx.x == 0) *status = 1;
}

// Marks are handed from block to block; each adds its part to a row of values [n] before it hands
// it on. marks [gridDim.x + 1], the first one 1 and the others 0.
static __global__ void hand_on(unsigned* marks, unsigned* row, int n) {
  const unsigned block = blockIdx.x;
  if (threadIdx.x == 0) {
    while (ptx::ld_acquire(marks + block) == 0) ptx::nanosleep(100);
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    row[i] = 3 * row[i] + block;
  }
  __syncthreads();
  if (threadIdx.x == 0) ptx::st_release(marks + block + 1, 1);
}

// ---------------------------------------------------------------- copies under way

// out [n] = in [n] - the mean of the 4 blockDim.x values of the tile: two tiles in turn, the next
// one copied while this one is used.
static __global__ void centre_tiles(const float* in, float* out, int tiles) {
  SharedMemory memory;
  const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
  const int size = 4 * threads;
  float* even = memory.take<float>(static_cast<size_t>(size));
  float* odd = memory.take<float>(static_cast<size_t>(size));
  ptx::cp_async16(even + 4 * thread, in + 4 * thread);
  ptx::cp_async_commit();
  for (int tile = 0; tile < tiles; ++tile) {
    float* current = tile % 2 == 0 ? even : odd;
    float* next = tile % 2 == 0 ? odd : even;
    if (tile + 1 < tiles) ptx::cp_async16(next + 4 * thread, in + (tile + 1) * size + 4 * thread);
    ptx::cp_async_commit();
    ptx::cp_async_wait<1>();
    __syncthreads();  // all have copied
    float sum = 0.0f;
    for (int i = 0; i < size; ++i) sum += current[i];
    const float mean = sum / static_cast<float>(size);
    for (int i = thread; i < size; i += threads) out[tile * size + i] = current[i] - mean;
    __syncthreads();  // all have read, before the next copy into this tile
  }
}

// ---------------------------------------------------------------- within a block

// sums [rows] = the sums of in [rows, n]: by lanes, then by warps, then over the warps.
static __global__ void sum_rows(const float* in, float* sums, int rows, int n) {
  GF_SHARED(float, parts, [8]);
  GF_SHARED(float, total, [1]);
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int warps = static_cast<int>(blockDim.x) / 32;
  float above = 0.0f;
  for (int row = 0; row < rows; ++row) {
    float sum = 0.0f;
    for (int i = thread; i < n; i += static_cast<int>(blockDim.x)) sum += in[row * n + i];
    for (int distance = 16; distance > 0; distance /= 2) {
      sum += __shfl_xor_sync(kAllLanes, sum, distance);
    }
    if (lane == 0) parts[warp] = sum;
    __syncthreads();  // parts are there
    if (warp == 0) {
      float part = lane < warps ? parts[lane] : 0.0f;
      for (int distance = 4; distance > 0; distance /= 2) {
        part += __shfl_down_sync(kAllLanes, part, static_cast<unsigned>(distance));
      }
      if (lane == 0) total[0] = part + above;
    }
    __syncthreads();  // the total is there, and parts may be written again
    above = total[0];
    if (thread == 0) sums[row] = above;
  }
}

constexpr int kDepth = 64, kPitch = kDepth + 8;

// d [16, 8] = a [16, kDepth] b^T [8, kDepth], bfloat16: two warps, each half of the depth.
static __global__ void multiply(const uint16_t* a, const uint16_t* b, float* d) {
  SharedMemory memory;
  uint16_t* rows = memory.take<uint16_t>(16 * kPitch);
  float* parts = memory.take<float>(2 * 16 * 8);
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int g = lane / 4, t = lane % 4;
  for (int i = thread; i < 16 * kDepth / 8; i += kThreads) {
    const int row = i / (kDepth / 8), chunk = i % (kDepth / 8);
    ptx::cp_async16(rows + row * kPitch + 8 * chunk, a + row * kDepth + 8 * chunk);
  }
  ptx::cp_async_commit();
  ptx::cp_async_wait<0>();
  __syncthreads();
  float sum[4] = {};
  for (int k = warp * kDepth / 2; k < (warp + 1) * kDepth / 2; k += 16) {
    uint32_t fa[4], fb[2];
    ptx::ldmatrix_x4(fa, rows + lane % 16 * kPitch + k + lane / 16 * 8);
    for (int r = 0; r < 2; ++r) {
      const uint16_t* pair = b + g * kDepth + k + 2 * t + 8 * r;
      fb[r] = static_cast<uint32_t>(pair[0]) | static_cast<uint32_t>(pair[1]) << 16;
    }
    ptx::mma_bf16(sum, fa, fb);
  }
  float* part = parts + warp * 16 * 8;
  for (int r = 0; r < 4; ++r) part[(g + 8 * (r / 2)) * 8 + 2 * t + r % 2] = sum[r];
  __syncthreads();  // both parts are there
  for (int i = thread; i < 16 * 8; i += kThreads) d[i] = parts[i] + parts[16 * 8 + i];
}

// Each warp turns tiles [8, 32] of its own by hand, through shared memory: out [warps, 32, 8].
static __global__ void turn_tiles(const uint32_t* in, uint32_t* out) {
  GF_SHARED(uint32_t, tiles, [kThreads / 32][8][32]);
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  for (unsigned row = 0; row < 8; ++row) tiles[warp][row][lane] = in[(warp * 8 + row) * 32 + lane];
  __syncwarp(kAllLanes);
  for (unsigned i = 0; i < 8; ++i) {
    const unsigned place = i * 32 + lane;  // of out: column place / 8, row place % 8
    out[warp * 256 + place] = tiles[warp][place % 8][place / 8];
  }
}

// ---------------------------------------------------------------- clusters

// Every step each value becomes itself plus the one before it, around the ring of the cluster's
// blocks; each block holds blockDim.x of them, and reads the last one of the block before it where
// it lies. values [gridDim.x, blockDim.x].
static __global__ void add_ring(uint32_t* values, int steps) {
  SharedMemory memory;
  const unsigned n = blockDim.x, thread = threadIdx.x;
  uint32_t* buffers[2];
  for (uint32_t*& buffer : buffers) buffer = memory.take<uint32_t>(n);
  const unsigned rank = ptx::cluster_rank(), size = ptx::cluster_size();
  const unsigned before = (rank + size - 1) % size;
  buffers[0][thread] = values[blockIdx.x * n + thread];
  ptx::cluster_arrive();
  ptx::cluster_wait();
  for (int step = 0; step < steps; ++step) {
    const uint32_t* current = buffers[step % 2];
    const uint32_t left =
        thread == 0 ? ptx::cluster_map(buffers[step % 2], before)[n - 1] : current[thread - 1];
    buffers[(step + 1) % 2][thread] = current[thread] + left;
    ptx::cluster_arrive();
    ptx::cluster_wait();
  }
  values[blockIdx.x * n + thread] = buffers[steps % 2][thread];
}

// Every step replaces each of the cluster's values by a mixture of two of them; blocks send their
// own new ones to all. values [gridDim.x / size, size * kThreads].
//
// Two buffers are enough: a block sends the values of step s + 1 only after all those of step s
// have come, and every block sent its own of step s after it had read those of step s - 1, which
// lie where step s + 1 goes. For that each thread's reads must be ordered before a send of its
// block: the
// __syncwarp before the sends sees to the lanes that send nothing.
static __global__ void mix_all(uint32_t* values, int steps) {
  SharedMemory memory;
  const unsigned rank = ptx::cluster_rank(), size = ptx::cluster_size();
  const unsigned n = size * kThreads, thread = threadIdx.x, lane = thread % 32, quad = thread % 4;
  uint32_t* buffers[2];
  for (uint32_t*& buffer : buffers) buffer = memory.take<uint32_t>(n);
  uint64_t* arrived = memory.take<uint64_t>(2);
  uint32_t* mine = values + blockIdx.x / size * n;
  for (unsigned i = thread; i < n; i += kThreads) buffers[0][i] = mine[i];
  if (thread == 0) {
    for (int i = 0; i < 2; ++i) ptx::mbarrier_init(&arrived[i], 1);
    ptx::fence_mbarrier_init();
  }
  ptx::cluster_arrive();
  ptx::cluster_wait();
  const unsigned place = rank * kThreads + thread;
  for (int step = 0; step < steps; ++step) {
    const int now = step % 2, next = (step + 1) % 2;
    if (step > 0) {
      const unsigned parity = static_cast<unsigned>((step - 1) / 2) & 1;
      while (!ptx::mbarrier_try_wait(&arrived[now], parity)) {
      }
    }
    if (thread == 0) ptx::mbarrier_arrive_expect_tx(&arrived[next], 4 * n);
    const uint32_t value =
        3 * buffers[now][(5 * place + 1) % n] + buffers[now][(place + n / 2) % n] + 1;
    uint32_t four[4];
    for (unsigned i = 0; i < 4; ++i) {
      four[i] = __shfl_sync(kAllLanes, value, static_cast<int>(lane - quad + i));
    }
    __syncwarp(kAllLanes);
    uint32_t* destination = buffers[next] + place - quad;
    for (unsigned to = quad; to < size; to += 4) {
      ptx::st_async_v4(ptx::remote_address(destination, to), four,
                       ptx::remote_address(&arrived[next], to));
    }
  }
  const int last = steps % 2;
  while (!ptx::mbarrier_try_wait(&arrived[last], static_cast<unsigned>((steps - 1) / 2) & 1)) {
  }
  mine[place] = buffers[last][place];
  // Nothing is sent to a block that has ended.
  ptx::cluster_arrive();
  ptx::cluster_wait();
}

}  // namespace gatefuse::exercises
