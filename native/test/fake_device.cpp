// SPDX-License-Identifier: Apache-2.0
//
// A backend library for tests of the Java side: it says that it is the CUDA backend with two
// devices, computes nothing, and tells in its outputs what it was called with. Device memory is
// host memory to it. A call that completes on its stream is done by the next one or by a wait, as
// late as the contract allows.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "backend.h"

namespace {

// Batches whose calls fail, once they are done.
constexpr int32_t kFails = 13;
constexpr int32_t kLosesContext = 14;

std::atomic<int> blocks{0};

struct Model {
  gf_model_options options;
};

struct Session {
  const Model* model;
  gf_session_options options;
  gf_io pending;
  bool has_pending;
};

gf_status fail(gf_message* message, gf_status status, const char* text) {
  std::snprintf(message->text, sizeof message->text, "%s", text);
  return status;
}

void describe(char* text, int64_t capacity) {
  std::snprintf(text, static_cast<size_t>(capacity),
                "available=1\ndevice=fake device 0\ndevice1=fake device 1\nblocks=%d\n",
                blocks.load());
}

int32_t device_count() { return 2; }

gf_status host_allocate(int64_t bytes, void** out, gf_message* message) {
  if (bytes > 1 << 20) return fail(message, GF_OUT_OF_MEMORY, "fake: no page-locked memory");
  *out = std::calloc(1, static_cast<size_t>(bytes));
  ++blocks;
  return GF_OK;
}

void host_free(void* memory) {
  std::free(memory);
  --blocks;
}

gf_status device_allocate(int32_t, int64_t bytes, void** out, gf_message* message) {
  if (bytes > 1 << 20) return fail(message, GF_OUT_OF_MEMORY, "fake: no device memory");
  *out = std::calloc(1, static_cast<size_t>(bytes));
  ++blocks;
  return GF_OK;
}

void device_free(void* memory) { host_free(memory); }

gf_status device_copy(const gf_copy* copy, gf_message*) {
  for (int64_t i = 0; i < copy->outer; ++i) {
    for (int64_t j = 0; j < copy->inner; ++j) {
      std::memcpy(
          static_cast<float*>(copy->to) + i * copy->to_outer + j * copy->to_inner,
          static_cast<const float*>(copy->from) + i * copy->from_outer + j * copy->from_inner,
          static_cast<size_t>(copy->values) * sizeof(float));
    }
  }
  return GF_OK;
}

gf_status model_create(const gf_spec*, const gf_model_options* options, void** model,
                       gf_message* message) {
  if (options->device == 1 && options->precision == GF_TF32) {
    return fail(message, GF_BACKEND_UNAVAILABLE, "fake: device 1 has no tf32");
  }
  *model = new Model{*options};
  return GF_OK;
}

gf_status model_set_tensor(void*, int32_t, const float*, int64_t, gf_message*) { return GF_OK; }

gf_status model_update(void*, const float*, int64_t, gf_message*) { return GF_OK; }
int64_t model_bytes(const void*) { return 1234; }

void model_destroy(void* model) { delete static_cast<Model*>(model); }

gf_status session_create(void* model, const gf_session_options* options, void** session,
                         gf_message* message) {
  if (options->tier == GF_TIER_GRID) {
    return fail(message, GF_INVALID_ARGUMENT, "tier: the grid is too small");
  }
  *session = new Session{static_cast<Model*>(model), *options, {}, false};
  return GF_OK;
}

gf_status session_bytes_needed(void*, const gf_session_options*, int64_t* bytes, gf_message*) {
  *bytes = 4321;
  return GF_OK;
}
int64_t session_bytes(const void*) { return 4321; }

void session_path(const void* session, char* text, int64_t capacity) {
  const Session* self = static_cast<const Session*>(session);
  std::snprintf(text, static_cast<size_t>(capacity),
                "backend=cuda\ndevice=fake device %d\nprecision=%d\nthreads=1\n"
                "reason=the grid is too small\ntier=%d\ncluster=4\nweights=registers\n"
                "products=%d\n",
                self->model->options.device, self->model->options.precision, self->options.tier,
                self->options.products);
}

void session_destroy(void* session) { delete static_cast<Session*>(session); }

// y = memory, completion, stream, the first input, the first of h0, the first length.
gf_status finish(const gf_io& io, gf_message* message) {
  if (io.batch == kFails) return fail(message, GF_BACKEND_FAILED, "fake: a kernel failed");
  if (io.batch == kLosesContext) {
    return fail(message, GF_CONTEXT_LOST, "fake: the device is gone");
  }
  io.y[0] = static_cast<float>(io.memory);
  io.y[1] = static_cast<float>(io.completion);
  io.y[2] = static_cast<float>(reinterpret_cast<uintptr_t>(io.stream));
  io.y[3] = io.x != nullptr ? io.x[0] : static_cast<float>(io.tokens[0]);
  io.y[4] = io.h0 != nullptr ? io.h0[0] : -1;
  io.y[5] = io.lengths != nullptr ? static_cast<float>(io.lengths[0]) : -1;
  return GF_OK;
}

gf_status session_synchronize(void* session, gf_message* message) {
  Session* self = static_cast<Session*>(session);
  if (!self->has_pending) return GF_OK;
  self->has_pending = false;
  return finish(self->pending, message);
}

gf_status forward(void* session, const gf_io* io, gf_message* message) {
  Session* self = static_cast<Session*>(session);
  const gf_status earlier = session_synchronize(session, message);
  if (earlier != GF_OK) return earlier;
  self->pending = *io;
  self->has_pending = true;
  return io->completion == GF_ON_STREAM ? GF_OK : session_synchronize(session, message);
}

gf_status backward(void*, const gf_gradients*, gf_message* message) {
  std::snprintf(message->text, sizeof message->text, "fake: no backward");
  return GF_INVALID_STATE;
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

extern "C" __attribute__((visibility("default"))) const gf_backend_table* gatefuse_backend_table(
    int32_t, gf_message*) {
  return &kTable;
}
