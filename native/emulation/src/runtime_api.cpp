// SPDX-License-Identifier: Apache-2.0
//
// The runtime API's errors, devices, memory, functions and launches.
#include <cstring>
#include <memory>
#include <vector>

#include "context.hpp"
#include "launch.hpp"
#include "memory.hpp"
#include "profile.hpp"
#include "stream.hpp"

using namespace gatefuse::emulation;

namespace gatefuse::emulation {
namespace {

constexpr int kVersion = CUDART_VERSION;

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};
#define ERROR_TEXT(name, text) \
  { name, #name, text }
constexpr ErrorText kErrors[] = {
    ERROR_TEXT(cudaSuccess, "no error"),
    ERROR_TEXT(cudaErrorInvalidValue, "invalid argument"),
    ERROR_TEXT(cudaErrorMemoryAllocation, "out of memory"),
    ERROR_TEXT(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ERROR_TEXT(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    ERROR_TEXT(cudaErrorInsufficientDriver, "CUDA driver version is insufficient"),
    ERROR_TEXT(cudaErrorInvalidDeviceFunction, "invalid device function"),
    ERROR_TEXT(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    ERROR_TEXT(cudaErrorInvalidDevice, "invalid device ordinal"),
    ERROR_TEXT(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ERROR_TEXT(cudaErrorNotReady, "device not ready"),
    ERROR_TEXT(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    ERROR_TEXT(cudaErrorLaunchFailure, "unspecified launch failure"),
    ERROR_TEXT(cudaErrorCooperativeLaunchTooLarge, "too many blocks in cooperative launch"),
    ERROR_TEXT(cudaErrorNotSupported, "operation not supported"),
    ERROR_TEXT(cudaErrorStreamCaptureUnsupported,
               "operation not permitted when stream is capturing"),
    ERROR_TEXT(cudaErrorStreamCaptureInvalidated,
               "operation failed due to a previous error during capture"),
    ERROR_TEXT(cudaErrorStreamCaptureMerge, "operation would result in a merge of captures"),
    ERROR_TEXT(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream"),
    ERROR_TEXT(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    ERROR_TEXT(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work"),
    ERROR_TEXT(cudaErrorStreamCaptureImplicit,
               "operation would make the legacy stream depend on a capturing stream"),
    ERROR_TEXT(cudaErrorStreamCaptureWrongThread, "capture ended in a different thread"),
    ERROR_TEXT(cudaErrorInvalidClusterSize, "invalid cluster size"),
    ERROR_TEXT(cudaErrorUnknown, "unknown error"),
};
#undef ERROR_TEXT

const ErrorText& text_of(cudaError_t error) {
  for (const ErrorText& entry : kErrors) {
    if (entry.error == error) return entry;
  }
  return kErrors[std::size(kErrors) - 1];
}

// Where a failure can be had again.
std::string how_to_replay(uint64_t launch) {
  const Context& here = context();
  return " [" + std::string(profile().name) + ", mode " +
         std::to_string(static_cast<int>(here.mode)) + ", seed " + std::to_string(here.seed) +
         ", launch " + std::to_string(launch) + "]";
}

std::string run(const Launch& launch) {
  Context& here = context();
  const uint64_t number = ++here.launches;
  const std::string failure =
      run_launch(launch, here.mode, here.seed * 0x2545f4914f6cdd1du + number);
  return failure.empty() ? failure : failure + how_to_replay(number);
}

Launch launch_of(const cudaLaunchConfig_t& configuration) {
  Launch launch;
  const auto take = [](unsigned(&to)[3], const auto& from) {
    to[0] = from.x;
    to[1] = from.y;
    to[2] = from.z;
  };
  take(launch.grid, configuration.gridDim);
  take(launch.block, configuration.blockDim);
  launch.dynamic_shared = configuration.dynamicSmemBytes;
  for (unsigned i = 0; i < configuration.numAttrs; ++i) {
    const cudaLaunchAttribute& attribute = configuration.attrs[i];
    if (attribute.id == cudaLaunchAttributeCooperative) {
      launch.cooperative = attribute.val.cooperative != 0;
    }
    if (attribute.id == cudaLaunchAttributeClusterDimension) {
      launch.has_cluster = true;
      take(launch.cluster, attribute.val.clusterDim);
    }
  }
  return launch;
}

// The kind that a pair of pointers has.
cudaMemcpyKind kind_of(const void* to, const void* from) {
  const bool to_device = type_of(to) == cudaMemoryTypeDevice;
  const bool from_device = type_of(from) == cudaMemoryTypeDevice;
  if (to_device) return from_device ? cudaMemcpyDeviceToDevice : cudaMemcpyHostToDevice;
  return from_device ? cudaMemcpyDeviceToHost : cudaMemcpyHostToHost;
}

cudaError_t check_copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  const cudaMemcpyKind actual = kind_of(to, from);
  if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) {
    return cudaErrorInvalidMemcpyDirection;
  }
  if (kind != cudaMemcpyDefault && kind != actual) return cudaErrorInvalidValue;
  const bool to_device = actual == cudaMemcpyHostToDevice || actual == cudaMemcpyDeviceToDevice;
  const bool from_device = actual == cudaMemcpyDeviceToHost || actual == cudaMemcpyDeviceToDevice;
  if (to_device && !holds(cudaMemoryTypeDevice, to, bytes)) return cudaErrorInvalidValue;
  if (from_device && !holds(cudaMemoryTypeDevice, from, bytes)) return cudaErrorInvalidValue;
  return cudaSuccess;
}

Work copy_work(void* to, const void* from, size_t bytes) {
  return [to, from, bytes] {
    std::memmove(to, from, bytes);
    return std::string();
  };
}

// From memory that is not pinned CUDA takes the values at once.
Work copy_of_values(void* to, const void* from, size_t bytes) {
  const char* first = static_cast<const char*>(from);
  return [to, values = std::vector<char>(first, first + bytes)] {
    std::memcpy(to, values.data(), values.size());
    return std::string();
  };
}

// Into such memory it returns when the values are there.
cudaError_t enqueue_copy(void* to, const void* from, size_t bytes, cudaStream_t stream) {
  const cudaMemcpyKind kind = kind_of(to, from);
  if (!is_capturing(stream)) {
    if (kind == cudaMemcpyHostToDevice && type_of(from) == cudaMemoryTypeUnregistered) {
      return enqueue(stream, copy_of_values(to, from, bytes));
    }
    if (kind == cudaMemcpyDeviceToHost && type_of(to) == cudaMemoryTypeUnregistered) {
      return run_now(stream, copy_work(to, from, bytes));
    }
  }
  return enqueue(stream, copy_work(to, from, bytes));
}

cudaError_t allocate_for(cudaMemoryType type, void** pointer, size_t bytes) {
  return call([&] {
    if (pointer == nullptr) return cudaErrorInvalidValue;
    const cudaError_t forbidden = forbid_while_capturing();
    if (forbidden != cudaSuccess) return forbidden;
    *pointer = nullptr;
    if (bytes == 0) return cudaSuccess;
    if (allocation_fails()) return cudaErrorMemoryAllocation;
    *pointer = allocate(type, bytes);
    return *pointer == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

// Waits for the device first, as CUDA does. After a failure the memory is given back all the same,
// so that tests that go on find none left.
cudaError_t free_of(cudaMemoryType type, void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  const cudaError_t error = call([&] {
    const cudaError_t forbidden = forbid_while_capturing();
    if (forbidden != cudaSuccess) return forbidden;
    run_all_queues();
    return release(type, pointer) ? cudaSuccess : cudaErrorInvalidValue;
  });
  if (error == cudaErrorLaunchFailure) {
    const std::lock_guard<std::recursive_mutex> lock(context().mutex);
    forget_queues();
    release(type, pointer);
  }
  return error;
}

int value_of(cudaDeviceAttr attribute, const Profile& device) {
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      return kThreadsPerBlock;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return static_cast<int>(kSharedWithoutAttribute);
    case cudaDevAttrWarpSize:
      return warpSize;
    case cudaDevAttrMaxRegistersPerBlock:
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      return kRegistersPerMultiprocessor;
    case cudaDevAttrMultiProcessorCount:
      return device.multiprocessors;
    case cudaDevAttrIntegrated:
      return 0;
    case cudaDevAttrL2CacheSize:
      return static_cast<int>(device.l2_bytes);
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return device.threads_per_multiprocessor;
    case cudaDevAttrComputeCapabilityMajor:
      return device.capability / 10;
    case cudaDevAttrComputeCapabilityMinor:
      return device.capability % 10;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return static_cast<int>(device.shared_per_multiprocessor);
    case cudaDevAttrCooperativeLaunch:
      return 1;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return static_cast<int>(device.shared_per_block);
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      return device.blocks_per_multiprocessor;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      return device.capability >= 80 ? static_cast<int>(kReservedShared) : 0;
    case cudaDevAttrClusterLaunch:
      return device.capability >= 90 ? 1 : 0;
  }
  return -1;
}

void describe(cudaDeviceProp* properties, const Profile& device) {
  const auto value = [&device](cudaDeviceAttr attribute) { return value_of(attribute, device); };
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "Emulated %s", device.name);
  properties->totalGlobalMem = kDeviceMemory;
  properties->sharedMemPerBlock = kSharedWithoutAttribute;
  properties->regsPerBlock = kRegistersPerMultiprocessor;
  properties->warpSize = warpSize;
  properties->maxThreadsPerBlock = kThreadsPerBlock;
  for (int i = 0; i < 3; ++i) {
    properties->maxThreadsDim[i] = i == 2 ? 64 : kThreadsPerBlock;
    properties->maxGridSize[i] = i == 0 ? 0x7fffffff : 65535;
  }
  properties->major = device.capability / 10;
  properties->minor = device.capability % 10;
  properties->multiProcessorCount = device.multiprocessors;
  properties->l2CacheSize = value(cudaDevAttrL2CacheSize);
  properties->maxThreadsPerMultiProcessor = device.threads_per_multiprocessor;
  properties->sharedMemPerMultiprocessor = device.shared_per_multiprocessor;
  properties->regsPerMultiprocessor = kRegistersPerMultiprocessor;
  properties->sharedMemPerBlockOptin = device.shared_per_block;
  properties->cooperativeLaunch = 1;
  properties->maxBlocksPerMultiProcessor = device.blocks_per_multiprocessor;
  properties->reservedSharedMemPerBlock =
      static_cast<size_t>(value(cudaDevAttrReservedSharedMemoryPerBlock));
  properties->clusterLaunch = value(cudaDevAttrClusterLaunch);
}

}  // namespace

cudaError_t enqueue_launch(const cudaLaunchConfig_t& configuration, Launch launch) {
  return call([&] {
    Launch complete = launch_of(configuration);
    complete.function = launch.function;
    complete.body = std::move(launch.body);
    const cudaError_t error = check_launch(complete, context().functions[complete.function]);
    if (error != cudaSuccess) return error;
    auto shared = std::make_shared<const Launch>(std::move(complete));
    return enqueue(configuration.stream, [shared] { return run(*shared); });
  });
}

}  // namespace gatefuse::emulation

// ---------------------------------------------------------------- errors and versions

const char* cudaGetErrorName(cudaError_t error) { return text_of(error).name; }

const char* cudaGetErrorString(cudaError_t error) {
  const std::lock_guard<std::recursive_mutex> lock(context().mutex);
  if (error != cudaErrorLaunchFailure || context().failure.empty()) return text_of(error).text;
  thread_local std::string sentence;
  sentence = text_of(error).text + std::string(": ") + context().failure;
  return sentence.c_str();
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

// ---------------------------------------------------------------- devices

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return call([&] { return device == 0 ? cudaSuccess : cudaErrorInvalidDevice; });
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call([&] {
    if (device != 0) return cudaErrorInvalidDevice;
    describe(properties, profile());
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return call([&] {
    if (device != 0) return cudaErrorInvalidDevice;
    *value = value_of(attribute, profile());
    return *value < 0 ? cudaErrorInvalidValue : cudaSuccess;
  });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call([&] {
    *total = kDeviceMemory;
    *free = kDeviceMemory - device_bytes_in_use();
    return cudaSuccess;
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return call([&] {
    const cudaMemoryType type = type_of(pointer);
    void* address = const_cast<void*>(pointer);
    *attributes = {type, 0, nullptr, nullptr};
    if (type != cudaMemoryTypeUnregistered) attributes->devicePointer = address;
    if (type != cudaMemoryTypeDevice) attributes->hostPointer = address;
    return cudaSuccess;
  });
}

// ---------------------------------------------------------------- memory

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return allocate_for(cudaMemoryTypeDevice, pointer, bytes);
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes, unsigned) {
  return allocate_for(cudaMemoryTypeHost, pointer, bytes);
}

cudaError_t cudaFree(void* pointer) { return free_of(cudaMemoryTypeDevice, pointer); }

cudaError_t cudaFreeHost(void* pointer) { return free_of(cudaMemoryTypeHost, pointer); }

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return call([&] {
    if (bytes == 0) return cudaSuccess;
    const cudaError_t error = check_copy(to, from, bytes, kind);
    return error != cudaSuccess ? error : run_now(nullptr, copy_work(to, from, bytes));
  });
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return call([&] {
    if (bytes == 0) return cudaSuccess;
    const cudaError_t error = check_copy(to, from, bytes, kind);
    return error != cudaSuccess ? error : enqueue_copy(to, from, bytes, stream);
  });
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t stream) {
  return call([&] {
    if (bytes == 0) return cudaSuccess;
    if (!on_device(pointer, bytes)) return cudaErrorInvalidValue;
    return enqueue(stream, [pointer, value, bytes] {
      std::memset(pointer, value, bytes);
      return std::string();
    });
  });
}

// ---------------------------------------------------------------- functions

cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  return call([&] {
    if (function == nullptr) return cudaErrorInvalidDeviceFunction;
    Function& known = context().functions[function];
    switch (attribute) {
      case cudaFuncAttributeMaxDynamicSharedMemorySize:
        if (value < 0 || static_cast<size_t>(value) > profile().shared_per_block) {
          return cudaErrorInvalidValue;
        }
        known.dynamic_shared = value;
        return cudaSuccess;
      case cudaFuncAttributePreferredSharedMemoryCarveout:
        return value >= -1 && value <= 100 ? cudaSuccess : cudaErrorInvalidValue;
      case cudaFuncAttributeNonPortableClusterSizeAllowed:
        if (profile().capability < 90) return cudaErrorNotSupported;
        known.large_clusters = value != 0;
        return cudaSuccess;
    }
    return cudaErrorInvalidValue;
  });
}

// A compiler's figures, such as registers, are not known here.
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* function) {
  return call([&] {
    if (function == nullptr) return cudaErrorInvalidDeviceFunction;
    const Function& known = context().functions[function];
    *attributes = {};
    attributes->maxThreadsPerBlock = kThreadsPerBlock;
    attributes->binaryVersion = profile().capability;
    attributes->ptxVersion = context().kernels_capability;
    if (attributes->ptxVersion == 0) attributes->ptxVersion = profile().capability;
    attributes->maxDynamicSharedSizeBytes = known.dynamic_shared;
    attributes->nonPortableClusterSizeAllowed = known.large_clusters ? 1 : 0;
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* function,
                                                          int threads, size_t dynamic_shared) {
  return call([&] {
    if (function == nullptr || threads <= 0) return cudaErrorInvalidValue;
    const Function& known = context().functions[function];
    const bool fits = dynamic_shared <= static_cast<size_t>(known.dynamic_shared);
    *blocks = fits ? blocks_per_multiprocessor(threads, dynamic_shared) : 0;
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveClusters(int* clusters, const void* function,
                                           const cudaLaunchConfig_t* configuration) {
  return call([&] {
    Launch launch = launch_of(*configuration);
    const cudaError_t error = check_launch(launch, context().functions[function]);
    if (error != cudaSuccess) return error;
    *clusters = resident_clusters(launch);
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxPotentialClusterSize(int* size, const void* function,
                                                 const cudaLaunchConfig_t* configuration) {
  return call([&] {
    if (profile().capability < 90) return cudaErrorNotSupported;
    const Launch launch = launch_of(*configuration);
    const Function& known = context().functions[function];
    const int threads = static_cast<int>(launch.block[0] * launch.block[1] * launch.block[2]);
    const bool fits = launch.dynamic_shared <= static_cast<size_t>(known.dynamic_shared) &&
                      blocks_per_multiprocessor(threads, launch.dynamic_shared) > 0;
    const unsigned most = known.large_clusters ? kLargestCluster : kPortableCluster;
    *size = fits ? static_cast<int>(most) : 0;
    return cudaSuccess;
  });
}
