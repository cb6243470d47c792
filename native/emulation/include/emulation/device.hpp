// SPDX-License-Identifier: Apache-2.0
//
// What the emulated bodies in cuda/ptx.cuh and cuda_runtime.h call: the part of the emulation that
// a kernel's thread sees. Kernels themselves do not include it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <source_location>

struct uint4;

namespace gatefuse::emulation {

using Where = std::source_location;

// The thread that runs now, as far as inline code needs it.
struct ThreadPlace {
  unsigned lane = 0;
  unsigned cluster_rank = 0;
  unsigned cluster_size = 1;
};
extern ThreadPlace* current_place;

inline unsigned cluster_rank() { return current_place->cluster_rank; }
inline unsigned cluster_size() { return current_place->cluster_size; }

// 10 major + minor.
int device_capability();

// ---- barriers of a block and a cluster
enum class Reduction { none, count, any, all };
int block_barrier(Reduction reduction, int value, Where where);
void cluster_arrive(Where where);
void cluster_wait(Where where);

// ---- warp collectives; the last lane that arrives does the work for all
enum class Shuffle { index, up, down, exclusive_or };
void warp_barrier(unsigned mask, Where where);
uint64_t shuffle(unsigned mask, uint64_t value, Shuffle kind, int lane, int width, Where where);
unsigned ballot(unsigned mask, bool predicate, Where where);
void mma_bf16(float* d, const uint32_t* a, const uint32_t* b, Where where);
void mma_f16(float* d, const uint32_t* a, const uint32_t* b, Where where);
void mma_f16_k8(float* d, const uint32_t* a, uint32_t b, Where where);
void mma_tf32(float* d, const uint32_t* a, const uint32_t* b, Where where);

// A lane reads the row that it names itself, in code that the sanitizers see.
struct MatrixRow {
  uint32_t words[4];
};
void check_matrix_row(const void* row, Where where);
inline MatrixRow matrix_row(const void* row, Where where) {
  check_matrix_row(row, where);
  const uint32_t* words = static_cast<const uint32_t*>(row);
  return {{words[0], words[1], words[2], words[3]}};
}
void ldmatrix(uint32_t* r, const MatrixRow& row, bool transposed, Where where);
uint32_t movmatrix(uint32_t value, Where where);

// ---- shared memory
void* dynamic_shared(size_t offset, size_t bytes, Where where);
void* static_shared(const void* key, size_t bytes, size_t alignment,
                    Where where = Where::current());
void* cluster_map(const void* shared, unsigned rank, Where where);
uint32_t remote_address(const void* shared, unsigned rank, Where where);

// ---- copies into shared memory
struct AsyncCopy {
  void* shared;
  const void* global;
};
void check_async_copy(const void* shared, const void* global, Where where);
bool async_copy_is_early();
void queue_async_copy(void* shared, const void* global, bool done, Where where);
void commit_async_copies();
// The next copy that must be done before at most `groups` groups are left.
bool next_async_copy(int groups, AsyncCopy* copy);
inline void copy16(void* shared, const void* global) {
  const uint32_t* from = static_cast<const uint32_t*>(global);
  uint32_t* to = static_cast<uint32_t*>(shared);
  for (int i = 0; i < 4; ++i) to[i] = from[i];
}

// ---- between blocks, and time
void release_point(const void* address, Where where);
void poll(const void* address, Where where);
void sleep(Where where);
uint64_t virtual_nanoseconds(Where where);

// ---- mbarrier and st.async
void check_mbarrier_place(const uint64_t* barrier, Where where);
void mbarrier_init(uint64_t* barrier, unsigned count, Where where);
void fence_mbarrier_init(Where where);
void mbarrier_arrive(uint64_t* barrier, unsigned bytes, Where where);
bool mbarrier_try_wait(const uint64_t* barrier, unsigned parity, Where where);
void st_async(uint32_t destination, const void* value, unsigned bytes, uint32_t barrier,
              Where where);
// An access that ThreadSanitizer sees and that gives no order.
inline void touch_mbarrier(const uint64_t* barrier) {
  (void)__atomic_load_n(barrier, __ATOMIC_RELAXED);
}

// Ends the launch with a sentence. Does not return.
[[noreturn]] void fail(Where where, const char* format, ...) __attribute__((format(printf, 2, 3)));

// ---- launches, for cudaLaunchKernelEx
struct Launch {
  const void* function = nullptr;
  unsigned grid[3] = {1, 1, 1};
  unsigned block[3] = {1, 1, 1};
  unsigned cluster[3] = {1, 1, 1};
  bool has_cluster = false;
  bool cooperative = false;
  size_t dynamic_shared = 0;
  std::function<void()> body;  // what one thread runs
};

}  // namespace gatefuse::emulation
