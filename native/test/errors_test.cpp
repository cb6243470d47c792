// SPDX-License-Identifier: Apache-2.0
//
// Every wrong argument of every function of gatefuse.h gives its status and a sentence that says
// what was expected and what came, and leaves all handles usable.
#include "errors.hpp"

#if GATEFUSE_SANITIZED
// Memory that cannot be had is part of the test: it must be refused, not end the process.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_options() {
  return "allocator_may_return_null=1";
}
#endif

using namespace gatefuse::test;

namespace {

// ---- Specifications ---------------------------------------------------------------------------

struct SpecCase {
  int32_t gf_spec::*field;
  int32_t value;
  std::initializer_list<std::string> parts;
};

void check_spec_fields() {
  const SpecCase cases[] = {
      {&gf_spec::cell, -1, {"cell: expected 0 .. 9, got -1"}},
      {&gf_spec::cell, 10, {"cell: expected 0 .. 9, got 10"}},
      {&gf_spec::input_size, 0, {"input_size: expected at least 1, got 0"}},
      {&gf_spec::input_size, INT32_MIN, {"input_size: expected at least 1, got -2147483648"}},
      {&gf_spec::hidden_size, 0, {"hidden_size: expected at least 1, got 0"}},
      {&gf_spec::hidden_size, -8, {"hidden_size: expected at least 1, got -8"}},
      {&gf_spec::hidden_size, INT32_MAX, {"hidden_size 2147483647", "more than"}},
      {&gf_spec::layers, 0, {"layers: expected at least 1, got 0"}},
      {&gf_spec::layers, INT32_MAX, {"2147483647 layers", "more than"}},
      {&gf_spec::directions, 0, {"directions: expected 1 or 2, got 0"}},
      {&gf_spec::directions, 3, {"directions: expected 1 or 2, got 3"}},
      {&gf_spec::chunk, 0, {"chunk: expected at least 1, got 0"}},
      {&gf_spec::chunk, 3, {"chunk: expected a divisor of hidden_size 8", "got 3"}},
      {&gf_spec::chunk, 16, {"chunk: expected a divisor of hidden_size 8", "got 16"}},
      {&gf_spec::vocabulary, -1, {"vocabulary: expected at least 0, got -1"}},
      {&gf_spec::outputs, -1, {"outputs: expected at least 0, got -1"}},
  };
  for (const SpecCase& one : cases) {
    gf_spec spec = make_spec(GF_LSTM_CUMAX, 4, 8);
    spec.*one.field = one.value;
    int32_t count = -7;
    int64_t rows = -7, columns = -7;
    gf_model* model = untouched<gf_model>();
    const auto check = [&](gf_status status, const char* call) {
      expect_error(status, GF_INVALID_ARGUMENT, call, __FILE__, __LINE__, one.parts);
    };
    check(gf_tensor_count(&spec, &count), "gf_tensor_count");
    check(gf_tensor_shape(&spec, 0, &rows, &columns), "gf_tensor_shape");
    check(gf_model_create(&spec, nullptr, &model), "gf_model_create");
    CHECK(count == -7 && rows == -7 && columns == -7 && model == untouched<gf_model>());
  }
  // Only a cell with a cumulative softmax can have chunks.
  gf_spec spec = make_spec(GF_LSTM, 4, 8);
  spec.chunk = 2;
  int32_t count = 0;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_tensor_count(&spec, &count), "chunk: expected", "got 2");
}

