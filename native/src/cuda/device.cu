// SPDX-License-Identifier: Apache-2.0
#include "cuda/device.hpp"

#include <cstdio>

namespace gatefuse::cuda {
namespace {

// The oldest processors that the kernels are compiled for.
constexpr int kLeastCapability = 75;

gf_status status_of(cudaError_t error) {
  switch (error) {
    case cudaErrorMemoryAllocation:
      return GF_OUT_OF_MEMORY;
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorNoKernelImageForDevice:
      return GF_BACKEND_UNAVAILABLE;
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorECCUncorrectable:
      return GF_CONTEXT_LOST;
    default:
      return GF_BACKEND_FAILED;
  }
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  const gf_status status = status_of(error);
  cudaGetLastError();  // one that is not sticky shall not be told twice
  throw Error(status, "%s: CUDA says %s (%s)%s", what, cudaGetErrorName(error),
              cudaGetErrorString(error),
              status == GF_CONTEXT_LOST ? "; only a new process can use the device again" : "");
}

UseDevice::UseDevice(int device) {
  check(cudaGetDevice(&before_), "current device");
  if (before_ != device) check(cudaSetDevice(device), "device");
}

UseDevice::UseDevice(int device, std::nothrow_t) noexcept {
  cudaGetDevice(&before_);
  cudaSetDevice(device);
  cudaGetLastError();
}

UseDevice::~UseDevice() { cudaSetDevice(before_); }

DeviceFacts DeviceFacts::of(int device) {
  cudaDeviceProp properties = {};
  check(cudaGetDeviceProperties(&properties, device), "device properties");
  DeviceFacts facts;
  facts.index = device;
  facts.name = properties.name;
  facts.capability = facts.kernels = 10 * properties.major + properties.minor;
  facts.multiprocessors = properties.multiProcessorCount;
  facts.shared_per_block = static_cast<int64_t>(properties.sharedMemPerBlockOptin);
  facts.memory = static_cast<int64_t>(properties.totalGlobalMem);
  return facts;
}

std::string DeviceFacts::has_text() const {
  if (kernels < capability) {
    return "this library's code for " + name + " is for " + capability_text(kernels);
  }
  return "this device has " + capability_text(capability);
}

std::string capability_text(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

int usable_devices(std::string* reason) {
  int driver = 0;
  int runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  if (driver == 0) {
    *reason = "no NVIDIA driver was found; one for CUDA " + version_text(runtime) +
              " or later (R580) is needed";
    return 0;
  }
  if (driver / 1000 < runtime / 1000) {
    *reason = "the NVIDIA driver is for CUDA " + version_text(driver) + "; one for CUDA " +
              version_text(runtime) + " or later (R580) is needed";
    return 0;
  }
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0) {
    cudaGetLastError();
    *reason = std::string("no CUDA device was found (") + cudaGetErrorString(error) + ")";
    return 0;
  }
  int usable = 0;
  while (usable < count && DeviceFacts::of(usable).capability >= kLeastCapability) ++usable;
  if (usable == 0) {
    const DeviceFacts facts = DeviceFacts::of(0);
    *reason = facts.name + " has compute capability " + capability_text(facts.capability) + "; " +
              capability_text(kLeastCapability) + " or later is needed";
  }
  return usable;
}

void* allocate_zeros(cudaStream_t stream, const char* what, int64_t size) {
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, static_cast<size_t>(size));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0;
    size_t total = 0;
    cudaMemGetInfo(&free, &total);
    throw Error(GF_OUT_OF_MEMORY,
                "%s: %lld bytes of device memory could not be had, %zu of %zu are free", what,
                static_cast<long long>(size), free, total);
  }
  check(error, what);
  const cudaError_t cleared = cudaMemsetAsync(memory, 0, static_cast<size_t>(size), stream);
  if (cleared != cudaSuccess) cudaFree(memory);
  check(cleared, what);
  return memory;
}

DeviceArena::~DeviceArena() {
  for (void* block : blocks_) cudaFree(block);
}

void* DeviceArena::block(cudaStream_t stream, const char* what, int64_t size) {
  if (!measuring_) {
    blocks_.push_back(nullptr);
    blocks_.back() = allocate_zeros(stream, what, size);
  }
  bytes_ += size;
  return measuring_ ? nullptr : blocks_.back();
}

}  // namespace gatefuse::cuda
