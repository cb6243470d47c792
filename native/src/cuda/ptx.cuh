// SPDX-License-Identifier: Apache-2.0
//
// Every PTX instruction that the kernels use, one function each, and nothing else holds any: a
// kernel that includes this file runs on a GPU and, compiled by a C++ compiler, in the emulation
// (docs/emulation.md). Each function has a device body and a call into the emulation.
//
// What an older architecture lacks is made of others where that is cheap, as sm_75's m16n8k16 and
// cp.async. Else the instruction stops the kernel there (__trap); the host chooses kernels by the
// device's capability and never gets that far.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define GF_DEVICE __device__ __forceinline__
#define GF_HOST_DEVICE __host__ __device__ __forceinline__
#define GF_WHERE
#define GF_AND_WHERE
#else
#include "emulation/device.hpp"
#define GF_DEVICE inline
#define GF_HOST_DEVICE inline
// The place of the call in the kernel, for the emulation's sentences.
#define GF_WHERE std::source_location where = std::source_location::current()
#define GF_AND_WHERE , GF_WHERE
#endif

// A static shared array: GF_SHARED(float, tile, [16][33]). Used instead of __shared__, so that the
// emulation can put red zones around it.
#if defined(__CUDACC__)
#define GF_SHARED(type, name, ...) __shared__ type name __VA_ARGS__
#else
#define GF_SHARED(type, name, ...)                                                       \
  static char name##_key;                                                                \
  using name##_array = type __VA_ARGS__;                                                 \
  name##_array& name = *static_cast<name##_array*>(::gatefuse::emulation::static_shared( \
      &name##_key, sizeof(name##_array), alignof(name##_array)))
#endif

#if defined(__CUDA_ARCH__)
#define GF_PTX_ARCH __CUDA_ARCH__
#else
#define GF_PTX_ARCH 0
#endif

namespace gatefuse::ptx {

// The compute capability of the device that this is compiled for. The host's code and the emulation
// are for every device.
#if defined(__CUDA_ARCH__)
constexpr int kCapability = __CUDA_ARCH__ / 10;
#else
constexpr int kCapability = 1000;
#endif
constexpr bool kClusters = kCapability >= 90;

// ---------------------------------------------------------------- dynamic shared memory

// What one array takes of the dynamic shared memory. The sum over all arrays, in this unit, is what
// the launch asks for.
GF_HOST_DEVICE constexpr size_t shared_bytes(size_t bytes) { return (bytes + 127) / 128 * 128; }

// Hands out the block's dynamic shared memory, one array after another. Every thread takes the same
// arrays in the same order.
class SharedMemory {
 public:
  template <class T>
  GF_DEVICE T* take(size_t count GF_AND_WHERE) {
    const size_t offset = used_;
    used_ += shared_bytes(count * sizeof(T));
#if defined(__CUDACC__)
    extern __shared__ __align__(128) unsigned char gatefuse_dynamic_shared[];
    return reinterpret_cast<T*>(gatefuse_dynamic_shared + offset);
#else
    return static_cast<T*>(emulation::dynamic_shared(offset, count * sizeof(T), where));
#endif
  }