void check_spec_struct() {
  gf_spec spec = make_spec(GF_LSTM, 4, 8);
  int32_t count = 0;
  int64_t rows = 0, columns = 0;
  gf_model* model = nullptr;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_tensor_count(nullptr, &count), "spec: expected", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_tensor_count(&spec, nullptr), "count: expected", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_tensor_shape(nullptr, 0, &rows, &columns), "spec", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_tensor_shape(&spec, 0, nullptr, &columns), "rows", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_tensor_shape(&spec, 0, &rows, nullptr), "columns", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_tensor_shape(&spec, -1, &rows, &columns),
               "tensor index: expected 0 .. 3, got -1");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_tensor_shape(&spec, 4, &rows, &columns),
               "tensor index: expected 0 .. 3, got 4");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_create(nullptr, nullptr, &model), "spec", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_create(&spec, nullptr, nullptr), "out", "null");
  for (const uint32_t size : {0u, 3u, 1u << 17, 0xffffffffu}) {
    spec.struct_size = size;
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_tensor_count(&spec, &count), "spec.struct_size: expected",
                 "got " + std::to_string(size));
  }
  // Too short for the fields that must not be zero.
  spec.struct_size = offsetof(gf_spec, layers);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_tensor_count(&spec, &count), "layers", "got 0");
}

// An older caller's struct ends early, a newer one's late: both are read.
void check_spec_ages() {
  gf_spec spec = make_spec(GF_LSTM, 4, 8);
  spec.vocabulary = spec.outputs = -5;  // past the end of what follows
  spec.struct_size = offsetof(gf_spec, vocabulary);
  int32_t count = 0;
  CHECK_EQ(gf_tensor_count(&spec, &count), GF_OK);
  CHECK_EQ(count, 4);
  struct {
    gf_spec spec;
    int64_t added[3];
  } newer = {make_spec(GF_LSTM, 4, 8), {1, 2, 3}};
  newer.spec.struct_size = sizeof newer;
  newer.spec.outputs = 5;
  CHECK_EQ(gf_tensor_count(&newer.spec, &count), GF_OK);
  CHECK_EQ(count, 6);
}

// What the header says of the order and shapes of the tensors.
void check_tensor_shapes() {
  gf_spec spec = make_spec(GF_ONLSTM, 5, 12, 2, 2);
  spec.chunk = 3;
  spec.vocabulary = 7;
  spec.outputs = 9;
  const int64_t rows = 4 * 12 + 2 * 4;
  const int64_t expected[][2] = {{rows, 5},  {rows, 12}, {rows, 1},  {rows, 1},  {rows, 5},
                                 {rows, 12}, {rows, 1},  {rows, 1},  {rows, 24}, {rows, 12},
                                 {rows, 1},  {rows, 1},  {rows, 24}, {rows, 12}, {rows, 1},
                                 {rows, 1},  {7, 5},     {9, 24},    {9, 1}};
  int32_t count = 0;
  CHECK_EQ(gf_tensor_count(&spec, &count), GF_OK);
  CHECK_EQ(count, 19);
  for (int32_t index = 0; index < 19; ++index) {
    int64_t r = 0, c = 0;
    CHECK_EQ(gf_tensor_shape(&spec, index, &r, &c), GF_OK);
    CHECK_EQ(r, expected[index][0]);
    CHECK_EQ(c, expected[index][1]);
  }
}

// ---- Models -----------------------------------------------------------------------------------

void check_model_options() {
  const gf_spec spec = make_spec(GF_LSTM, 4, 8);
  gf_model* model = untouched<gf_model>();
  gf_model_options options = {sizeof options, 0, 0, 0, 0};
  options.struct_size = 1;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_create(&spec, &options, &model),
               "options.struct_size: expected", "got 1");
  options = {sizeof options, 99, 0, 0, 0};
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_create(&spec, &options, &model),
               "backend: expected 1 (CPU) or 2 (CUDA), got 99");
  options = {sizeof options, GF_BACKEND_CUDA, 0, 0, 0};
  EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_model_create(&spec, &options, &model), "CUDA",
               "no backend library has been loaded");
  for (const int32_t set : {-1, 3, 16}) {
    options = {sizeof options, GF_BACKEND_CPU, set, 0, 0};
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_create(&spec, &options, &model),
                 "instruction_set: expected a GF_ISA_ value", "got");
  }
  for (const int32_t set : {GF_ISA_GENERIC, GF_ISA_BASELINE, GF_ISA_AVX2, GF_ISA_AVX512}) {
    if ((gf_cpu_instruction_sets() & set) != 0) continue;
    options = {sizeof options, GF_BACKEND_CPU, set, 0, 0};
    EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_model_create(&spec, &options, &model),
                 "instruction set", "expected one that runs here",
                 set_name(instruction_sets().back()));
  }
  for (const int precision : std::vector<int>{GF_TF32, GF_FLOAT16, 77, -1}) {
    options = {sizeof options, GF_BACKEND_CPU, 0, precision, 0};
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_create(&spec, &options, &model),
                 "precision: expected GF_FLOAT32, GF_BFLOAT16 or GF_INT8 on the CPU, got");
  }
  options = {sizeof options, GF_BACKEND_CPU, 0, 0, 1};
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_create(&spec, &options, &model),
               "device: expected 0 on the CPU, got 1");
  CHECK(model == untouched<gf_model>());
}

