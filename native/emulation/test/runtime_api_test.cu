// SPDX-License-Identifier: Apache-2.0
//
// The emulated runtime API behaves as CUDA's, at its most inconvenient.
#include "cuda/ptx.cuh"

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "device.hpp"
#include "emulation.hpp"
#include "support.hpp"

namespace gatefuse {
namespace {

using emulation::Mode;
using test::DeviceArray;
using test::launch;
using test::Shape;

__global__ void add(float* values, float amount) {
  values[blockIdx.x * blockDim.x + threadIdx.x] += amount;
}

__global__ void crash(float*, float) { __trap(); }

struct Stream {
  explicit Stream(unsigned flags = cudaStreamNonBlocking) {
    CHECK_EQ(cudaStreamCreateWithFlags(&handle, flags), cudaSuccess);
  }
  ~Stream() { cudaStreamDestroy(handle); }
  Stream(const Stream&) = delete;
  cudaStream_t handle = nullptr;
};

struct Event {
  Event() { CHECK_EQ(cudaEventCreateWithFlags(&handle, cudaEventDisableTiming), cudaSuccess); }
  ~Event() { cudaEventDestroy(handle); }
  Event(const Event&) = delete;
  cudaEvent_t handle = nullptr;
};

template <class T>
struct Pinned {
  explicit Pinned(size_t count) { CHECK_EQ(cudaMallocHost(&data, count * sizeof(T)), cudaSuccess); }
  ~Pinned() { cudaFreeHost(data); }
  Pinned(const Pinned&) = delete;
  T* data = nullptr;
};

constexpr size_t kBytes = 32 * sizeof(float);

cudaError_t add_on(cudaStream_t stream, float* values, float amount) {
  cudaLaunchConfig_t configuration = {};
  configuration.gridDim = dim3(1);
  configuration.blockDim = dim3(32);
  configuration.stream = stream;
  return cudaLaunchKernelEx(&configuration, add, values, amount);
}

// Work runs in the order of its stream, and as late as it may.
void check_laziness() {
  emulation::set_mode(Mode::random_thread);
  Stream stream;
  DeviceArray<float> values(32);
  Pinned<float> host(32);
  host.data[3] = 1.0f;
  CHECK_EQ(cudaMemcpyAsync(values.get(), host.data, kBytes, cudaMemcpyHostToDevice, stream.handle),
           cudaSuccess);
  CHECK_EQ(add_on(stream.handle, values.get(), 2.0f), cudaSuccess);
  CHECK_EQ(cudaStreamQuery(stream.handle) == cudaErrorInvalidValue, false);
  host.data[3] = 10.0f;  // too early: the copy sees it, or not
  Pinned<float> back(32);
  back.data[3] = -1.0f;
  CHECK_EQ(cudaMemcpyAsync(back.data, values.get(), kBytes, cudaMemcpyDeviceToHost, stream.handle),
           cudaSuccess);
  CHECK_EQ(back.data[3], -1.0f);  // not waited for
  CHECK_EQ(cudaStreamSynchronize(stream.handle), cudaSuccess);
  CHECK(back.data[3] == 12.0f || back.data[3] == 3.0f);
  CHECK_EQ(cudaStreamQuery(stream.handle), cudaSuccess);
}

// Memory that is not pinned is read at once, and written before the call returns.
void check_pageable() {
  emulation::set_mode(Mode::random_thread);
  Stream stream;
  DeviceArray<float> values(32);
  std::vector<float> host(32, 5.0f), back(32, 0.0f);
  cudaMemcpyAsync(values.get(), host.data(), kBytes, cudaMemcpyHostToDevice, stream.handle);
  std::fill(host.begin(), host.end(), 99.0f);
  cudaMemcpyAsync(back.data(), values.get(), kBytes, cudaMemcpyDeviceToHost, stream.handle);
  CHECK_EQ(back[31], 5.0f);
}

// Streams that do not block do not wait for the legacy one; the others do.
void check_legacy_stream() {
  emulation::set_mode(Mode::random_thread);
  for (const unsigned flags : {cudaStreamDefault, cudaStreamNonBlocking}) {
    Stream stream(flags);
    DeviceArray<float> values(32);
    std::vector<float> back(32);
    cudaMemsetAsync(values.get(), 0, kBytes, stream.handle);
    add_on(stream.handle, values.get(), 4.0f);
    CHECK_EQ(cudaMemcpy(back.data(), values.get(), kBytes, cudaMemcpyDeviceToHost), cudaSuccess);
    if (flags == cudaStreamDefault) {
      CHECK_EQ(back[0], 4.0f);
    } else {
      CHECK(std::isnan(back[0]));  // a program that relies on this order is found out
    }
  }
}

void check_events() {
  emulation::set_mode(Mode::random_thread);
  Stream first, second;
  Event event;
  DeviceArray<float> values(32);
  Pinned<float> back(32);
  CHECK_EQ(cudaEventQuery(event.handle), cudaSuccess);  // never recorded
  cudaMemsetAsync(values.get(), 0, kBytes, first.handle);
  add_on(first.handle, values.get(), 1.0f);
  CHECK_EQ(cudaEventRecord(event.handle, first.handle), cudaSuccess);
  CHECK_EQ(cudaStreamWaitEvent(second.handle, event.handle), cudaSuccess);
  add_on(second.handle, values.get(), 2.0f);
  cudaMemcpyAsync(back.data, values.get(), kBytes, cudaMemcpyDeviceToHost, second.handle);
  CHECK_EQ(cudaStreamSynchronize(second.handle), cudaSuccess);
  CHECK_EQ(back.data[7], 3.0f);
  CHECK_EQ(cudaEventSynchronize(event.handle), cudaSuccess);
  CHECK_EQ(cudaEventQuery(event.handle), cudaSuccess);

  cudaEvent_t start, end;
  CHECK_EQ(cudaEventCreate(&start), cudaSuccess);
  CHECK_EQ(cudaEventCreate(&end), cudaSuccess);
  cudaEventRecord(start, first.handle);
  add_on(first.handle, values.get(), 1.0f);
  cudaEventRecord(end, first.handle);
  float milliseconds = -1.0f;
  CHECK_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorNotReady);
  CHECK_EQ(cudaEventSynchronize(end), cudaSuccess);
  CHECK_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
  CHECK(milliseconds >= 0.0f);
  CHECK_EQ(cudaEventElapsedTime(&milliseconds, start, event.handle),
           cudaErrorInvalidResourceHandle);  // without timing
  cudaEventDestroy(start);
  cudaEventDestroy(end);
  CHECK_EQ(cudaEventDestroy(end), cudaErrorInvalidResourceHandle);
}

// A fork and a join by events become one graph.
void check_capture() {
  emulation::set_mode(Mode::random_thread);
  Stream first, second;
  Event fork, join;
  DeviceArray<float> values(32);
  Pinned<float> back(32);
  cudaMemsetAsync(values.get(), 0, kBytes, first.handle);
  CHECK_EQ(cudaStreamBeginCapture(first.handle, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  add_on(first.handle, values.get(), 1.0f);
  cudaEventRecord(fork.handle, first.handle);
  CHECK_EQ(cudaStreamWaitEvent(second.handle, fork.handle), cudaSuccess);
  add_on(second.handle, values.get(), 10.0f);
  cudaEventRecord(join.handle, second.handle);
  CHECK_EQ(cudaStreamWaitEvent(first.handle, join.handle), cudaSuccess);
  cudaMemcpyAsync(back.data, values.get(), kBytes, cudaMemcpyDeviceToHost, first.handle);
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  CHECK_EQ(cudaStreamIsCapturing(second.handle, &status), cudaSuccess);
  CHECK_EQ(status, cudaStreamCaptureStatusActive);
  cudaGraph_t graph = nullptr;
  CHECK_EQ(cudaStreamEndCapture(first.handle, &graph), cudaSuccess);
  cudaGraphExec_t executable = nullptr;
  CHECK_EQ(cudaGraphInstantiate(&executable, graph), cudaSuccess);
  CHECK_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (int i = 0; i < 3; ++i) CHECK_EQ(cudaGraphLaunch(executable, first.handle), cudaSuccess);
  CHECK_EQ(cudaStreamSynchronize(first.handle), cudaSuccess);
  CHECK_EQ(back.data[0], 33.0f);
  CHECK_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
}

void expect_broken_capture(cudaError_t expected, cudaError_t (*what)(cudaStream_t)) {
  Stream stream;
  cudaGraph_t graph = nullptr;
  CHECK_EQ(cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeGlobal), cudaSuccess);
  CHECK_EQ(what(stream.handle), expected);
  CHECK_EQ(cudaStreamEndCapture(stream.handle, &graph), cudaErrorStreamCaptureInvalidated);
  CHECK(graph == nullptr);
  cudaGetLastError();
}

void check_capture_rules() {
  expect_broken_capture(cudaErrorStreamCaptureUnsupported,
                        [](cudaStream_t stream) { return cudaStreamSynchronize(stream); });
  expect_broken_capture(cudaErrorStreamCaptureUnsupported,
                        [](cudaStream_t stream) { return cudaStreamQuery(stream); });
  expect_broken_capture(cudaErrorStreamCaptureUnsupported, [](cudaStream_t) {
    void* memory = nullptr;
    return cudaMalloc(&memory, 16);
  });
  expect_broken_capture(cudaErrorStreamCaptureIsolation, [](cudaStream_t stream) {
    Event event;
    Stream other;
    cudaEventRecord(event.handle, other.handle);
    return cudaStreamWaitEvent(stream, event.handle);
  });
  // What one thread captures does not keep another from allocating, unless it says so.
  {
    Stream stream;
    cudaGraph_t graph = nullptr;
    cudaStreamBeginCapture(stream.handle, cudaStreamCaptureModeThreadLocal);
    std::thread([&] {
      void* memory = nullptr;
      CHECK_EQ(cudaMalloc(&memory, 16), cudaSuccess);
      CHECK_EQ(cudaFree(memory), cudaSuccess);
      CHECK_EQ(cudaStreamEndCapture(stream.handle, &graph), cudaErrorStreamCaptureWrongThread);
    }).join();
    CHECK_EQ(cudaStreamEndCapture(stream.handle, &graph), cudaSuccess);
    CHECK_EQ(cudaGraphDestroy(graph), cudaSuccess);
  }
  // A fork that is not joined.
  Stream first, second;
  Event fork;
  cudaStreamBeginCapture(first.handle, cudaStreamCaptureModeRelaxed);
  cudaEventRecord(fork.handle, first.handle);
  cudaStreamWaitEvent(second.handle, fork.handle);
  cudaGraph_t graph = nullptr;
  CHECK_EQ(cudaStreamEndCapture(first.handle, &graph), cudaErrorStreamCaptureUnjoined);
  CHECK_EQ(cudaStreamEndCapture(first.handle, &graph), cudaErrorStreamCaptureUnmatched);
  CHECK_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeRelaxed),
           cudaErrorStreamCaptureUnsupported);
  // The legacy stream may not be used beside a blocking stream's capture.
  Stream blocking(cudaStreamDefault);
  DeviceArray<float> values(32);
  cudaStreamBeginCapture(blocking.handle, cudaStreamCaptureModeRelaxed);
  CHECK_EQ(cudaMemsetAsync(values.get(), 0, kBytes), cudaErrorStreamCaptureImplicit);
  CHECK_EQ(cudaStreamEndCapture(blocking.handle, &graph), cudaErrorStreamCaptureInvalidated);
  cudaGetLastError();
}

