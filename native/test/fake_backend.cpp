// SPDX-License-Identifier: Apache-2.0
//
// A backend library for errors_test: it says that it is the CUDA backend and answers each call in a
// way that shows which one it was. FAKE_VERSION and FAKE_AVAILABLE make libraries that do not fit.
#include <cstdio>

#include "backend.h"

#ifndef FAKE_VERSION
#define FAKE_VERSION GF_BACKEND_TABLE_VERSION
#endif
#ifndef FAKE_AVAILABLE
#define FAKE_AVAILABLE 1
#endif

namespace {

int models = 0;
int sessions = 0;

void say(gf_message* message, const char* text) {
  std::snprintf(message->text, sizeof message->text, "%s", text);
}

void describe(char* text, int64_t capacity) {
  std::snprintf(text, static_cast<size_t>(capacity), "available=1\ndevice=fake\nmodels=%d\n",
                models);
}
int32_t device_count() { return 3; }
gf_status host_allocate(int64_t, void** out, gf_message* message) {
  *out = nullptr;
  say(message, "fake: no page-locked memory");
  return GF_OUT_OF_MEMORY;
}
void host_free(void*) {}
gf_status device_allocate(int32_t, int64_t, void** out, gf_message* message) {
  *out = nullptr;
  say(message, "fake: no device memory");
  return GF_OUT_OF_MEMORY;
}
void device_free(void*) {}
gf_status device_copy(const gf_copy*, gf_message* message) {
  say(message, "fake: the device is gone");
  return GF_CONTEXT_LOST;
}
gf_status model_create(const gf_spec*, const gf_model_options*, void** model, gf_message*) {
  ++models;
  *model = &models;
  return GF_OK;
}
gf_status model_set_tensor(void*, int32_t, const float*, int64_t, gf_message* message) {
  say(message, "fake: the device is gone");
  return GF_CONTEXT_LOST;
}
gf_status model_update(void*, const float*, int64_t, gf_message* message) {
  say(message, "fake: the device is gone");
  return GF_CONTEXT_LOST;
}
int64_t model_bytes(const void*) { return 1234; }
void model_destroy(void*) { --models; }
gf_status session_create(void*, const gf_session_options* options, void** session,
                         gf_message* message) {
  if (options->max_steps > 100) {
    say(message, "fake: no memory");
    return GF_OUT_OF_MEMORY;
  }
  ++sessions;
  *session = &sessions;
  return GF_OK;
}
gf_status session_bytes_needed(void*, const gf_session_options*, int64_t* bytes, gf_message*) {
  *bytes = 4321;
  return GF_OK;
}
int64_t session_bytes(const void*) { return 4321; }
void session_path(const void*, char* text, int64_t capacity) {
  std::snprintf(text, static_cast<size_t>(capacity), "backend=fake\n");
}
void session_destroy(void*) { --sessions; }
gf_status forward(void*, const gf_io* io, gf_message* message) {
  if (io->stream != nullptr) return GF_OK;
  say(message, "fake: the kernel failed");
  return GF_BACKEND_FAILED;
}

gf_status backward(void*, const gf_gradients*, gf_message* message) {
  say(message, "fake: no backward");
  return GF_INVALID_STATE;
}

gf_status session_synchronize(void*, gf_message* message) {
  say(message, "fake: a kernel timed out");
  return GF_BACKEND_FAILED;
}

constexpr gf_backend_table kTable = {
    FAKE_VERSION,  GF_BACKEND_CUDA,     describe,         device_count,
    host_allocate, host_free,           device_allocate,  device_free,
    device_copy,   model_create,        model_set_tensor, model_update,
    model_bytes,   model_destroy,       session_create,   session_bytes_needed,
    session_bytes, session_path,        session_destroy,  forward,
    backward,      session_synchronize,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const gf_backend_table* gatefuse_backend_table(
    int32_t, gf_message* message) {
  if (FAKE_AVAILABLE) return &kTable;
  say(message, "fake: no device");
  return nullptr;
}