 private:
  size_t used_ = 0;
};

// ---------------------------------------------------------------- number formats

namespace detail {

GF_HOST_DEVICE uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

GF_HOST_DEVICE float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

GF_HOST_DEVICE bool is_nan(uint32_t bits) { return (bits & 0x7fffffffu) > 0x7f800000u; }

// Adds half a unit of the last kept place, or a little less where that place is even, and lets the
// carry run.
GF_HOST_DEVICE uint16_t bf16_by_bits(float value) {
  const uint32_t bits = bits_of(value);
  if (is_nan(bits)) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

GF_HOST_DEVICE uint16_t f16_by_bits(float value) {
  const uint32_t bits = bits_of(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t size = bits & 0x7fffffffu;
  if (is_nan(bits)) return 0x7fff;
  uint32_t rounded;
  if (size < 0x38800000u) {
    // Below 2^-14, where the result is a multiple of 2^-24: the last place of 0.5 is the same.
    rounded = bits_of(float_of(size) + 0.5f) - bits_of(0.5f);
  } else {
    rounded = ((size + 0xfffu + (size >> 13 & 1u)) >> 13) - (112u << 10);
    if (rounded > 0x7c00u) rounded = 0x7c00u;
  }
  return static_cast<uint16_t>(sign | rounded);
}

GF_HOST_DEVICE float f16_to_float_by_bits(uint16_t half) {
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t exponent = half >> 10 & 31u;
  const uint32_t fraction = half & 1023u;
  if (exponent == 31) return float_of(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return float_of(sign | (exponent + 112u) << 23 | fraction << 13);
  return float_of(sign | bits_of(static_cast<float>(fraction) * 0x1p-24f));
}

GF_HOST_DEVICE uint32_t tf32_by_bits(float value) {
  const uint32_t bits = bits_of(value);
  if (is_nan(bits)) return 0x7fffffffu;
  return (bits + 0x1000u) & 0xffffe000u;
}

}  // namespace detail

// To the nearest bfloat16, ties to even. Works on the host too, as all conversions here.
GF_HOST_DEVICE uint16_t to_bf16(float value) {
#if GF_PTX_ARCH >= 800
  uint16_t result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(value));
  return result;
#else
  return detail::bf16_by_bits(value);
#endif
}

GF_HOST_DEVICE float from_bf16(uint16_t value) {
  return detail::float_of(static_cast<uint32_t>(value) << 16);
}

// To the nearest half-precision number, ties to even; infinity from 65520 on.
GF_HOST_DEVICE uint16_t to_f16(float value) {
#if GF_PTX_ARCH > 0
  uint16_t result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(value));
  return result;
#else
  return detail::f16_by_bits(value);
#endif
}

GF_HOST_DEVICE float from_f16(uint16_t value) {
#if GF_PTX_ARCH > 0
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value));
  return result;
#else
  return detail::f16_to_float_by_bits(value);
#endif
}

// To the nearest TF32, ties away from zero: a float whose last 13 bits are 0.
GF_HOST_DEVICE uint32_t to_tf32(float value) {
#if GF_PTX_ARCH >= 800
  uint32_t result;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(value));
  return result;
#else
  return detail::tf32_by_bits(value);
#endif
}

// ---------------------------------------------------------------- matrix products of a warp

// d [16, 8] += a [16, 16] b [16, 8]. With g = lane / 4 and t = lane % 4, a lane holds
//   a[0], a[1], a[2], a[3]  rows g, g+8, g, g+8, columns 2t and 2t+1, the last two 8 further
//   b[0], b[1]              rows 2t and 2t+1, the second 8 further, column g
//   d[0..1], d[2..3]        row g, row g+8, columns 2t and 2t+1
// the value of the lower index in the lower half of a register. All 32 lanes take part.
GF_DEVICE void mma_bf16(float (&d)[4], const uint32_t (&a)[4],
                        const uint32_t (&b)[2] GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::mma_bf16(d, a, b, where);
#elif GF_PTX_ARCH >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

// d [16, 8] += a [16, 8] b [8, 8] in half precision: a[0] and a[1] are rows g and g+8,
// columns 2t and 2t+1; b rows 2t and 2t+1, column g.
GF_DEVICE void mma_f16_k8(float (&d)[4], const uint32_t (&a)[2], uint32_t b GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::mma_f16_k8(d, a, b, where);
#else
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(b));
#endif
}

// mma_bf16's product for half precision. sm_75 has only half of it at once, the lower k first.
GF_DEVICE void mma_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] GF_AND_WHERE) {
#if GF_PTX_ARCH >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#if !defined(__CUDACC__)
  if (emulation::device_capability() >= 80) return emulation::mma_f16(d, a, b, where);
#endif
  const uint32_t low[2] = {a[0], a[1]};
  const uint32_t high[2] = {a[2], a[3]};
  mma_f16_k8(d, low, b[0]);
  mma_f16_k8(d, high, b[1]);
#endif
}

