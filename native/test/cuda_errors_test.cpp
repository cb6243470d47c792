// SPDX-License-Identifier: Apache-2.0
//
// What can go wrong on the CUDA backend gives its status and a sentence, and leaves all handles
// usable: wrong arguments, memory of another kind, tiers that do not fit, integers that only a
// kernel sees, waits in vain, a device that is lost, and every allocation that fails.
#include <cstdlib>
#include <thread>

#include "cuda_support.hpp"
#include "errors.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

constexpr gf_model_options kOptions = {sizeof(gf_model_options), GF_BACKEND_CUDA, 0, GF_FLOAT32, 0};

gf_spec language_spec(int cell = GF_LSTM) {
  gf_spec spec = make_spec(cell, 4, 8);
  spec.vocabulary = 11;
  spec.outputs = 7;
  return spec;
}

// ---- Models -------------------------------------------------------------------------------------

void check_model_options() {
  const gf_spec spec = make_spec(GF_LSTM, 4, 8);
  gf_model* model = untouched<gf_model>();
  gf_model_options options = kOptions;
  for (const int32_t precision : {-1, 4, INT32_MAX}) {
    options.precision = precision;
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_create(&spec, &options, &model),
                 "precision: expected 0 (float32), 1 (tf32), 2 (bfloat16) or 3 (float16), got " +
                     std::to_string(precision));
  }
  options = kOptions;
  int32_t devices = 0;
  CHECK_EQ(gf_device_count(GF_BACKEND_CUDA, &devices), GF_OK);
  CHECK(devices >= 1);
  for (const int32_t device : {-1, devices, INT32_MAX}) {
    options.device = device;
    EXPECT_ERROR(
        GF_INVALID_ARGUMENT, gf_model_create(&spec, &options, &model),
        "device: expected 0 .. " + std::to_string(devices - 1) + ", got " + std::to_string(device));
  }
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_create(nullptr, &kOptions, &model), "spec", "null");
  gf_spec wide = make_spec(GF_GRU, 1, 1);
  wide.outputs = 5'000'000;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_create(&wide, &kOptions, &model), "head",
               "at most 4194240 rows", "got 5000000");
  wide.outputs = 0;
  wide.vocabulary = INT32_MAX;
  wide.input_size = 1 << 16;
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_model_create(&wide, &kOptions, &model), "embedding");
  CHECK(model == untouched<gf_model>());
}

void check_set_tensor() {
  const gf_spec spec = make_spec(GF_LSTM, 4, 8);
  gf_model* model = nullptr;
  CHECK_EQ(gf_model_create(&spec, &kOptions, &model), GF_OK);
  const std::vector<float> data(32 * 8);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_set_tensor(model, 0, nullptr, 128), "data", "null");
  for (const int32_t index : {-1, 4}) {
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_set_tensor(model, index, data.data(), 128),
                 "tensor index: expected 0 .. 3, got " + std::to_string(index));
  }
  for (const int64_t count : {int64_t{0}, int64_t{-128}, int64_t{127}, int64_t{129}, INT64_MAX}) {
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_set_tensor(model, 0, data.data(), count),
                 "tensor 0: expected 32 x 4 = 128 values, got " + std::to_string(count));
  }
  const Buffer<float> on_device(Place::kDevice, data);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_set_tensor(model, 0, on_device.get(), 128),
               "data: expected host memory, got device memory");
  // A session needs all weights; biases may be missing.
  const gf_session_options options = session_options(2, 2, 1, 0);
  gf_session* session = untouched<gf_session>();
  CHECK_EQ(gf_model_set_tensor(model, 0, data.data(), 128), GF_OK);
  EXPECT_ERROR(GF_INVALID_STATE, gf_session_create(model, &options, &session), "tensor 1");
  CHECK(session == untouched<gf_session>());
  CHECK_EQ(gf_model_set_tensor(model, 1, data.data(), 256), GF_OK);
  CHECK_EQ(gf_session_create(model, &options, &session), GF_OK);
  EXPECT_ERROR(GF_INVALID_STATE, gf_model_set_tensor(model, 2, data.data(), 32), "tensor 2");
  CHECK(gf_model_bytes(model) > 0);
  CHECK(gf_session_bytes(session) > 0);
  gf_session_destroy(session);
  gf_model_destroy(model);
}

