// SPDX-License-Identifier: Apache-2.0
//
// What the benchmark needs of CUDA's runtime, the same on a GPU and in the emulation.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace gatefuse::benchmark {

// Something that cannot be measured, and why.
struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  cudaGetLastError();
  throw Failure(std::string(what) + ": " + cudaGetErrorName(error) + " (" +
                cudaGetErrorString(error) + ")");
}

// Device memory, zeroed.
class Memory {
 public:
  Memory() = default;
  explicit Memory(int64_t bytes) {
    check(cudaMalloc(&data_, static_cast<size_t>(bytes > 0 ? bytes : 1)), "device memory");
    if (bytes > 0) check(cudaMemsetAsync(data_, 0, static_cast<size_t>(bytes)), "device memory");
    check(cudaStreamSynchronize(nullptr), "device memory");
  }
  Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    return *this;
  }
  ~Memory() { cudaFree(data_); }

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
};

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream"); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }
  void synchronize() const { check(cudaStreamSynchronize(stream_), "stream"); }

 private:
  cudaStream_t stream_ = nullptr;
};

// An event that measures time.
class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }
  void record(cudaStream_t stream) const { check(cudaEventRecord(event_, stream), "event"); }
  // Milliseconds, once this event has been reached.
  double since(const Event& start) const {
    check(cudaEventSynchronize(event_), "event");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start.event_, event_), "event");
    return milliseconds;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace gatefuse::benchmark