// d [16, 8] += a [16, 8] b [8, 8] in TF32: a[0..3] are rows g, g+8, g, g+8, column t, the last two
// column t+4; b[0] and b[1] are rows t and t+4, column g.
GF_DEVICE void mma_tf32(float (&d)[4], const uint32_t (&a)[4],
                        const uint32_t (&b)[2] GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::mma_tf32(d, a, b, where);
#elif GF_PTX_ARCH >= 800
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}

#if defined(__CUDACC__)
namespace detail {
GF_DEVICE uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}
}  // namespace detail
#endif

// Loads four 8x8 tiles of 16-bit values from shared memory. Lane 8 i + j gives the address of row j
// of tile i, 16 aligned bytes; r[i] is row lane / 4, columns 2 (lane % 4) and the next, of tile i.
GF_DEVICE void ldmatrix_x4(uint32_t (&r)[4], const void* row GF_AND_WHERE) {
#if defined(__CUDACC__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(detail::shared_address(row))
               : "memory");
#else
  emulation::ldmatrix(r, emulation::matrix_row(row, where), false, where);
#endif
}

// The same with every tile transposed.
GF_DEVICE void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row GF_AND_WHERE) {
#if defined(__CUDACC__)
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(detail::shared_address(row))
               : "memory");
#else
  emulation::ldmatrix(r, emulation::matrix_row(row, where), true, where);
#endif
}

// Transposes an 8x8 tile of 16-bit values that the warp holds as ldmatrix leaves it.
GF_DEVICE uint32_t movmatrix_trans(uint32_t value GF_AND_WHERE) {
#if defined(__CUDACC__)
  uint32_t result;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(result) : "r"(value));
  return result;
#else
  return emulation::movmatrix(value, where);
#endif
}

// ---------------------------------------------------------------- loads past the first-level cache

// An ordinary load that leaves the first-level cache alone: for data that another block has
// written, after the acquire that orders it.
GF_DEVICE float ld_global_cg(const float* address) {
#if defined(__CUDACC__)
  float value;
  asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(value) : "l"(address) : "memory");
  return value;
#else
  return *address;
#endif
}

GF_DEVICE uint4 ld_global_cg(const uint4* address) {
#if defined(__CUDACC__)
  uint4 value;
  asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "l"(address)
               : "memory");
  return value;
#else
  return *address;
#endif
}

// ---------------------------------------------------------------- copies into shared memory

// Starts a copy of 16 aligned bytes; it may be done at once or as late as the wait. sm_75 copies at
// once.
GF_DEVICE void cp_async16(void* shared, const void* global GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::check_async_copy(shared, global, where);
  const bool early = emulation::async_copy_is_early();
  if (early) emulation::copy16(shared, global);
  emulation::queue_async_copy(shared, global, early, where);
#elif GF_PTX_ARCH >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(detail::shared_address(shared)),
               "l"(global)
               : "memory");
#else
  *static_cast<uint4*>(shared) = ld_global_cg(static_cast<const uint4*>(global));
#endif
}

