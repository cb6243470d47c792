// SPDX-License-Identifier: Apache-2.0
//
// Device memory and streams for tests in Java: the functions of the class TestDevice there, which
// names them. They take and give numbers alone, so that Java's headers are not needed: a jlong is
// an int64_t, a jint an int32_t, a jboolean a byte.
#include <cstdint>

#include "cuda_driver.hpp"
#include "emulation.hpp"

using namespace gatefuse::test;

namespace {

Driver driver;

void* at(int64_t address) { return reinterpret_cast<void*>(address); }
int64_t address_of(const void* memory) { return reinterpret_cast<int64_t>(memory); }
size_t size(int64_t bytes) { return static_cast<size_t>(bytes); }

}  // namespace

#define GF_JAVA(type, name, ...)                    \
  extern "C" __attribute__((visibility("default"))) \
  type Java_io_github_gatefuse_testing_TestDevice_##name(void*, void* __VA_OPT__(, ) __VA_ARGS__)

GF_JAVA(void, open, uint8_t emulated) {
  driver = emulated != 0 ? emulated_driver() : nvidia_driver();
}

GF_JAVA(int64_t, allocate, int64_t bytes) {
  void* memory = nullptr;
  return driver.cuMemAlloc_v2(&memory, size(bytes)) == 0 ? address_of(memory) : 0;
}
GF_JAVA(int32_t, free, int64_t memory) { return driver.cuMemFree_v2(at(memory)); }

GF_JAVA(int32_t, copyIn, int64_t device, int64_t host, int64_t bytes) {
  return driver.cuMemcpyHtoD_v2(at(device), at(host), size(bytes));
}
GF_JAVA(int32_t, copyOut, int64_t host, int64_t device, int64_t bytes) {
  return driver.cuMemcpyDtoH_v2(at(host), at(device), size(bytes));
}
GF_JAVA(int32_t, copyOnStream, int64_t to, int64_t from, int64_t bytes, int64_t stream) {
  return driver.cuMemcpyAsync(at(to), at(from), size(bytes), at(stream));
}

GF_JAVA(int64_t, createStream) {
  void* stream = nullptr;
  constexpr unsigned kNonBlocking = 1;
  return driver.cuStreamCreate(&stream, kNonBlocking) == 0 ? address_of(stream) : 0;
}
GF_JAVA(int32_t, destroyStream, int64_t stream) { return driver.cuStreamDestroy_v2(at(stream)); }
GF_JAVA(int32_t, waitForStream, int64_t stream) { return driver.cuStreamSynchronize(at(stream)); }

// Of the emulation: from now on it is a device of this compute capability.
GF_JAVA(uint8_t, pose, int32_t capability) {
  return gatefuse::emulation::set_device("sm_" + std::to_string(capability)) ? 1 : 0;
}
// The streams and pieces of device memory that there are.
GF_JAVA(int64_t, live) {
  const gatefuse::emulation::Live live = gatefuse::emulation::live();
  return live.streams + live.device_allocations;
}