// ---- Sessions -----------------------------------------------------------------------------------

void check_session_options() {
  const Network network(make_spec(GF_LSTM, 4, 8), 1, kOptions);
  gf_session* session = untouched<gf_session>();
  struct {
    gf_session_options options;
    std::string part;
  } cases[] = {
      {session_options(0, 2, 1, 0), "max_steps: expected 1 .. 2147483647, got 0"},
      {session_options(-1, 2, 1, 0), "max_steps: expected 1 .. 2147483647, got -1"},
      {session_options(2, 0, 1, 0), "max_batch: expected 1 .. 2147483647, got 0"},
      {session_options(2, INT32_MIN, 1, 0), "max_batch: expected 1 .. 2147483647"},
      {session_options(2, 2, 1, -1), "tier: expected 0 .. 4, got -1"},
      {session_options(2, 2, 1, 5), "tier: expected 0 .. 4, got 5"},
      {session_options(2, 2, 1, 0, 0, -1), "products: expected 0 .. 1, got -1"},
      {session_options(2, 2, 1, 0, 0, 2), "products: expected 0 .. 1, got 2"},
  };
  for (const auto& one : cases) {
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_create(network.model, &one.options, &session),
                 one.part);
  }
  const gf_session_options huge = session_options(INT32_MAX, INT32_MAX, 1, 0);
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_session_create(network.model, &huge, &session), "session");
  const gf_session_options large = session_options(1 << 20, 1 << 18, 1, 0);
  EXPECT_ERROR(GF_OUT_OF_MEMORY, gf_session_create(network.model, &large, &session),
               "bytes of device memory could not be had", "are free");
  CHECK(session == untouched<gf_session>());
}

void check_tier(const gf_spec& spec, int precision, int tier, const std::string& reason, int line) {
  const gf_model_options model_options = cuda_options(precision);
  gf_model* model = nullptr;
  CHECK_EQ(gf_model_create(&spec, &model_options, &model), GF_OK);
  const gf_session_options options = session_options(2, 2, 1, tier);
  gf_session* session = untouched<gf_session>();
  expect_error(gf_session_create(model, &options, &session), GF_INVALID_ARGUMENT,
               "gf_session_create", __FILE__, line,
               {"tier: expected one that fits this network and device, got ",
                tier_name(tier) + (": " + reason)});
  CHECK(session == untouched<gf_session>());
  gf_model_destroy(model);
}
#define CHECK_TIER(spec, precision, tier, reason) \
  check_tier(spec, precision, tier, reason, __LINE__)