// More than an address space holds. Nothing that some machine might have: it would be filled with
// zeros.
void check_model_memory() {
  gf_model* model = untouched<gf_model>();
  gf_spec spec = make_spec(GF_LSTM, INT32_MAX, (1 << 29) - 1);
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_model_create(&spec, nullptr, &model), "weight_ih",
               "more than an address space");
  spec = make_spec(GF_GRU, 1 << 15, 8);
  spec.vocabulary = INT32_MAX;
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_model_create(&spec, nullptr, &model), "embedding",
               "more than an address space");
  CHECK(model == untouched<gf_model>());
}

void check_set_tensor() {
  const gf_spec spec = make_spec(GF_LSTM, 4, 8);
  gf_model* model = nullptr;
  CHECK_EQ(gf_model_create(&spec, nullptr, &model), GF_OK);
  const std::vector<float> data(32 * 8);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_set_tensor(nullptr, 0, data.data(), 128), "model",
               "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_set_tensor(model, 0, nullptr, 128), "data", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_set_tensor(model, -1, data.data(), 128),
               "tensor index: expected 0 .. 3, got -1");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_set_tensor(model, 4, data.data(), 128),
               "tensor index: expected 0 .. 3, got 4");
  for (const int64_t count : {int64_t{0}, int64_t{-128}, int64_t{127}, int64_t{129}, INT64_MAX}) {
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_set_tensor(model, 0, data.data(), count),
                 "tensor 0: expected 32 x 4 = 128 values, got " + std::to_string(count));
  }
  // A session needs all weights; biases may be missing.
  gf_session_options options = session_options(2, 2, 1, 0);
  gf_session* session = untouched<gf_session>();
  CHECK_EQ(gf_model_set_tensor(model, 0, data.data(), 128), GF_OK);
  EXPECT_ERROR(GF_INVALID_STATE, gf_session_create(model, &options, &session), "tensor 1");
  CHECK(session == untouched<gf_session>());
  CHECK_EQ(gf_model_set_tensor(model, 1, data.data(), 256), GF_OK);
  CHECK_EQ(gf_session_create(model, &options, &session), GF_OK);
  EXPECT_ERROR(GF_INVALID_STATE, gf_model_set_tensor(model, 2, data.data(), 32),
               "before the first session", "tensor 2");
  CHECK(gf_model_bytes(model) >= static_cast<int64_t>(sizeof(float)) * 32 * 14);
  CHECK(gf_session_bytes(session) > 0);
  CHECK_EQ(gf_model_bytes(nullptr), 0);
  CHECK_EQ(gf_session_bytes(nullptr), 0);
  gf_session_destroy(session);
  gf_model_destroy(model);
  gf_session_destroy(nullptr);
  gf_model_destroy(nullptr);
}

// ---- Sessions ---------------------------------------------------------------------------------