void check_launch_errors() {
  DeviceArray<float> values(8192);
  cudaFuncSetAttribute(add, cudaFuncAttributeMaxDynamicSharedMemorySize, 48 << 10);
  cudaFuncSetAttribute(add, cudaFuncAttributeNonPortableClusterSizeAllowed, 0);
  const auto error = [&](Shape shape) { return launch(shape, add, values.get(), 1.0f); };
  CHECK_EQ(error({0, 32}), cudaErrorInvalidConfiguration);
  CHECK_EQ(error({1, 1025}), cudaErrorInvalidConfiguration);
  CHECK_EQ(error({1, 32, 48 << 10}), cudaSuccess);
  CHECK_EQ(error({1, 32, (48 << 10) + 1}), cudaErrorInvalidValue);
  CHECK_EQ(cudaFuncSetAttribute(add, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 << 10),
           cudaErrorInvalidValue);
  CHECK_EQ(cudaFuncSetAttribute(add, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 << 10),
           cudaSuccess);
  CHECK_EQ(error({1, 32, 227 << 10}), cudaSuccess);
  cudaFuncAttributes attributes = {};
  CHECK_EQ(cudaFuncGetAttributes(&attributes, add), cudaSuccess);
  CHECK_EQ(attributes.maxDynamicSharedSizeBytes, 227 << 10);
  Shape grid = {132, 32, 200 << 10};
  grid.cooperative = true;
  CHECK_EQ(error(grid), cudaSuccess);
  grid.blocks = 133;
  CHECK_EQ(error(grid), cudaErrorCooperativeLaunchTooLarge);
  CHECK_EQ(error({16, 32, 0, 16}), cudaErrorInvalidClusterSize);
  CHECK_EQ(error({12, 32, 0, 8}), cudaErrorInvalidClusterSize);
  CHECK_EQ(cudaFuncSetAttribute(add, cudaFuncAttributeNonPortableClusterSizeAllowed, 1),
           cudaSuccess);
  CHECK_EQ(error({16, 32, 0, 16}), cudaSuccess);
  emulation::set_device("sm_80");
  CHECK_EQ(error({2, 32, 0, 2}), cudaErrorNotSupported);
  CHECK_EQ(cudaFuncSetAttribute(add, cudaFuncAttributeMaxDynamicSharedMemorySize, 164 << 10),
           cudaErrorInvalidValue);
  CHECK_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  CHECK_EQ(cudaGetLastError(), cudaSuccess);
  CHECK_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  emulation::set_device("sm_90");
}