// A tier that does not fit is refused with the reason, and GF_TIER_AUTO tells the reasons of all.
void check_tiers() {
  CHECK_TIER(make_spec(GF_LSTM, 4, 512), GF_FLOAT32, GF_TIER_SLICE,
             "the weights of H = 512 in float32 do not fit one multiprocessor");
  CHECK_TIER(make_spec(GF_GRU, 4, 1024), GF_BFLOAT16, GF_TIER_SLICE,
             "the weights of H = 1024 in bfloat16 do not fit one multiprocessor");
  CHECK_TIER(make_spec(GF_GRU_RESET_BEFORE, 4, 8), GF_FLOAT32, GF_TIER_GRID,
             "a cell that resets before its product needs a second product in each step");
  CHECK_TIER(make_spec(GF_LSTM_CUMAX, 4, 512), GF_FLOAT32, GF_TIER_SLICE,
             "the weights and scans of H = 512 in float32 do not fit one multiprocessor");
  CHECK_TIER(make_spec(GF_ONLSTM, 4, 8), GF_FLOAT32, GF_TIER_GRID,
             "a cell with cumulative softmax gates needs a scan over all units in each step");
  if (!is_emulated()) return;
  emulation::set_device("sm_80");
  CHECK_TIER(make_spec(GF_LSTM, 4, 8), GF_TF32, GF_TIER_CLUSTER,
             "compute capability 9.0 or later is needed for clusters, this device has 8.0");
  emulation::set_device("sm_75");
  CHECK_TIER(make_spec(GF_LSTM, 4, 8), GF_FLOAT16, GF_TIER_CLUSTER,
             "compute capability 9.0 or later is needed for clusters, this device has 7.5");
  CHECK_TIER(make_spec(GF_LSTM, 4, 128), GF_FLOAT32, GF_TIER_SLICE,
             "the weights of H = 128 in float32 do not fit one multiprocessor");
  emulation::set_device("sm_90");
  emulation::set_multiprocessors(4);
  CHECK_TIER(make_spec(GF_LSTM, 4, 640), GF_FLOAT32, GF_TIER_GRID,
             "the weights of H = 640 in float32 do not fit the device");
  CHECK_TIER(make_spec(GF_LSTM, 4, 640), GF_FLOAT32, GF_TIER_CLUSTER,
             "the weights of H = 640 in float32 do not fit a cluster of 16 multiprocessors");
  CHECK_TIER(make_spec(GF_ONLSTM, 4, 640), GF_BFLOAT16, GF_TIER_CLUSTER,
             "the weights and scans of H = 640 in bfloat16 do not fit a cluster of 16");
  emulation::set_multiprocessors(1);
  const Network network(make_spec(GF_LSTM, 4, 200), 1, kOptions);
  const std::string path = path_of(Runner(network, 2, 2));
  CHECK(path.find("\ntier=alternating\n") != std::string::npos);
  CHECK(path.find("\nreason=slice: the weights of H = 200 in float32 do not fit one "
                  "multiprocessor; cluster: the weights of H = 200 in float32 do not fit a cluster "
                  "of 16 multiprocessors; grid: the weights of H = 200 in float32 do not fit the "
                  "device\n") != std::string::npos);
  emulation::set_multiprocessors(0);
}

// A device that the kernels are not compiled for.
void check_old_device() {
  if (!is_emulated()) return;
  emulation::set_device("sm_70");
  const gf_spec spec = make_spec(GF_LSTM, 4, 8);
  gf_model* model = untouched<gf_model>();
  EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_model_create(&spec, &kOptions, &model), "sm_70",
               "compute capability 7.0; 7.5 or later is needed");
  CHECK(model == untouched<gf_model>());
  int32_t devices = 77;
  CHECK_EQ(gf_device_count(GF_BACKEND_CUDA, &devices), GF_OK);
  CHECK_EQ(devices, 0);
  char text[256] = "";
  CHECK_EQ(gf_backend_describe(GF_BACKEND_CUDA, text, sizeof text), GF_OK);
  CHECK(std::string(text).find("available=0\nreason=Emulated sm_70") == 0);
  emulation::set_device("sm_90");
  CHECK_EQ(gf_backend_describe(GF_BACKEND_CUDA, text, sizeof text), GF_OK);
  CHECK(std::string(text).find("available=1\ndevice=Emulated sm_90, compute capability 9.0") == 0);
}

// Which precisions a device has; the others are refused before anything is launched.
void check_precisions() {
  if (!is_emulated()) return;
  const gf_spec spec = make_spec(GF_LSTM, 4, 8);
  for (const char* device : {"sm_75", "sm_80", "sm_90", "sm_100"}) {
    emulation::set_device(device);
    for (const int precision : kPrecisions) {
      const gf_model_options options = cuda_options(precision);
      gf_model* model = untouched<gf_model>();
      if (device == std::string("sm_75") && (precision == GF_TF32 || precision == GF_BFLOAT16)) {
        EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_model_create(&spec, &options, &model),
                     "precision: compute capability 8.0 or later is needed for " +
                         std::string(precision_name(precision)) +
                         ", this device has 7.5; it has float32 and float16");
        CHECK(model == untouched<gf_model>());
      } else {
        CHECK_EQ(gf_model_create(&spec, &options, &model), GF_OK);
        gf_model_destroy(model);
      }
    }
  }
  emulation::set_device("sm_90");
}

