// SPDX-License-Identifier: Apache-2.0
//
// The CUDA backend's table, the one symbol of its library.
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "backend.h"
#include "cuda/copies.hpp"
#include "cuda/device.hpp"
#include "cuda/model.hpp"
#include "cuda/session.hpp"
#include "guard.hpp"

namespace gatefuse::cuda {
namespace {

// A session and the device that its functions need.
struct Owned {
  int device;
  std::unique_ptr<Session> session;
};

std::string description() {
  std::string reason;
  const int devices = usable_devices(&reason);
  std::string lines = devices > 0 ? "available=1\n" : "available=0\nreason=" + reason + "\n";
  for (int i = 0; i < devices; ++i) {
    const DeviceFacts facts = DeviceFacts::of(i);
    const std::string key = i == 0 ? "device" : "device" + std::to_string(i);
    lines += key + "=" + facts.name + ", compute capability " + capability_text(facts.capability) +
             ", " + std::to_string(facts.multiprocessors) + " multiprocessors, " +
             std::to_string(facts.memory >> 20) + " MiB\n";
  }
  return lines;
}

void describe(char* text, int64_t capacity) {
  gf_message message = {};
  const gf_status status = guard(&message, [&] {
    std::snprintf(text, static_cast<size_t>(capacity), "%s", description().c_str());
  });
  if (status == GF_OK) return;
  std::snprintf(text, static_cast<size_t>(capacity), "available=0\nreason=%s\n", message.text);
}

int32_t device_count() {
  gf_message message = {};
  int32_t count = 0;
  guard(&message, [&] {
    std::string reason;
    count = usable_devices(&reason);
  });
  return count;
}

gf_status host_allocate(int64_t bytes, void** out, gf_message* message) {
  return guard(message, [&] {
    void* memory = nullptr;
    check(cudaMallocHost(&memory, static_cast<size_t>(bytes)), "page-locked host memory");
    *out = std::memset(memory, 0, static_cast<size_t>(bytes));
  });
}

void host_free(void* memory) { cudaFreeHost(memory); }

// Throws where there is no such device.
void check_device(int32_t device) {
  std::string reason;
  const int devices = usable_devices(&reason);
  if (devices == 0) throw Error(GF_BACKEND_UNAVAILABLE, "CUDA backend: %s", reason.c_str());
  in_range("device", device, 0, devices - 1);
}

gf_status device_allocate(int32_t device, int64_t bytes, void** out, gf_message* message) {
  return guard(message, [&] {
    check_device(device);
    const UseDevice use(device);
    // What the default stream has done, all others see.
    *out = allocate_zeros(nullptr, "device memory", bytes);
    const cudaError_t error = cudaStreamSynchronize(nullptr);
    if (error != cudaSuccess) cudaFree(*out);
    check(error, "device memory");
  });
}

void device_free(void* memory) { cudaFree(memory); }

// The same for calls that are made often: to ask a device what it is takes long.
void check_device_number(int32_t device) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || device < 0 || device >= devices) {
    cudaGetLastError();
    check_device(device);
  }
}

gf_status device_copy(const gf_copy* given, gf_message* message) {
  return guard(message, [&] {
    check_device_number(given->device);
    const UseDevice use(given->device);
    copy_pieces(*given);
  });
}

gf_status model_create(const gf_spec* spec, const gf_model_options* options, void** model,
                       gf_message* message) {
  return guard(message, [&] {
    check_device(options->device);
    const UseDevice use(options->device);
    *model = new Model(spec, options);
  });
}

gf_status model_set_tensor(void* model, int32_t index, const float* data, int64_t count,
                           gf_message* message) {
  return guard(message, [&] {
    Model& self = *static_cast<Model*>(model);
    const UseDevice use(self.device().index);
    self.set_tensor(index, data, count);
  });
}

gf_status model_update(void* model, const float* parameters, int64_t count, gf_message* message) {
  return guard(message, [&] {
    Model& self = *static_cast<Model*>(model);
    const UseDevice use(self.device().index);
    self.update(parameters, count);
  });
}

int64_t model_bytes(const void* model) { return static_cast<const Model*>(model)->bytes(); }

void model_destroy(void* model) {
  Model* self = static_cast<Model*>(model);
  const UseDevice use(self->device().index, std::nothrow);
  delete self;
}

gf_status session_create(void* model, const gf_session_options* options, void** session,
                         gf_message* message) {
  return guard(message, [&] {
    Model& of = *static_cast<Model*>(model);
    const UseDevice use(of.device().index);
    *session = new Owned{of.device().index, std::make_unique<Session>(of, *options)};
  });
}

gf_status session_bytes_needed(void* model, const gf_session_options* options, int64_t* bytes,
                               gf_message* message) {
  return guard(message, [&] {
    Model& of = *static_cast<Model*>(model);
    const UseDevice use(of.device().index);
    *bytes = Session(of, *options, Session::kMeasured).bytes();
  });
}

int64_t session_bytes(const void* session) {
  return static_cast<const Owned*>(session)->session->bytes();
}

void session_path(const void* session, char* text, int64_t capacity) {
  static_cast<const Owned*>(session)->session->path(text, capacity);
}

void session_destroy(void* session) {
  Owned* self = static_cast<Owned*>(session);
  const UseDevice use(self->device, std::nothrow);
  delete self;
}

gf_status forward(void* session, const gf_io* io, gf_message* message) {
  return guard(message, [&] {
    Owned& self = *static_cast<Owned*>(session);
    const UseDevice use(self.device);
    self.session->forward(*io);
  });
}

gf_status backward(void* session, const gf_gradients* gradients, gf_message* message) {
  return guard(message, [&] {
    Owned& self = *static_cast<Owned*>(session);
    const UseDevice use(self.device);
    self.session->backward(*gradients);
  });
}

gf_status session_synchronize(void* session, gf_message* message) {
  return guard(message, [&] {
    Owned& self = *static_cast<Owned*>(session);
    const UseDevice use(self.device);
    self.session->synchronize();
  });
}

constexpr gf_backend_table kTable = {
    GF_BACKEND_TABLE_VERSION,
    GF_BACKEND_CUDA,
    describe,
    device_count,
    host_allocate,
    host_free,
    device_allocate,
    device_free,
    device_copy,
    model_create,
    model_set_tensor,
    model_update,
    model_bytes,
    model_destroy,
    session_create,
    session_bytes_needed,
    session_bytes,
    session_path,
    session_destroy,
    forward,
    backward,
    session_synchronize,
};

}  // namespace
}  // namespace gatefuse::cuda

extern "C" __attribute__((visibility("default"))) const gf_backend_table* gatefuse_backend_table(
    int32_t version, gf_message* message) {
  if (version == GF_BACKEND_TABLE_VERSION) return &gatefuse::cuda::kTable;
  std::snprintf(message->text, sizeof message->text,
                "CUDA backend library: expected to be asked for table version %d, got %d; use jars "
                "of one version",
                GF_BACKEND_TABLE_VERSION, version);
  return nullptr;
}
