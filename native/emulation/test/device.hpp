// SPDX-License-Identifier: Apache-2.0
//
// What the tests' host code needs of CUDA's runtime, the same on a GPU and in the emulation.
#pragma once

#include <cuda_runtime.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace gatefuse::test {

// The first error since the last one was taken; tests look at it when they are through.
inline std::string& device_error() {
  static std::string sentence;
  return sentence;
}

inline bool good(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return true;
  if (device_error().empty()) {
    device_error() =
        std::string(what) + ": " + cudaGetErrorName(error) + ": " + cudaGetErrorString(error);
    std::fprintf(stderr, "%s\n", device_error().c_str());
  }
  return false;
}

inline std::string take_device_error() { return std::exchange(device_error(), std::string()); }

// An array in device memory.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(size_t count) : count_(count) {
    good(cudaMalloc(&data_, count * sizeof(T)), "cudaMalloc");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    good(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice),
         "cudaMemcpy");
  }
  ~DeviceArray() { good(cudaFree(data_), "cudaFree"); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* get() const { return data_; }
  std::vector<T> values() const {
    std::vector<T> result(count_);
    good(cudaMemcpy(result.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost),
         "cudaMemcpy");
    return result;
  }

 private:
  size_t count_;
  T* data_ = nullptr;
};

struct Shape {
  unsigned blocks = 1;
  unsigned threads = 32;
  size_t shared = 0;
  unsigned cluster = 0;  // blocks; 0 for no clusters
  bool cooperative = false;
};

template <class... P, class... A>
cudaError_t launch(const Shape& shape, void (*kernel)(P...), A... arguments) {
  cudaLaunchConfig_t configuration = {};
  configuration.gridDim = dim3(shape.blocks);
  configuration.blockDim = dim3(shape.threads);
  configuration.dynamicSmemBytes = shape.shared;
  cudaLaunchAttribute attribute = {};
  if (shape.cooperative) {
    attribute.id = cudaLaunchAttributeCooperative;
    attribute.val.cooperative = 1;
  }
  if (shape.cluster > 0) {
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = shape.cluster;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  }
  configuration.attrs = &attribute;
  configuration.numAttrs = shape.cooperative || shape.cluster > 0 ? 1 : 0;
  return cudaLaunchKernelEx(&configuration, kernel, static_cast<P>(arguments)...);
}

// Launches and waits.
template <class... P, class... A>
bool run(const Shape& shape, void (*kernel)(P...), A... arguments) {
  return good(launch(shape, kernel, arguments...), "launch") &&
         good(cudaStreamSynchronize(nullptr), "kernel");
}

}  // namespace gatefuse::test