// A device newer than all that the library has code for runs PTX of an older one, without what that
// one lacks.
void check_old_kernels() {
  if (!is_emulated()) return;
  emulation::set_kernels_capability(75);
  const gf_spec spec = make_spec(GF_LSTM, 4, 8);
  const gf_model_options options = cuda_options(GF_BFLOAT16);
  gf_model* model = untouched<gf_model>();
  EXPECT_ERROR(GF_BACKEND_UNAVAILABLE, gf_model_create(&spec, &options, &model),
               "precision: compute capability 8.0 or later is needed for bfloat16, this library's "
               "code for Emulated sm_90 is for 7.5; it has float32 and float16");
  CHECK_TIER(spec, GF_FLOAT16, GF_TIER_CLUSTER,
             "compute capability 9.0 or later is needed for clusters, this library's code for "
             "Emulated sm_90 is for 7.5");
  emulation::set_kernels_capability(0);
}

// ---- Memory of another kind ---------------------------------------------------------------------

using Field = void (*)(gf_io& to, const gf_io& from);
struct NamedField {
  const char* name;
  Field take;
};
#define GF_FIELD(field)                                                  \
  {                                                                      \
#field, [](gf_io & to, const gf_io& from) { to.field = from.field; } \
  }
constexpr NamedField kFields[] = {GF_FIELD(tokens),    GF_FIELD(targets),
                                  GF_FIELD(h0),        GF_FIELD(c0),
                                  GF_FIELD(y),         GF_FIELD(hn),
                                  GF_FIELD(cn),        GF_FIELD(logits),
                                  GF_FIELD(log_probs), GF_FIELD(target_log_probs)};
#undef GF_FIELD

// Each pointer in turn is one of another call's.
void check_places() {
  const gf_spec spec = language_spec();
  const Network network(spec, 1, kOptions);
  const Runner runner(network, 5, 3);
  const Call call = random_call(spec, 5, 3, true, true, 2);
  const Result expected = forward(runner, call);
  PlacedCall pageable(spec, call, Place::kPageable), pinned(spec, call, Place::kPinned),
      on_device(spec, call, Place::kDevice);
  struct {
    PlacedCall& call;
    const PlacedCall& other;
    int completion;
    std::string sentence;
  } cases[] = {
      {pageable, on_device, GF_ON_RETURN,
       ": expected host memory, as `memory` says, got device memory"},
      {pinned, on_device, GF_ON_STREAM,
       ": expected host memory, as `memory` says, got device memory"},
      {on_device, pageable, GF_ON_RETURN,
       ": expected device memory, as `memory` says, got host memory"},
      {on_device, pinned, GF_ON_STREAM,
       ": expected device memory, as `memory` says, got host memory"},
      {pinned, pageable, GF_ON_STREAM,
       ": expected page-locked host memory for a call that completes on its stream, got pageable "
       "memory"},
  };
  for (auto& one : cases) {
    for (const NamedField& field : kFields) {
      gf_io io = one.call.io;
      io.completion = one.completion;
      field.take(io, one.other.io);
      EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(runner.session, &io), field.name + one.sentence);
    }
    one.call.io.completion = one.completion;
    CHECK_EQ(gf_forward(runner.session, &one.call.io), GF_OK);
    CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
    CHECK(same_bits(one.call.result(), expected));
  }
  // x too.
  const gf_spec plain = make_spec(GF_GRU, 4, 8);
  Good good(plain, false, kOptions);
  const Buffer<float> x(Place::kDevice, good.call.x);
  EXPECT_FIELD(good, x, x.get(), "x: expected host memory, as `memory` says, got device memory");
  // States alone in device memory.
  EXPECT_FIELD(good, state_memory, GF_MEMORY_DEVICE,
               "h0: expected device memory, as `state_memory` says, got host memory");
}

// ---- Integers that only a kernel sees -----------------------------------------------------------

bool all_nan(const float* values, int64_t count) {
  return std::all_of(values, values + count, [](float v) { return std::isnan(v); });
}

// Row 1 has a wrong token at step 2: its outputs are NaN from there on, the others' are as ever.
void check_wrong_result(const gf_spec& spec, const Call& call, const Result& actual,
                        const Result& good, const std::string& name) {
  const int H = spec.hidden_size;
  for (int t = 0; t < call.steps; ++t) {
    for (int row = 0; row < call.batch; ++row) {
      const int64_t place = call.place(t, row);
      const bool wrong = row == 1 && t >= 2;
      const float* y = &actual.y[place * H];
      report(wrong ? all_nan(y, H) && std::isnan(actual.target_log_probs[place])
                   : std::equal(y, y + H, &good.y[place * H]) &&
                         actual.target_log_probs[place] == good.target_log_probs[place],
             __FILE__, __LINE__, name + ": a wrong token");
    }
  }
}