void check_session_options() {
  const Network network(make_spec(GF_LSTM, 4, 8), 1);
  gf_session* session = untouched<gf_session>();
  gf_session_options good = session_options(2, 2, 1, 0);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_create(nullptr, &good, &session), "model", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_create(network.model, nullptr, &session), "options",
               "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_create(network.model, &good, nullptr), "out",
               "null");
  const auto sized = [](uint32_t size) {
    gf_session_options options = session_options(2, 2);
    options.struct_size = size;
    return options;
  };
  struct {
    gf_session_options options;
    std::string part;
  } cases[] = {
      {sized(0), "options.struct_size: expected"},
      {sized(1u << 20), "options.struct_size: expected"},
      {session_options(0, 2, 1, 0), "max_steps: expected 1 .. 2147483647, got 0"},
      {session_options(-1, 2, 1, 0), "max_steps: expected 1 .. 2147483647, got -1"},
      {session_options(2, 0, 1, 0), "max_batch: expected 1 .. 2147483647, got 0"},
      {session_options(2, INT32_MIN, 1, 0), "max_batch: expected 1 .. 2147483647, got -2147483648"},
      {session_options(2, 2, -1, 0), "threads: expected 0 .. 2147483647, got -1"},
      {session_options(2, 2, 1, GF_TIER_SLICE),
       "tier: expected GF_TIER_AUTO (0) on the CPU, got 2"},
      {session_options(2, 2, 1, 0, 0, GF_PRODUCTS_CUBLASLT),
       "products: expected GF_PRODUCTS_OWN (0) on the CPU, got 1"},
      {sized(offsetof(gf_session_options, max_batch)), "max_batch: expected"},
  };
  for (const auto& one : cases) {
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_create(network.model, &one.options, &session),
                 one.part);
  }
  CHECK(session == untouched<gf_session>());
  good.threads = INT32_MAX;  // as many as there are
  CHECK_EQ(gf_session_create(network.model, &good, &session), GF_OK);
  gf_session_destroy(session);
  good.struct_size = offsetof(gf_session_options, threads);
  CHECK_EQ(gf_session_create(network.model, &good, &session), GF_OK);
  gf_session_destroy(session);
}

// A session that does not fit is refused, and leaves the model as it was: tensors may still be set,
// and what follows from them (the table of projected tokens) follows from the new ones.
void check_session_memory() {
  gf_spec spec = make_spec(GF_GRU, 3, 64, 65);
  spec.vocabulary = 5;
  const Network first(spec, 1), second(spec, 2);
  gf_session* session = untouched<gf_session>();
  const gf_session_options huge =
      session_options(INT32_MAX, INT32_MAX, 1, GF_TIER_AUTO, GF_BACKWARD_STORE);
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_session_create(first.model, &huge, &session), "session state",
               "more than an address space");
  CHECK(session == untouched<gf_session>());
  for (int32_t i = 0; i < static_cast<int32_t>(second.tensors.size()); ++i) {
    const std::vector<float>& tensor = second.tensors[i];
    const int64_t count = static_cast<int64_t>(tensor.size());
    CHECK_EQ(gf_model_set_tensor(first.model, i, tensor.data(), count), GF_OK);
  }
  const Call call = random_call(spec, 4, 2, false, false, 1);
  CHECK(same_bits(forward(Runner(first, 4, 2), call), forward(Runner(second, 4, 2), call)));
}