// Closes a group of the copies started since the last one.
GF_DEVICE void cp_async_commit() {
#if !defined(__CUDACC__)
  emulation::commit_async_copies();
#elif GF_PTX_ARCH >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most N of this thread's groups are not done. Other threads see the copies only
// after a barrier.
template <int N>
GF_DEVICE void cp_async_wait() {
#if !defined(__CUDACC__)
  emulation::AsyncCopy copy;
  while (emulation::next_async_copy(N, &copy)) emulation::copy16(copy.shared, copy.global);
#elif GF_PTX_ARCH >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

// ---------------------------------------------------------------- between the blocks of a grid

// Adds, after all that this thread has seen or written (release at the scope of the GPU).
GF_DEVICE void red_add_release(unsigned* address, unsigned value GF_AND_WHERE) {
#if defined(__CUDACC__)
  asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
#else
  emulation::release_point(address, where);
  __atomic_fetch_add(address, value, __ATOMIC_RELEASE);
#endif
}

// *address = min(*address, value), in no order with anything else.
GF_DEVICE void red_min(unsigned long long* address, unsigned long long value GF_AND_WHERE) {
#if defined(__CUDACC__)
  asm volatile("red.relaxed.gpu.global.min.u64 [%0], %1;" ::"l"(address), "l"(value) : "memory");
#else
  emulation::release_point(address, where);
  unsigned long long before = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (value < before && !__atomic_compare_exchange_n(address, &before, value, true,
                                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
#endif
}

// Loads, before all that this thread does next. The only load that may be polled.
GF_DEVICE unsigned ld_acquire(const unsigned* address GF_AND_WHERE) {
#if defined(__CUDACC__)
  unsigned value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
  return value;
#else
  emulation::poll(address, where);
  return __atomic_load_n(address, __ATOMIC_ACQUIRE);
#endif
}

GF_DEVICE void st_release(unsigned* address, unsigned value GF_AND_WHERE) {
#if defined(__CUDACC__)
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
#else
  emulation::release_point(address, where);
  __atomic_store_n(address, value, __ATOMIC_RELEASE);
#endif
}

// A clock for time-outs, the same for all blocks. Emulated, it advances as threads are switched and
// leaps when all that is left to do is polling.
GF_DEVICE uint64_t global_nanoseconds(GF_WHERE) {
#if defined(__CUDACC__)
  uint64_t value;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(value));
  return value;
#else
  return emulation::virtual_nanoseconds(where);
#endif
}

GF_DEVICE void nanosleep([[maybe_unused]] unsigned nanoseconds GF_AND_WHERE) {
#if defined(__CUDACC__)
  asm volatile("nanosleep.u32 %0;" ::"r"(nanoseconds));
#else
  emulation::sleep(where);
#endif
}

// ---------------------------------------------------------------- clusters (sm_90 and later)

GF_DEVICE unsigned cluster_rank() {
#if !defined(__CUDACC__)
  return emulation::cluster_rank();
#elif GF_PTX_ARCH >= 900
  unsigned value;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(value));
  return value;
#else
  return 0;
#endif
}

GF_DEVICE unsigned cluster_size() {
#if !defined(__CUDACC__)
  return emulation::cluster_size();
#elif GF_PTX_ARCH >= 900
  unsigned value;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(value));
  return value;
#else
  return 1;
#endif
}

// Every thread of the cluster arrives and then waits; what was written before an arrival is seen
// after the wait.
GF_DEVICE void cluster_arrive(GF_WHERE) {
#if !defined(__CUDACC__)
  emulation::cluster_arrive(where);
#elif GF_PTX_ARCH >= 900
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#else
  __trap();
#endif
}

GF_DEVICE void cluster_wait(GF_WHERE) {
#if !defined(__CUDACC__)
  emulation::cluster_wait(where);
#elif GF_PTX_ARCH >= 900
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
  __trap();
#endif
}

// The same place in the shared memory of the cluster's block `rank`, to read and write as usual.
// Wants a cluster barrier before the first and after the last access.
template <class T>
GF_DEVICE T* cluster_map(T* shared, [[maybe_unused]] unsigned rank GF_AND_WHERE) {
#if !defined(__CUDACC__)
  return static_cast<T*>(emulation::cluster_map(shared, rank, where));
#elif GF_PTX_ARCH >= 900
  T* mapped;
  asm volatile("mapa.u64 %0, %1, %2;" : "=l"(mapped) : "l"(shared), "r"(rank));
  return mapped;
#else
  return shared;
#endif
}

// An address in the cluster's window on shared memory; only st_async takes it.
struct RemoteAddress {
  uint32_t value;
};

GF_DEVICE RemoteAddress remote_address([[maybe_unused]] const void* shared,
                                       [[maybe_unused]] unsigned rank GF_AND_WHERE) {
#if !defined(__CUDACC__)
  return {emulation::remote_address(shared, rank, where)};
#elif GF_PTX_ARCH >= 900
  uint32_t value;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"
               : "=r"(value)
               : "r"(detail::shared_address(shared)), "r"(rank));
  return {value};
#else
  return {0};
#endif
}

// ---------------------------------------------------------------- mbarrier and st.async (sm_90)

// A phase is complete when `count` arrivals have come and all expected bytes.
GF_DEVICE void mbarrier_init([[maybe_unused]] uint64_t* barrier,
                             [[maybe_unused]] unsigned count GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::check_mbarrier_place(barrier, where);
  *barrier = 0;  // an ordinary write: who uses the barrier without being ordered after it races
  emulation::mbarrier_init(barrier, count, where);
#elif GF_PTX_ARCH >= 900
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(detail::shared_address(barrier)),
               "r"(count)
               : "memory");