void check_occupancy() {
  int blocks = 0;
  CHECK_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, crash, 256, 0), cudaSuccess);
  CHECK_EQ(blocks, 8);
  cudaFuncSetAttribute(crash, cudaFuncAttributeMaxDynamicSharedMemorySize, 227 << 10);
  CHECK_EQ(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, crash, 256, 100 << 10),
           cudaSuccess);
  CHECK_EQ(blocks, 2);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = 8;
  attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  cudaLaunchConfig_t configuration = {};
  configuration.gridDim = dim3(16);
  configuration.blockDim = dim3(256);
  configuration.dynamicSmemBytes = 200 << 10;
  configuration.attrs = &attribute;
  configuration.numAttrs = 1;
  int clusters = 0, size = 0;
  CHECK_EQ(cudaOccupancyMaxActiveClusters(&clusters, crash, &configuration), cudaSuccess);
  CHECK_EQ(clusters, 16);
  CHECK_EQ(cudaOccupancyMaxPotentialClusterSize(&size, crash, &configuration), cudaSuccess);
  CHECK_EQ(size, 8);
  emulation::set_multiprocessors(4);
  int count = 0;
  CHECK_EQ(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, 0), cudaSuccess);
  CHECK_EQ(count, 4);
  emulation::set_multiprocessors(0);
}

