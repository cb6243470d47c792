// SPDX-License-Identifier: Apache-2.0
#include "cpu/cpu_backend.hpp"

#include <cstdio>
#include <cstdlib>

#include "cpu/machine.hpp"
#include "cpu/memory.hpp"
#include "cpu/session.hpp"
#include "guard.hpp"

namespace gatefuse::cpu {
namespace {

void describe(char* text, int64_t capacity) {
  char name[128];
  device_name(name, sizeof name);
  std::snprintf(text, static_cast<size_t>(capacity),
                "available=1\ndevice=%s\ninstruction_set=%s\nprocessors=%d\n", name,
                find_kernels(GF_ISA_AUTO).name, usable_processors());
}

int32_t device_count() { return 1; }

gf_status host_allocate(int64_t bytes, void** out, gf_message* message) {
  return guard(message, [&] {
    *out = allocate_zeros(64, bytes);
    if (*out == nullptr) {
      throw Error(GF_OUT_OF_MEMORY, "host memory: %lld bytes could not be had",
                  static_cast<long long>(bytes));
    }
  });
}

void host_free(void* memory) { std::free(memory); }

[[noreturn]] void no_device_memory() {
  throw Error(GF_INVALID_ARGUMENT,
              "device memory: expected a backend with a device of its own, got the CPU's");
}

gf_status device_allocate(int32_t, int64_t, void**, gf_message* message) {
  return guard(message, [] { no_device_memory(); });
}

void device_free(void*) {}

gf_status device_copy(const gf_copy*, gf_message* message) {
  return guard(message, [] { no_device_memory(); });
}

gf_status model_create(const gf_spec* spec, const gf_model_options* options, void** model,
                       gf_message* message) {
  return guard(message, [&] { *model = new Model(spec, options); });
}

gf_status model_set_tensor(void* model, int32_t index, const float* data, int64_t count,
                           gf_message* message) {
  return guard(message, [&] { static_cast<Model*>(model)->set_tensor(index, data, count); });
}

gf_status model_update(void* model, const float* parameters, int64_t count, gf_message* message) {
  return guard(message, [&] { static_cast<Model*>(model)->update(parameters, count); });
}

int64_t model_bytes(const void* model) { return static_cast<const Model*>(model)->bytes(); }

void model_destroy(void* model) { delete static_cast<Model*>(model); }

gf_status session_create(void* model, const gf_session_options* options, void** session,
                         gf_message* message) {
  return guard(message, [&] { *session = new Session(*static_cast<Model*>(model), *options); });
}

gf_status session_bytes_needed(void* model, const gf_session_options* options, int64_t* bytes,
                               gf_message* message) {
  return guard(message, [&] {
    *bytes = Session(*static_cast<Model*>(model), *options, Session::kMeasured).bytes();
  });
}

int64_t session_bytes(const void* session) { return static_cast<const Session*>(session)->bytes(); }

void session_path(const void* session, char* text, int64_t capacity) {
  static_cast<const Session*>(session)->path(text, capacity);
}

void session_destroy(void* session) { delete static_cast<Session*>(session); }

gf_status forward(void* session, const gf_io* io, gf_message* message) {
  return guard(message, [&] { static_cast<Session*>(session)->forward(*io); });
}

gf_status backward(void* session, const gf_gradients* gradients, gf_message* message) {
  return guard(message, [&] { static_cast<Session*>(session)->backward(*gradients); });
}

gf_status session_synchronize(void*, gf_message*) { return GF_OK; }

constexpr gf_backend_table kTable = {
    GF_BACKEND_TABLE_VERSION,
    GF_BACKEND_CPU,
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

const gf_backend_table* backend_table() { return &kTable; }

}  // namespace gatefuse::cpu
