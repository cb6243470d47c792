// SPDX-License-Identifier: Apache-2.0
//
// Device memory, streams and graphs as a caller of the library has them: from the emulation's
// runtime, or from NVIDIA's driver.
#pragma once

#include <cuda_runtime.h>
#include <dlfcn.h>

#include <string>
#include <type_traits>

#include "check.hpp"

namespace gatefuse::test {

// Functions of the driver, by their names there. Of each handle the tests only keep the pointer.
struct Driver {
  int (*cuMemAlloc_v2)(void** memory, size_t bytes);
  int (*cuMemFree_v2)(void* memory);
  int (*cuMemcpyHtoD_v2)(void* to, const void* from, size_t bytes);
  int (*cuMemcpyDtoH_v2)(void* to, const void* from, size_t bytes);
  int (*cuMemcpyAsync)(void* to, const void* from, size_t bytes, void* stream);
  int (*cuStreamCreate)(void** stream, unsigned flags);
  int (*cuStreamDestroy_v2)(void* stream);
  int (*cuStreamSynchronize)(void* stream);
  int (*cuStreamBeginCapture_v2)(void* stream, int mode);
  int (*cuStreamEndCapture)(void* stream, void** graph);
  int (*cuGraphInstantiateWithFlags)(void** executable, void* graph, unsigned long long flags);
  int (*cuGraphLaunch)(void* executable, void* stream);
  int (*cuGraphExecDestroy)(void* executable);
  int (*cuGraphDestroy)(void* graph);
};

inline cudaStream_t stream_of(void* stream) { return static_cast<cudaStream_t>(stream); }

inline Driver emulated_driver() {
  Driver driver = {};
  driver.cuMemAlloc_v2 = [](void** memory, size_t bytes) -> int {
    return cudaMalloc(memory, bytes);
  };
  driver.cuMemFree_v2 = [](void* memory) -> int { return cudaFree(memory); };
  driver.cuMemcpyHtoD_v2 = [](void* to, const void* from, size_t bytes) -> int {
    return cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice);
  };
  driver.cuMemcpyDtoH_v2 = [](void* to, const void* from, size_t bytes) -> int {
    return cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost);
  };
  driver.cuMemcpyAsync = [](void* to, const void* from, size_t bytes, void* stream) -> int {
    return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(stream));
  };
  driver.cuStreamCreate = [](void** stream, unsigned flags) -> int {
    return cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream), flags);
  };
  driver.cuStreamDestroy_v2 = [](void* stream) -> int {
    return cudaStreamDestroy(stream_of(stream));
  };
  driver.cuStreamSynchronize = [](void* stream) -> int {
    return cudaStreamSynchronize(stream_of(stream));
  };
  driver.cuStreamBeginCapture_v2 = [](void* stream, int mode) -> int {
    return cudaStreamBeginCapture(stream_of(stream), static_cast<cudaStreamCaptureMode>(mode));
  };
  driver.cuStreamEndCapture = [](void* stream, void** graph) -> int {
    return cudaStreamEndCapture(stream_of(stream), reinterpret_cast<cudaGraph_t*>(graph));
  };
  driver.cuGraphInstantiateWithFlags = [](void** executable, void* graph,
                                          unsigned long long flags) -> int {
    return cudaGraphInstantiate(reinterpret_cast<cudaGraphExec_t*>(executable),
                                static_cast<cudaGraph_t>(graph), flags);
  };
  driver.cuGraphLaunch = [](void* executable, void* stream) -> int {
    return cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable), stream_of(stream));
  };
  driver.cuGraphExecDestroy = [](void* executable) -> int {
    return cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable));
  };
  driver.cuGraphDestroy = [](void* graph) -> int {
    return cudaGraphDestroy(static_cast<cudaGraph_t>(graph));
  };
  return driver;
}

// NVIDIA's, with device 0 as the calling thread's: in its primary context, as the runtime's is.
inline Driver nvidia_driver() {
  Driver driver = {};
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  CHECK(library != nullptr);
  const auto find = [library](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    report(function != nullptr, __FILE__, __LINE__, std::string("the driver lacks ") + name);
  };
#define GF_FIND(name) find(driver.name, #name)
  GF_FIND(cuMemAlloc_v2);
  GF_FIND(cuMemFree_v2);
  GF_FIND(cuMemcpyHtoD_v2);
  GF_FIND(cuMemcpyDtoH_v2);
  GF_FIND(cuMemcpyAsync);
  GF_FIND(cuStreamCreate);
  GF_FIND(cuStreamDestroy_v2);
  GF_FIND(cuStreamSynchronize);
  GF_FIND(cuStreamBeginCapture_v2);
  GF_FIND(cuStreamEndCapture);
  GF_FIND(cuGraphInstantiateWithFlags);
  GF_FIND(cuGraphLaunch);
  GF_FIND(cuGraphExecDestroy);
  GF_FIND(cuGraphDestroy);
#undef GF_FIND
  int (*initialise)(unsigned flags) = nullptr;
  int (*retain)(void** context, int device) = nullptr;
  int (*make_current)(void* context) = nullptr;
  find(initialise, "cuInit");
  find(retain, "cuDevicePrimaryCtxRetain");
  find(make_current, "cuCtxSetCurrent");
  void* context = nullptr;
  CHECK_EQ(initialise(0), 0);
  CHECK_EQ(retain(&context, 0), 0);
  CHECK_EQ(make_current(context), 0);
  return driver;
}

}  // namespace gatefuse::test