#else
  __trap();
#endif
}

// By the thread that initialised, before the cluster barrier that tells the others.
GF_DEVICE void fence_mbarrier_init(GF_WHERE) {
#if !defined(__CUDACC__)
  emulation::fence_mbarrier_init(where);
#elif GF_PTX_ARCH >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#else
  __trap();
#endif
}

// Arrives and lets the phase expect so many bytes more.
GF_DEVICE void mbarrier_arrive_expect_tx([[maybe_unused]] uint64_t* barrier,
                                         [[maybe_unused]] unsigned bytes GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::touch_mbarrier(barrier);
  emulation::mbarrier_arrive(barrier, bytes, where);
#elif GF_PTX_ARCH >= 900
  asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(
                   detail::shared_address(barrier)),
               "r"(bytes)
               : "memory");
#else
  __trap();
#endif
}

GF_DEVICE void mbarrier_arrive([[maybe_unused]] uint64_t* barrier GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::touch_mbarrier(barrier);
  emulation::mbarrier_arrive(barrier, 0, where);
#elif GF_PTX_ARCH >= 900
  asm volatile(
      "mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(detail::shared_address(barrier))
      : "memory");
#else
  __trap();
#endif
}

// Whether the phase of this parity (0 for the first one) is complete; it may say no too early, so
// it is called in a loop. What was sent in the phase is seen after a yes.
GF_DEVICE bool mbarrier_try_wait([[maybe_unused]] const uint64_t* barrier,
                                 [[maybe_unused]] unsigned parity GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::touch_mbarrier(barrier);
  return emulation::mbarrier_try_wait(barrier, parity, where);
#elif GF_PTX_ARCH >= 900
  uint32_t complete;
  asm volatile(
      "{\n"
      "  .reg .pred complete;\n"
      "  mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 complete, [%1], %2;\n"
      "  selp.u32 %0, 1, 0, complete;\n"
      "}"
      : "=r"(complete)
      : "r"(detail::shared_address(barrier)), "r"(parity)
      : "memory");
  return complete != 0;
#else
  __trap();
  return false;
#endif
}

// Sends a value into a block of the cluster and counts its bytes on that block's barrier when it
// has arrived there.
GF_DEVICE void st_async_b32([[maybe_unused]] RemoteAddress destination,
                            [[maybe_unused]] uint32_t value,
                            [[maybe_unused]] RemoteAddress barrier GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::st_async(destination.value, &value, sizeof value, barrier.value, where);
#elif GF_PTX_ARCH >= 900
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [%0], %1, [%2];" ::"r"(
                   destination.value),
               "r"(value), "r"(barrier.value)
               : "memory");
#else
  __trap();
#endif
}

GF_DEVICE void st_async_b64([[maybe_unused]] RemoteAddress destination,
                            [[maybe_unused]] uint64_t value,
                            [[maybe_unused]] RemoteAddress barrier GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::st_async(destination.value, &value, sizeof value, barrier.value, where);
#elif GF_PTX_ARCH >= 900
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.b64 [%0], %1, [%2];" ::"r"(
                   destination.value),
               "l"(value), "r"(barrier.value)
               : "memory");
#else
  __trap();
#endif
}

GF_DEVICE void st_async_v4([[maybe_unused]] RemoteAddress destination,
                           [[maybe_unused]] const uint32_t (&value)[4],
                           [[maybe_unused]] RemoteAddress barrier GF_AND_WHERE) {
#if !defined(__CUDACC__)
  emulation::st_async(destination.value, value, sizeof value, barrier.value, where);
#elif GF_PTX_ARCH >= 900
  asm volatile(
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.b32 [%0], {%1, %2, %3, %4}, "
      "[%5];" ::"r"(destination.value),
      "r"(value[0]), "r"(value[1]), "r"(value[2]), "r"(value[3]), "r"(barrier.value)
      : "memory");
#else
  __trap();
#endif
}

}  // namespace gatefuse::ptx
