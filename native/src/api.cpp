// SPDX-License-Identifier: Apache-2.0
//
// The C functions: check the handles, call the backend, keep the sentence. Nothing else.
#include <dlfcn.h>

#include <atomic>
#include <memory>
#include <mutex>

#include "batch.hpp"
#include "cpu/cpu_backend.hpp"
#include "guard.hpp"
#include "spec.hpp"

using namespace gatefuse;

struct gf_model {
  const gf_backend_table* backend;
  void* handle;
  std::atomic<bool> frozen{false};
};

struct gf_session {
  gf_model* model;
  void* handle;
};

namespace {

thread_local gf_message last_error;
std::atomic<const gf_backend_table*> cuda_table{nullptr};
std::mutex load_mutex;

template <class Body>
gf_status call(Body body) {
  return guard(&last_error, body);
}

// Rethrows a backend's status as an Error, so that one place makes sentences.
void check(gf_status status, const gf_message& message) {
  if (status != GF_OK) throw Error(status, "%s", message.text);
}

template <class Pointer>
void not_null(const Pointer* pointer, const char* name) {
  if (pointer == nullptr) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected a pointer, got null", name);
  }
}

void at_least(const char* name, int64_t value, int64_t least) {
  if (value < least) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected at least %lld, got %lld", name,
                static_cast<long long>(least), static_cast<long long>(value));
  }
}

const gf_backend_table* backend_table(int32_t backend) {
  if (backend == 0 || backend == GF_BACKEND_CPU) return cpu::backend_table();
  if (backend != GF_BACKEND_CUDA) {
    throw Error(GF_INVALID_ARGUMENT, "backend: expected %d (CPU) or %d (CUDA), got %d",
                GF_BACKEND_CPU, GF_BACKEND_CUDA, backend);
  }
  return cuda_table.load();
}

const gf_backend_table* loaded_table(int32_t backend) {
  const gf_backend_table* table = backend_table(backend);
  if (table == nullptr) {
    throw Error(GF_BACKEND_UNAVAILABLE, "CUDA backend: no backend library has been loaded");
  }
  return table;
}

void write_text(char* text, int64_t capacity, const char* from) {
  std::snprintf(text, static_cast<size_t>(capacity), "%s", from);
}

void check_text(const char* text, int64_t capacity) {
  not_null(text, "text");
  at_least("capacity", capacity, 1);
}

const char* dl_reason() {
  const char* reason = dlerror();
  return reason == nullptr ? "no reason given" : reason;
}

// Closes a library that turned out not to be a backend.
struct Close {
  void operator()(void* library) const { dlclose(library); }
};

void load_backend(const char* path) {
  if (path[0] != '/') {
    throw Error(GF_INVALID_ARGUMENT, "path: expected an absolute path, got \"%s\"", path);
  }
  const std::lock_guard<std::mutex> lock(load_mutex);
  std::unique_ptr<void, Close> library(dlopen(path, RTLD_NOW | RTLD_LOCAL));
  if (library == nullptr) {
    throw Error(GF_BACKEND_UNAVAILABLE, "backend library %s: %s", path, dl_reason());
  }
  const auto entry =
      reinterpret_cast<gf_backend_entry>(dlsym(library.get(), "gatefuse_backend_table"));
  if (entry == nullptr) {
    throw Error(GF_BACKEND_UNAVAILABLE, "backend library %s: expected it to export %s", path,
                "gatefuse_backend_table");
  }
  gf_message message = {};
  const gf_backend_table* table = entry(GF_BACKEND_TABLE_VERSION, &message);
  if (table == nullptr) throw Error(GF_BACKEND_UNAVAILABLE, "%s", message.text);
  if (table->version != GF_BACKEND_TABLE_VERSION || table->backend != GF_BACKEND_CUDA) {
    throw Error(GF_BACKEND_UNAVAILABLE,
                "backend library %s: expected table version %d of backend %d, got %d of %d", path,
                GF_BACKEND_TABLE_VERSION, GF_BACKEND_CUDA, table->version, table->backend);
  }
  const gf_backend_table* none = nullptr;
  if (cuda_table.compare_exchange_strong(none, table)) library.release();  // it stays to the end
}

}  // namespace

int32_t gf_version(void) { return GF_VERSION_MAJOR * 1000 + GF_VERSION_MINOR; }

const char* gf_last_error(void) { return last_error.text; }

int32_t gf_cpu_instruction_sets(void) { return cpu::instruction_sets(); }

gf_status gf_backend_load(const char* path) {
  return call([&] {
    not_null(path, "path");
    load_backend(path);
  });
}

gf_status gf_backend_describe(int32_t backend, char* text, int64_t capacity) {
  return call([&] {
    check_text(text, capacity);
    const gf_backend_table* table = backend_table(backend);
    if (table == nullptr) {
      write_text(text, capacity, "available=0\nreason=no CUDA backend library has been loaded\n");
    } else {
      table->describe(text, capacity);
    }
  });
}

gf_status gf_device_count(int32_t backend, int32_t* count) {
  return call([&] {
    not_null(count, "count");
    const gf_backend_table* table = backend_table(backend);
    *count = table == nullptr ? 0 : table->device_count();
  });
}

gf_status gf_host_allocate(int32_t backend, int64_t bytes, void** out) {
  return call([&] {
    not_null(out, "out");
    at_least("bytes", bytes, 1);
    gf_message message = {};
    check(loaded_table(backend)->host_allocate(bytes, out, &message), message);
  });
}