void check_device_integers(int tier, int precision) {
  const std::string name = std::string(tier_name(tier)) + " " + precision_name(precision);
  const gf_spec spec = language_spec(GF_LSTM_REFINE);
  const Network network(spec, 1, cuda_options(precision));
  const Runner runner(network, 5, 3, 1, tier);
  const Call call = random_call(spec, 5, 3, false, true, 2);
  const Result good = forward(runner, call);
  for (const int32_t token : {11, -1, INT32_MAX, INT32_MIN}) {
    Call wrong = call;
    wrong.tokens[2 * 3 + 1] = token;
    PlacedCall placed(spec, wrong, Place::kDevice);
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(runner.session, &placed.io),
                 "tokens: expected 0 .. 10, got another value at place 7");
    check_wrong_result(spec, call, placed.result(), good, name);
  }
  Call wrong = call;
  wrong.targets[4 * 3] = 7;
  wrong.targets[4 * 3 + 2] = -5;
  PlacedCall placed(spec, wrong, Place::kDevice);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(runner.session, &placed.io),
               "targets: expected 0 .. 6, got another value at place 12");
  const Result actual = placed.result();
  CHECK(same_bits(actual.y, good.y) && same_bits(actual.log_probs, good.log_probs));
  for (int place = 0; place < 15; ++place) {
    const float score = actual.target_log_probs[place];
    CHECK(place == 12 || place == 14 ? std::isnan(score) : score == good.target_log_probs[place]);
  }
  // Targets that nobody asks for are not looked at.
  placed.io.target_log_probs = nullptr;
  CHECK_EQ(gf_forward(runner.session, &placed.io), GF_OK);
  CHECK(same_bits(forward(runner, call), good));
}

// A failure of a call that completes on its stream is told once: by whoever asks first.
void check_told_later() {
  const gf_spec spec = language_spec();
  const Network network(spec, 1, kOptions);
  const Runner runner(network, 5, 3);
  const Call call = random_call(spec, 5, 3, false, true, 2);
  Call wrong = call;
  wrong.tokens[4] = 99;
  const Result expected = forward(runner, call);
  PlacedCall good(spec, call, Place::kDevice), bad(spec, wrong, Place::kDevice);
  const CallersStream stream;
  good.io.completion = bad.io.completion = GF_ON_STREAM;
  good.io.stream = bad.io.stream = stream.get();
  const char* sentence = "tokens: expected 0 .. 10, got another value at place 4";

  // By gf_session_synchronize.
  CHECK_EQ(gf_forward(runner.session, &bad.io), GF_OK);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_synchronize(runner.session), sentence);
  CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);

  // Although a good call followed.
  CHECK_EQ(gf_forward(runner.session, &bad.io), GF_OK);
  gf_status status = gf_forward(runner.session, &good.io);  // told here if the first is through
  if (status == GF_OK) status = gf_session_synchronize(runner.session);
  CHECK_EQ(status, GF_INVALID_ARGUMENT);
  CHECK(std::string(gf_last_error()).find(sentence) != std::string::npos);
  CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);

  // By the next call, whatever it is like, once the stream has come that far.
  for (const int completion : {GF_ON_STREAM, GF_ON_RETURN}) {
    CHECK_EQ(gf_forward(runner.session, &bad.io), GF_OK);
    stream.wait();
    good.io.completion = completion;
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(runner.session, &good.io), sentence);
    CHECK_EQ(gf_forward(runner.session, &good.io), GF_OK);
    CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
    CHECK(same_bits(good.result(), expected));
  }

  // From a graph.
  const CallersGraph graph(stream, [&] { CHECK_EQ(gf_forward(runner.session, &bad.io), GF_OK); });
  for (int i = 0; i < 2; ++i) {
    graph.launch(stream);
    stream.wait();
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_synchronize(runner.session), sentence);
    CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
  }
  bad.set(call);
  graph.launch(stream);
  stream.wait();
  CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
  CHECK(same_bits(bad.result(), expected));
}

// ---- Streams ------------------------------------------------------------------------------------