void check_device() {
  const struct {
    const char* name;
    int major, minor, multiprocessors;
    size_t optin;
  } devices[] = {{"sm_70", 7, 0, 80, 96 << 10},     {"sm_75", 7, 5, 40, 64 << 10},
                 {"sm_80", 8, 0, 108, 163 << 10},   {"sm_86", 8, 6, 84, 99 << 10},
                 {"sm_100", 10, 0, 148, 227 << 10}, {"sm_90", 9, 0, 132, 227 << 10}};
  for (const auto& device : devices) {
    CHECK(emulation::set_device(device.name));
    cudaDeviceProp properties = {};
    CHECK_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
    CHECK_EQ(properties.major, device.major);
    CHECK_EQ(properties.minor, device.minor);
    CHECK_EQ(properties.multiProcessorCount, device.multiprocessors);
    CHECK_EQ(properties.sharedMemPerBlockOptin, device.optin);
  }
  CHECK(!emulation::set_device("sm_12"));
  int value = 0;
  CHECK_EQ(cudaGetDeviceCount(&value), cudaSuccess);
  CHECK_EQ(value, 1);
  CHECK_EQ(cudaSetDevice(1), cudaErrorInvalidDevice);
  CHECK_EQ(cudaDriverGetVersion(&value), cudaSuccess);
  CHECK(value >= 13000);
  cudaGetLastError();
}