void gf_host_free(int32_t backend, void* memory) {
  if (memory == nullptr) return;
  call([&] { loaded_table(backend)->host_free(memory); });
}

gf_status gf_device_allocate(int32_t backend, int32_t device, int64_t bytes, void** out) {
  return call([&] {
    not_null(out, "out");
    at_least("bytes", bytes, 1);
    gf_message message = {};
    check(loaded_table(backend)->device_allocate(device, bytes, out, &message), message);
  });
}

void gf_device_free(int32_t backend, void* memory) {
  if (memory == nullptr) return;
  call([&] { loaded_table(backend)->device_free(memory); });
}

gf_status gf_device_copy(int32_t backend, const gf_copy* copy) {
  return call([&] {
    const gf_copy given = read_struct(copy, "copy");
    not_null(given.to, "to");
    not_null(given.from, "from");
    at_least("values", given.values, 1);
    at_least("inner", given.inner, 1);
    at_least("outer", given.outer, 1);
    in_range("reserved", given.reserved, 0, 0);
    gf_message message = {};
    check(loaded_table(backend)->device_copy(&given, &message), message);
  });
}

gf_status gf_tensor_count(const gf_spec* spec, int32_t* count) {
  return call([&] {
    not_null(count, "count");
    *count = Spec(spec).tensor_count();
  });
}

gf_status gf_tensor_shape(const gf_spec* spec, int32_t index, int64_t* rows, int64_t* columns) {
  return call([&] {
    not_null(rows, "rows");
    not_null(columns, "columns");
    const Spec::Tensor tensor = Spec(spec).tensor(index);
    *rows = tensor.rows;
    *columns = tensor.columns;
  });
}

gf_status gf_model_create(const gf_spec* spec, const gf_model_options* options, gf_model** out) {
  return call([&] {
    not_null(out, "out");
    gf_model_options given = {};
    given.struct_size = sizeof given;
    if (options != nullptr) given = read_struct(options, "options");
    const gf_backend_table* table = loaded_table(given.backend);
    gf_model* model = new gf_model{table, nullptr};
    gf_message message = {};
    const gf_status status = table->model_create(spec, &given, &model->handle, &message);
    if (status != GF_OK) delete model;
    check(status, message);
    *out = model;
  });
}

gf_status gf_model_set_tensor(gf_model* model, int32_t index, const float* data, int64_t count) {
  return call([&] {
    not_null(model, "model");
    not_null(data, "data");
    if (model->frozen) {
      throw Error(GF_INVALID_STATE,
                  "model: expected all tensors before the first session, got tensor %d after it",
                  index);
    }
    gf_message message = {};
    check(model->backend->model_set_tensor(model->handle, index, data, count, &message), message);
  });
}

gf_status gf_model_update(gf_model* model, const float* parameters, int64_t count) {
  return call([&] {
    not_null(model, "model");
    not_null(parameters, "parameters");
    gf_message message = {};
    check(model->backend->model_update(model->handle, parameters, count, &message), message);
  });
}

int64_t gf_model_bytes(const gf_model* model) {
  return model == nullptr ? 0 : model->backend->model_bytes(model->handle);
}

void gf_model_destroy(gf_model* model) {
  if (model == nullptr) return;
  model->backend->model_destroy(model->handle);
  delete model;
}

gf_status gf_session_create(gf_model* model, const gf_session_options* options, gf_session** out) {
  return call([&] {
    not_null(model, "model");
    not_null(out, "out");
    const gf_session_options given = read_struct(options, "options");
    gf_session* session = new gf_session{model, nullptr};
    gf_message message = {};
    const gf_status status =
        model->backend->session_create(model->handle, &given, &session->handle, &message);
    if (status != GF_OK) delete session;
    check(status, message);
    model->frozen = true;
    *out = session;
  });
}

gf_status gf_session_bytes_needed(gf_model* model, const gf_session_options* options,
                                  int64_t* bytes) {
  return call([&] {
    not_null(model, "model");
    not_null(bytes, "bytes");
    const gf_session_options given = read_struct(options, "options");
    gf_message message = {};
    check(model->backend->session_bytes_needed(model->handle, &given, bytes, &message), message);
  });
}

int64_t gf_session_bytes(const gf_session* session) {
  return session == nullptr ? 0 : session->model->backend->session_bytes(session->handle);
}

gf_status gf_session_path(const gf_session* session, char* text, int64_t capacity) {
  return call([&] {
    not_null(session, "session");
    check_text(text, capacity);
    session->model->backend->session_path(session->handle, text, capacity);
  });
}

void gf_session_destroy(gf_session* session) {
  if (session == nullptr) return;
  session->model->backend->session_destroy(session->handle);
  delete session;
}

gf_status gf_forward(gf_session* session, const gf_io* io) {
  return call([&] {
    not_null(session, "session");
    const gf_io given = read_struct(io, "io");
    gf_message message;
    message.text[0] = '\0';
    check(session->model->backend->forward(session->handle, &given, &message), message);
  });
}

gf_status gf_backward(gf_session* session, const gf_gradients* gradients) {
  return call([&] {
    not_null(session, "session");
    const gf_gradients given = read_struct(gradients, "gradients");
    gf_message message;
    message.text[0] = '\0';
    check(session->model->backend->backward(session->handle, &given, &message), message);
  });
}

gf_status gf_session_synchronize(gf_session* session) {
  return call([&] {
    not_null(session, "session");
    gf_message message = {};
    check(session->model->backend->session_synchronize(session->handle, &message), message);
  });
}