void check_streams() {
  const gf_spec spec = make_spec(GF_LSTM, 4, 8);
  const Network network(spec, 1, kOptions);
  const Runner runner(network, 5, 3);
  const Call call = random_call(spec, 5, 3, true, true, 2);
  const Result expected = forward(runner, call);
  PlacedCall placed(spec, call, Place::kDevice);
  const CallersStream stream;
  placed.io.stream = stream.get();
  // What is refused while a stream is captured does not spoil the capture.
  const CallersGraph graph(stream, [&] {
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(runner.session, &placed.io),
                 "completion: expected GF_ON_STREAM while the stream is being captured");
    placed.io.completion = GF_ON_STREAM;
    CHECK_EQ(gf_forward(runner.session, &placed.io), GF_OK);
  });
  CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
  graph.launch(stream);
  stream.wait();
  CHECK(same_bits(placed.result(), expected));
  if (!is_emulated()) return;  // to a driver a stream that has ended is no stream at all
  placed.io.stream = CallersStream().get();
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(runner.session, &placed.io),
               "stream: expected a CUDA stream that exists");
  placed.io.stream = &placed;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(runner.session, &placed.io),
               "stream: expected a CUDA stream that exists");
  placed.io.stream = nullptr;
  placed.io.completion = GF_ON_RETURN;
  CHECK_EQ(gf_forward(runner.session, &placed.io), GF_OK);
  CHECK(same_bits(placed.result(), expected));
}

// A call that fails half way leaves nothing on its stream.
void check_failure_half_way() {
  if (!is_emulated()) return;
  const gf_spec spec = make_spec(GF_LSTM, 4, 8);
  const Network network(spec, 1, kOptions);
  const Runner runner(network, 5, 3);
  const Call call = random_call(spec, 5, 3, true, true, 2);
  const Result expected = forward(runner, call);
  PlacedCall placed(spec, call, Place::kDevice);
  const Buffer<float> small(Place::kDevice, std::vector<float>(7));
  const CallersStream stream;
  gf_io io = placed.io;
  io.stream = stream.get();
  io.completion = GF_ON_STREAM;
  io.y = small.get();
  EXPECT_ERROR(GF_BACKEND_FAILED, gf_forward(runner.session, &io), "y: CUDA says",
               "cudaErrorInvalidValue");
  for (int i = 0; i < 8; ++i) CHECK_EQ(cudaStreamQuery(stream_of(stream.get())), cudaSuccess);
  CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
  CHECK_EQ(gf_forward(runner.session, &placed.io), GF_OK);
  CHECK(same_bits(placed.result(), expected));
}

// ---- Waits in vain ------------------------------------------------------------------------------

// A session without patience: now and then blocks wait in vain for one another. That ends the call
// with a sentence, and the next one is as good as ever.
void check_waits_in_vain(int cell, int tier) {
  // Blocks that have given up go on in no order: ThreadSanitizer says so.
  if (!is_emulated() || kThreadSanitizer) return;
  const gf_spec spec = make_spec(cell, 4, 33);
  const Network network(spec, 1, kOptions);
  const Call call = random_call(spec, 5, 11, true, true, 2);
  const Result expected = forward(Runner(network, 5, 11, 1, tier), call);
  bool recovered = false;
  for (const char* patience : {"0", "1000", "10000", "100000", "1000000"}) {
    setenv("GATEFUSE_CUDA_PATIENCE_NS", patience, 1);
    const Runner runner(network, 5, 11, 1, tier);
    unsetenv("GATEFUSE_CUDA_PATIENCE_NS");
    bool failed = false;
    for (int i = 0; i < (recovered ? 5 : 40); ++i) {
      emulation::set_mode(static_cast<emulation::Mode>(i % emulation::kModes));
      emulation::set_seed(100 + i);
      Result actual = make_result(spec, 5, 11);
      const gf_io io = make_io(call, actual);
      const gf_status status = gf_forward(runner.session, &io);
      if (status == GF_OK) {
        CHECK(same_bits(actual, expected));
        recovered = recovered || failed;
        continue;
      }
      failed = true;
      expect_error(status, GF_BACKEND_FAILED, "gf_forward", __FILE__, __LINE__,
                   {"blocks waited more than ", " s for one another at step ",
                    "; the outputs are not valid"});
      CHECK_EQ(emulation::failure(), "");
      CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);  // told once
    }
  }
  report(recovered, __FILE__, __LINE__, std::string(tier_name(tier)) + ": nothing waited in vain");
  emulation::set_mode(emulation::Mode::warp_at_a_time);
}