void check_memory() {
  size_t free_before = 0, free_now = 0, total = 0;
  CHECK_EQ(cudaMemGetInfo(&free_before, &total), cudaSuccess);
  {
    DeviceArray<float> device(32);
    Pinned<float> pinned(32);
    float ordinary[32] = {};
    CHECK_EQ(cudaMemGetInfo(&free_now, &total), cudaSuccess);
    CHECK_EQ(free_before - free_now, kBytes);
    for (const float value : device.values()) CHECK(std::isnan(value));
    cudaPointerAttributes attributes = {};
    CHECK_EQ(cudaPointerGetAttributes(&attributes, device.get() + 5), cudaSuccess);
    CHECK_EQ(attributes.type, cudaMemoryTypeDevice);
    CHECK_EQ(cudaPointerGetAttributes(&attributes, pinned.data), cudaSuccess);
    CHECK_EQ(attributes.type, cudaMemoryTypeHost);
    CHECK_EQ(cudaPointerGetAttributes(&attributes, ordinary), cudaSuccess);
    CHECK_EQ(attributes.type, cudaMemoryTypeUnregistered);
    CHECK_EQ(cudaMemcpy(ordinary, device.get(), kBytes, cudaMemcpyHostToDevice),
             cudaErrorInvalidValue);
    CHECK_EQ(cudaMemcpy(device.get() + 1, ordinary, kBytes, cudaMemcpyHostToDevice),
             cudaErrorInvalidValue);
    CHECK_EQ(cudaFree(device.get() + 1), cudaErrorInvalidValue);
    CHECK_EQ(cudaFreeHost(device.get()), cudaErrorInvalidValue);
  }
  void* memory = nullptr;
  CHECK_EQ(cudaMalloc(&memory, size_t{1} << 40), cudaErrorMemoryAllocation);
  CHECK_EQ(cudaFree(nullptr), cudaSuccess);
  CHECK_EQ(cudaMemGetInfo(&free_now, &total), cudaSuccess);
  CHECK_EQ(free_now, free_before);
  cudaGetLastError();
}

void check_fault_injection() {
  void* memory = nullptr;
  cudaStream_t stream = nullptr;
  emulation::fail_allocation(2);
  CHECK_EQ(cudaMalloc(&memory, 64), cudaSuccess);
  CHECK_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaErrorMemoryAllocation);
  CHECK_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  CHECK_EQ(emulation::live().device_allocations, 1);
  CHECK_EQ(emulation::live().device_bytes, 64);
  CHECK_EQ(emulation::live().streams, 1);
  cudaFree(memory);
  cudaStreamDestroy(stream);
  CHECK(emulation::live().none());
  cudaGetLastError();
}

