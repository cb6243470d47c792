// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "error.hpp"

namespace gatefuse::cuda {

// Turns an error of the CUDA runtime into an Error: the one place that does. `what` is the
// sentence's subject. Errors that end the process's context are GF_CONTEXT_LOST.
void check(cudaError_t error, const char* what);

// While it lives, the calling thread's device is this one.
class UseDevice {
 public:
  explicit UseDevice(int device);
  // For what has to end even when the device is lost.
  UseDevice(int device, std::nothrow_t) noexcept;
  ~UseDevice();
  UseDevice(const UseDevice&) = delete;
  UseDevice& operator=(const UseDevice&) = delete;

 private:
  int before_ = 0;
};

// What tier choice and reports ask of a device.
struct DeviceFacts {
  int index = 0;
  std::string name;
  int capability = 0;  // 10 * major + minor
  // What the kernels are compiled for: less than the capability where the device runs them from PTX
  // of an older one, which lacks what that one lacks.
  int kernels = 0;
  int multiprocessors = 0;
  int64_t shared_per_block = 0;  // what a kernel may opt into
  int64_t memory = 0;

  static DeviceFacts of(int device);
  // The second half of a sentence on what is needed: what there is.
  std::string has_text() const;
};

// A compute capability in sentences, such as "7.5".
std::string capability_text(int capability);

// How many devices there are that the kernels run on. The reason is the sentence for none: what was
// found and what is needed.
int usable_devices(std::string* reason);

// So many bytes of the current device's memory, filled with zeros on the stream. The owner ends
// them with cudaFree.
void* allocate_zeros(cudaStream_t stream, const char* what, int64_t size);

// Blocks of device memory that live as long as their owner, filled with zeros on the stream.
class DeviceArena {
 public:
  // A measuring arena only counts: what it gives is no address.
  explicit DeviceArena(bool measuring = false) : measuring_(measuring) {}
  DeviceArena(const DeviceArena&) = delete;
  DeviceArena& operator=(const DeviceArena&) = delete;
  ~DeviceArena();

  // An array of a * b * c elements, aligned to 256 bytes; at least one.
  template <class T>
  T* take(cudaStream_t stream, const char* what, int64_t a, int64_t b = 1, int64_t c = 1) {
    int64_t count = 0;
    int64_t size = 0;
    if (__builtin_mul_overflow(a, b, &count) || __builtin_mul_overflow(count, c, &count) ||
        __builtin_mul_overflow(count, static_cast<int64_t>(sizeof(T)), &size) || size > kMost) {
      throw Error(GF_OUT_OF_MEMORY,
                  "%s: %lld x %lld x %lld values of %zu bytes are more than an address space", what,
                  static_cast<long long>(a), static_cast<long long>(b), static_cast<long long>(c),
                  sizeof(T));
    }
    return static_cast<T*>(block(stream, what, size > 0 ? size : 1));
  }

  int64_t bytes() const { return bytes_; }

 private:
  static constexpr int64_t kMost = int64_t{1} << 46;

  void* block(cudaStream_t stream, const char* what, int64_t size);

  bool measuring_;
  std::vector<void*> blocks_;
  int64_t bytes_ = 0;
};

// A stream of one's own, which does not wait for the legacy default stream.
class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// An event that does not measure time.
class Event {
 public:
  Event() { check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace gatefuse::cuda