// ---- A device that is lost ----------------------------------------------------------------------

__global__ void trap_kernel() { __trap(); }

// After a kernel has failed every function says so, none crashes, and all that was made can be
// ended. The emulation can then be told to forget it, as a new process would.
void check_lost_device(int completion) {
  if (!is_emulated()) return;
  const emulation::Live before = emulation::live();
  {
    const gf_spec spec = language_spec();
    const Network network(spec, 1, kOptions);
    const Runner runner(network, 5, 3);
    gf_model* half = nullptr;
    CHECK_EQ(gf_model_create(&spec, &kOptions, &half), GF_OK);
    const Call call = random_call(spec, 5, 3, true, true, 2);
    const PlacedCall placed(spec, call, Place::kPinned);
    gf_io io = placed.io;
    io.completion = completion;
    const CallersStream stream;
    cudaLaunchConfig_t configuration = {};
    configuration.gridDim = configuration.blockDim = dim3(1);
    configuration.stream = stream_of(stream.get());
    CHECK_EQ(cudaLaunchKernelEx(&configuration, trap_kernel), cudaSuccess);
    io.stream = stream.get();
    gf_status status = gf_forward(runner.session, &io);
    if (status == GF_OK) status = gf_session_synchronize(runner.session);
    CHECK_EQ(status, GF_CONTEXT_LOST);
    CHECK(std::string(gf_last_error()).find("__trap") != std::string::npos);
    CHECK(std::string(gf_last_error()).find("only a new process can use the device again") !=
          std::string::npos);

    const auto expect_lost = [](gf_status actual, const char* call) {
      expect_error(actual, GF_CONTEXT_LOST, call, __FILE__, __LINE__,
                   {"cudaErrorLaunchFailure", "only a new process can use the device again"});
    };
    for (int i = 0; i < 2; ++i) {
      expect_lost(gf_forward(runner.session, &placed.io), "gf_forward");
      expect_lost(gf_session_synchronize(runner.session), "gf_session_synchronize");
      expect_lost(gf_model_set_tensor(half, 0, network.tensors[0].data(), 128),
                  "gf_model_set_tensor");
      gf_model* model = untouched<gf_model>();
      expect_lost(gf_model_create(&spec, &kOptions, &model), "gf_model_create");
      CHECK(model == untouched<gf_model>());
      gf_session* session = untouched<gf_session>();
      const gf_session_options options = session_options(2, 2, 1, 0);
      expect_lost(gf_session_create(network.model, &options, &session), "gf_session_create");
      CHECK(session == untouched<gf_session>());
      void* memory = nullptr;
      expect_lost(gf_host_allocate(GF_BACKEND_CUDA, 64, &memory), "gf_host_allocate");
      int32_t devices = 77;
      CHECK_EQ(gf_device_count(GF_BACKEND_CUDA, &devices), GF_OK);
      CHECK_EQ(devices, 0);
      char text[512] = "";
      CHECK_EQ(gf_backend_describe(GF_BACKEND_CUDA, text, sizeof text), GF_OK);
      CHECK(std::string(text).find("available=0\nreason=") == 0);
      CHECK(std::string(text).find("cudaErrorLaunchFailure") != std::string::npos);
      CHECK(path_of(runner).find("backend=cuda\n") == 0);
    }
    gf_model_destroy(half);
  }
  const emulation::Live after = emulation::live();
  CHECK_EQ(after.device_allocations, before.device_allocations);
  CHECK_EQ(after.host_allocations, before.host_allocations);
  CHECK_EQ(after.streams, before.streams);
  CHECK_EQ(after.events, before.events);
  emulation::reset();
}

// ---- Allocations that fail ----------------------------------------------------------------------