// A failure comes out where the stream is waited for, and stays.
void check_failure() {
  emulation::set_mode(Mode::random_thread);
  Stream stream;
  DeviceArray<float> values(32);
  cudaLaunchConfig_t configuration = {};
  configuration.blockDim = dim3(32);
  configuration.stream = stream.handle;
  CHECK_EQ(cudaLaunchKernelEx(&configuration, crash, values.get(), 0.0f), cudaSuccess);
  CHECK_EQ(cudaLaunchKernelEx(&configuration, add, values.get(), 0.0f), cudaSuccess);
  CHECK_EQ(cudaStreamSynchronize(stream.handle), cudaErrorLaunchFailure);
  CHECK_EQ(cudaPeekAtLastError(), cudaErrorLaunchFailure);
  CHECK_EQ(cudaStreamQuery(stream.handle), cudaErrorLaunchFailure);
  CHECK_EQ(std::string(cudaGetErrorName(cudaErrorLaunchFailure)), "cudaErrorLaunchFailure");
  CHECK(std::string(cudaGetErrorString(cudaErrorLaunchFailure)).find("__trap") !=
        std::string::npos);
  emulation::reset();
  CHECK_EQ(cudaGetLastError(), cudaSuccess);
  CHECK(emulation::failure().empty());
  CHECK_EQ(add_on(stream.handle, values.get(), 1.0f), cudaSuccess);
  CHECK_EQ(cudaStreamSynchronize(stream.handle), cudaSuccess);
}

// A stream is destroyed with work left: the work is done all the same.
void check_destroyed_stream() {
  emulation::set_mode(Mode::random_thread);
  DeviceArray<float> values(32);
  Pinned<float> back(32);
  {
    Stream stream;
    cudaMemsetAsync(values.get(), 0, kBytes, stream.handle);
    cudaMemcpyAsync(back.data, values.get(), kBytes, cudaMemcpyDeviceToHost, stream.handle);
  }
  void* memory = nullptr;
  cudaMalloc(&memory, 4);
  cudaFree(memory);  // waits for the device
  CHECK_EQ(back.data[9], 0.0f);
}

// Any thread may launch, and several at once.
void check_threads() {
  emulation::set_mode(Mode::warp_at_a_time);
  std::vector<std::thread> threads;
  std::vector<float> results(4, 0.0f);
  for (size_t i = 0; i < results.size(); ++i) {
    threads.emplace_back([&result = results[i]] {
      cudaStream_t stream = nullptr;
      float *values = nullptr, host[32];
      cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
      cudaMalloc(&values, kBytes);
      cudaMemsetAsync(values, 0, kBytes, stream);
      for (int k = 0; k < 10; ++k) add_on(stream, values, 1.0f);
      cudaMemcpyAsync(host, values, kBytes, cudaMemcpyDeviceToHost, stream);
      cudaStreamSynchronize(stream);
      result = host[17];
      cudaFree(values);
      cudaStreamDestroy(stream);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const float result : results) CHECK_EQ(result, 10.0f);
}

}  // namespace
}  // namespace gatefuse

int main() {
  using namespace gatefuse;
  const uint64_t seeds = test::kThreadSanitizer ? 1 : 5;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    emulation::set_seed(seed);
    check_laziness();
    check_pageable();
    check_legacy_stream();
    check_events();
    check_capture();
    // ThreadSanitizer's threads are slow to begin and to end, as with a launch that fails.
    const int modes = test::kThreadSanitizer ? 1 : emulation::kModes;
    for (int mode = 0; mode < modes; ++mode) {
      emulation::set_mode(static_cast<Mode>(mode));
      check_capture_rules();
      check_launch_errors();
      check_occupancy();
      check_device();
      check_memory();
      check_fault_injection();
    }
    check_failure();
    check_destroyed_stream();
    check_threads();
  }
  CHECK(emulation::live().none());
  CHECK(emulation::statistics().launches > 0);
  return test::result();
}