void check_texts() {
  const Network network(make_spec(GF_LSTM, 4, 8), 1);
  const Runner runner(network, 2, 2);
  char text[256] = "";
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_path(nullptr, text, 256), "session", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_path(runner.session, nullptr, 256), "text", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_path(runner.session, text, 0),
               "capacity: expected at least 1, got 0");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backend_describe(GF_BACKEND_CPU, nullptr, 256), "text",
               "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backend_describe(GF_BACKEND_CPU, text, -1),
               "capacity: expected at least 1, got -1");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backend_describe(7, text, 256), "backend: expected",
               "got 7");
  CHECK_EQ(gf_session_path(runner.session, text, sizeof text), GF_OK);
  const std::string path = text;
  CHECK(path.find("backend=cpu\n") != std::string::npos);
  CHECK(path.find("precision=float32\n") != std::string::npos);
  CHECK(path.find("threads=1\n") != std::string::npos);
  CHECK(path.find(std::string("instruction_set=") + set_name(instruction_sets().back()) + "\n") !=
        std::string::npos);
  CHECK_EQ(gf_backend_describe(GF_BACKEND_CPU, text, sizeof text), GF_OK);
  CHECK(std::string(text).find("available=1\ndevice=") == 0);
  CHECK_EQ(gf_backend_describe(GF_BACKEND_CUDA, text, sizeof text), GF_OK);
  CHECK(std::string(text).find("available=0\nreason=") == 0);
  // What is longer than the text is cut, and ends in zero.
  std::fill(text, text + sizeof text, 'x');
  CHECK_EQ(gf_session_path(runner.session, text, 9), GF_OK);
  CHECK_EQ(std::string(text, 10), std::string("backend=\0x", 10));
  CHECK_EQ(gf_backend_describe(GF_BACKEND_CPU, text, 1), GF_OK);
  CHECK_EQ(std::string(text, 2), std::string("\0a", 2));
  CHECK_EQ(gf_version(), 1004);
}

// ---- Forward ----------------------------------------------------------------------------------

// Where buffers lie and when they are complete: on the CPU there is one way.
void check_forward_places() {
  Good good(make_spec(GF_LSTM, 4, 8), false);
  EXPECT_FIELD(good, memory, GF_MEMORY_DEVICE, "memory: expected GF_MEMORY_HOST on the CPU");
  EXPECT_FIELD(good, completion, GF_ON_STREAM, "completion: expected GF_ON_RETURN on the CPU");
}

// ---- Backends ---------------------------------------------------------------------------------

void check_backend_load() {
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backend_load(nullptr), "path", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backend_load(""), "path: expected an absolute path");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backend_load("libm.so.6"), "path: expected an absolute path",
               "libm.so.6");
  EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_backend_load("/no/such/library.so"),
               "backend library /no/such/library.so");
  EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_backend_load("/etc/passwd"),
               "backend library /etc/passwd");
  EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_backend_load("/"), "backend library /");
  EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_backend_load(GATEFUSE_LIBRARY),
               "expected it to export gatefuse_backend_table");
  EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_backend_load(FAKE_OTHER_VERSION),
               "expected table version 4 of backend 2, got 77 of 2");
  EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_backend_load(FAKE_UNAVAILABLE), "fake: no device");
  char text[256] = "";
  CHECK_EQ(gf_backend_describe(GF_BACKEND_CUDA, text, sizeof text), GF_OK);
  CHECK(std::string(text).find("available=0\n") == 0);
  int32_t devices = 77;
  CHECK_EQ(gf_device_count(GF_BACKEND_CUDA, &devices), GF_OK);
  CHECK_EQ(devices, 0);
  void* memory = nullptr;
  EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_host_allocate(GF_BACKEND_CUDA, 64, &memory),
               "no backend library has been loaded");
}

// What a later backend has, the CPU answers or refuses in its own way.
void check_devices_and_memory() {
  int32_t devices = 0;
  CHECK_EQ(gf_device_count(GF_BACKEND_CPU, &devices), GF_OK);
  CHECK_EQ(devices, 1);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_device_count(GF_BACKEND_CPU, nullptr), "count", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_device_count(77, &devices), "backend", "got 77");
  void* memory = nullptr;
  CHECK_EQ(gf_host_allocate(GF_BACKEND_CPU, 100, &memory), GF_OK);
  CHECK_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
  for (int i = 0; i < 100; ++i) CHECK_EQ(static_cast<char*>(memory)[i], 0);
  gf_host_free(GF_BACKEND_CPU, memory);
  gf_host_free(GF_BACKEND_CPU, nullptr);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_host_allocate(GF_BACKEND_CPU, 0, &memory),
               "bytes: expected at least 1, got 0");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_host_allocate(GF_BACKEND_CPU, 1, nullptr), "out", "null");
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_host_allocate(GF_BACKEND_CPU, INT64_MAX, &memory),
               "9223372036854775807 bytes");
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_host_allocate(GF_BACKEND_CPU, int64_t{1} << 50, &memory),
               "could not be had");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_synchronize(nullptr), "session", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_device_allocate(GF_BACKEND_CPU, 0, 4, &memory),
               "expected a backend with a device of its own, got the CPU's");
  float one = 1, other = 2;
  const gf_copy copy = {sizeof copy, 0, &one,    &other,       1, 1, 1, 0, 0,
                        0,           0, nullptr, GF_ON_RETURN, 0};
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_device_copy(GF_BACKEND_CPU, &copy),
               "expected a backend with a device of its own, got the CPU's");
  gf_device_free(GF_BACKEND_CPU, nullptr);
}