// Lets the n-th allocation of `make` fail, for every n until it succeeds: each time it is out of
// memory and leaves everything as it was.
template <class Make>
void check_every_allocation(const char* name, int least, Make make) {
  const emulation::Live before = emulation::live();
  for (int n = 1;; ++n) {
    emulation::fail_allocation(n);
    const gf_status status = make();
    emulation::fail_allocation(0);
    std::string where = name;
    where += ", allocation " + std::to_string(n);
    if (status == GF_OK) {
      report(n > least, __FILE__, __LINE__, where + ": fewer than expected");
      return;
    }
    const std::string text = gf_last_error();
    report(status == GF_OUT_OF_MEMORY && text.find("memory") != std::string::npos, __FILE__,
           __LINE__, where + ": got " + std::to_string(status) + ", " + text);
    const emulation::Live after = emulation::live();
    report(after.device_allocations == before.device_allocations &&
               after.device_bytes == before.device_bytes &&
               after.host_allocations == before.host_allocations &&
               after.streams == before.streams && after.events == before.events,
           __FILE__, __LINE__, where + ": something is left");
  }
}

void check_allocations(int cell, int tier) {
  if (!is_emulated()) return;
  gf_spec spec = make_spec(cell, 4, 8, 2, 2);
  spec.vocabulary = 11;
  spec.outputs = 7;
  const emulation::Live before = emulation::live();
  {
    const Network good(spec, 1, kOptions);
    const Call call = random_call(spec, 5, 3, true, true, 2);
    gf_model* model = nullptr;
    check_every_allocation("gf_model_create", 15,
                           [&] { return gf_model_create(&spec, &kOptions, &model); });
    int32_t index = 0;
    for (const std::vector<float>& tensor : good.tensors) {
      check_every_allocation("gf_model_set_tensor", 1, [&] {
        return gf_model_set_tensor(model, index, tensor.data(),
                                   static_cast<int64_t>(tensor.size()));
      });
      ++index;
    }
    const gf_session_options options = session_options(5, 3, 1, tier);
    gf_session* session = nullptr;
    check_every_allocation("gf_session_create", 15,
                           [&] { return gf_session_create(model, &options, &session); });
    Result result = make_result(spec, 5, 3);
    const gf_io io = make_io(call, result);
    CHECK_EQ(gf_forward(session, &io), GF_OK);
    CHECK(same_bits(result, forward(Runner(good, 5, 3, 1, tier), call)));
    gf_session_destroy(session);
    gf_model_destroy(model);
    void* memory = nullptr;
    check_every_allocation("gf_host_allocate", 1,
                           [&] { return gf_host_allocate(GF_BACKEND_CUDA, 100, &memory); });
    CHECK_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
    for (int i = 0; i < 100; ++i) CHECK_EQ(static_cast<char*>(memory)[i], 0);
    gf_host_free(GF_BACKEND_CUDA, memory);
  }
  CHECK_EQ(emulation::live().device_bytes, before.device_bytes);
  CHECK_EQ(emulation::live().host_allocations, before.host_allocations);
}

}  // namespace

int main() {
  if (!load_backend()) return 1;
  check_model_options();
  check_set_tensor();
  check_session_options();
  check_tiers();
  check_old_device();
  check_precisions();
  check_old_kernels();
  check_forward_sizes(kOptions);
  check_forward_pointers(kOptions);
  check_forward_values(kOptions);
  check_forward_ages(kOptions);
  check_places();
  for (const int tier : kTiers) {
    for (const int precision : kPrecisions) {
      if (!kSanitized || precision == tier % 4) check_device_integers(tier, precision);
    }
  }
  check_told_later();
  check_streams();
  check_failure_half_way();
  check_waits_in_vain(GF_LSTM, GF_TIER_CLUSTER);
  check_waits_in_vain(GF_LSTM_CUMAX, GF_TIER_CLUSTER);
  check_waits_in_vain(GF_LSTM, GF_TIER_GRID);
  for (const int completion : {GF_ON_RETURN, GF_ON_STREAM}) check_lost_device(completion);
  check_allocations(GF_LSTM, GF_TIER_GRID);
  check_allocations(GF_ONLSTM, GF_TIER_ALTERNATING);
  check_allocations(GF_GRU_RESET_BEFORE, GF_TIER_ALTERNATING);
  if (is_emulated()) CHECK(emulation::live().none());
  return result();
}