// A backend from a library is asked for what it is asked for, and its failures come through.
void check_loaded_backend() {
  CHECK_EQ(gf_backend_load(FAKE_BACKEND), GF_OK);
  CHECK_EQ(gf_backend_load(FAKE_BACKEND), GF_OK);  // again: the first is kept
  const gf_spec spec = make_spec(GF_LSTM, 4, 8);
  gf_model_options options = {};
  options.struct_size = sizeof options;
  options.backend = GF_BACKEND_CUDA;
  gf_model* model = nullptr;
  CHECK_EQ(gf_model_create(&spec, &options, &model), GF_OK);
  CHECK_EQ(gf_model_bytes(model), 1234);
  const float datum = 0;
  EXPECT_ERROR(GF_CONTEXT_LOST, gf_model_set_tensor(model, 0, &datum, 1),
               "fake: the device is gone");
  gf_session* session = nullptr;
  gf_session_options size = {};
  size.struct_size = sizeof size;
  size.max_steps = 101;
  size.max_batch = 1;
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_session_create(model, &size, &session), "fake: no memory");
  size.max_steps = 100;
  CHECK_EQ(gf_session_create(model, &size, &session), GF_OK);
  CHECK_EQ(gf_session_bytes(session), 4321);
  char text[64] = "";
  CHECK_EQ(gf_session_path(session, text, sizeof text), GF_OK);
  CHECK_EQ(std::string(text), "backend=fake\n");
  gf_io io = {};
  io.struct_size = sizeof io;
  EXPECT_ERROR(GF_BACKEND_FAILED, gf_forward(session, &io), "fake: the kernel failed");
  io.stream = &io;
  CHECK_EQ(gf_forward(session, &io), GF_OK);
  EXPECT_ERROR(GF_BACKEND_FAILED, gf_session_synchronize(session), "fake: a kernel timed out");
  gf_session_destroy(session);
  int32_t devices = 0;
  CHECK_EQ(gf_device_count(GF_BACKEND_CUDA, &devices), GF_OK);
  CHECK_EQ(devices, 3);
  void* memory = nullptr;
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_host_allocate(GF_BACKEND_CUDA, 64, &memory),
               "fake: no page-locked memory");
  CHECK_EQ(gf_backend_describe(GF_BACKEND_CUDA, text, sizeof text), GF_OK);
  CHECK_EQ(std::string(text), "available=1\ndevice=fake\nmodels=1\n");
  gf_model_destroy(model);
  CHECK_EQ(gf_backend_describe(GF_BACKEND_CUDA, text, sizeof text), GF_OK);
  CHECK_EQ(std::string(text), "available=1\ndevice=fake\nmodels=0\n");
}

}  // namespace

int main() {
  CHECK_EQ(std::string(gf_last_error()), "");
  check_spec_fields();
  check_spec_struct();
  check_spec_ages();
  check_tensor_shapes();
  check_model_options();
  check_model_memory();
  check_set_tensor();
  check_session_options();
  check_session_memory();
  check_texts();
  check_forward_sizes();
  check_forward_pointers();
  check_forward_values();
  check_forward_places();
  check_forward_ages();
  check_devices_and_memory();
  check_backend_load();
  check_loaded_backend();
  return result();
}
