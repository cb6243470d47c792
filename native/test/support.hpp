// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the C interface share: networks of random weights, calls with all their
// buffers, and comparison of bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "check.hpp"
#include "gatefuse.h"

namespace gatefuse::test {

// Sanitizers make everything some twenty times slower, and have allocators of their own. What they
// look for does not depend on numbers: those are the plain build's to check, and a sanitizer's
// build runs every path, but not every product of cells, precisions, instruction sets and shapes.
#if defined(__has_feature)
#define GATEFUSE_HAS_FEATURE(feature) __has_feature(feature)
#else
#define GATEFUSE_HAS_FEATURE(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || GATEFUSE_HAS_FEATURE(thread_sanitizer)
#define GATEFUSE_THREAD_SANITIZER 1
#else
#define GATEFUSE_THREAD_SANITIZER 0
#endif
#if defined(__SANITIZE_ADDRESS__) || GATEFUSE_HAS_FEATURE(address_sanitizer) || \
    GATEFUSE_THREAD_SANITIZER
#define GATEFUSE_SANITIZED 1
#else
#define GATEFUSE_SANITIZED 0
#endif
inline constexpr bool kSanitized = GATEFUSE_SANITIZED;
inline constexpr bool kThreadSanitizer = GATEFUSE_THREAD_SANITIZER;

// Of variants that take turns: whether this number's turn is one of the first ones. With the sum of
// a case's number and a variant's, each case is tested in some variants, and each variant with some
// cases.
constexpr bool in_turn(int number, int variants, int tested = 1) {
  return number % variants < tested;
}

// What a test returns that has nothing to test here.
inline constexpr int kSkipped = 77;

inline constexpr int kCells = 10;
inline constexpr const char* kCellNames[kCells] = {
    "lstm",   "lstm_tied", "lstm_refine", "lstm_cumax",       "lstm_cumax_refine",
    "onlstm", "gru",       "gru_refine",  "gru_reset_before", "gru_refine_reset_before"};

inline gf_session_options session_options(int32_t max_steps, int32_t max_batch, int32_t threads = 1,
                                          int32_t tier = GF_TIER_AUTO,
                                          int32_t backward = GF_BACKWARD_NONE,
                                          int32_t products = GF_PRODUCTS_OWN) {
  gf_session_options options = {};
  options.struct_size = sizeof options;
  options.max_steps = max_steps;
  options.max_batch = max_batch;
  options.threads = threads;
  options.tier = tier;
  options.products = products;
  options.backward = backward;
  return options;
}

inline bool has_cell_state(int cell) { return cell < GF_GRU; }
inline bool has_scans(int cell) { return cell >= GF_LSTM_CUMAX && cell <= GF_ONLSTM; }

inline const char* set_name(int32_t set) {
  return set == GF_ISA_AVX512     ? "avx512"
         : set == GF_ISA_AVX2     ? "avx2"
         : set == GF_ISA_BASELINE ? "baseline"
                                  : "generic";
}

// Those that run here, or of them the one that GATEFUSE_TEST_SET (environment) names. Threads meet
// in code that all sets share, so that ThreadSanitizer sees the widest alone.
inline std::vector<int32_t> instruction_sets() {
  const char* only = std::getenv("GATEFUSE_TEST_SET");
  std::vector<int32_t> sets;
  for (const int32_t set : {GF_ISA_GENERIC, GF_ISA_BASELINE, GF_ISA_AVX2, GF_ISA_AVX512}) {
    const bool wanted = only == nullptr || std::strcmp(only, set_name(set)) == 0;
    if (wanted && (gf_cpu_instruction_sets() & set) != 0) sets.push_back(set);
  }
  if (kThreadSanitizer && sets.size() > 1) sets = {sets.back()};
  return sets;
}

// The same numbers everywhere, which the standard's distributions are not.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {  // splitmix64
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  int below(int n) { return static_cast<int>(next() % static_cast<uint64_t>(n)); }
  float uniform(float bound) {
    return bound * (static_cast<float>(next() >> 40) * 0x1p-23f - 1.0f);
  }
  std::vector<float> values(int64_t count, float bound) {
    std::vector<float> all(count);
    for (float& value : all) value = uniform(bound);
    return all;
  }

 private:
  uint64_t state_;
};

inline gf_spec make_spec(int cell, int input, int hidden, int layers = 1, int directions = 1) {
  gf_spec spec = {};
  spec.struct_size = sizeof spec;
  spec.cell = cell;
  spec.input_size = input;
  spec.hidden_size = hidden;
  spec.layers = layers;
  spec.directions = directions;
  spec.chunk = 1;
  return spec;
}

// A model of random weights, which it keeps.
class Network {
 public:
  Network(const gf_spec& of, uint64_t seed, int32_t instruction_set = GF_ISA_AUTO)
      : Network(of, seed, {sizeof(gf_model_options), 0, instruction_set, GF_FLOAT32, 0}) {}

  Network(const gf_spec& of, uint64_t seed, const gf_model_options& options) : spec(of) {
    CHECK_EQ(gf_model_create(&spec, &options, &model), GF_OK);
    int32_t count = 0;
    CHECK_EQ(gf_tensor_count(&spec, &count), GF_OK);
    Random random(seed);
    for (int32_t index = 0; index < count; ++index) {
      int64_t rows = 0;
      int64_t columns = 0;
      CHECK_EQ(gf_tensor_shape(&spec, index, &rows, &columns), GF_OK);
      // Biases are large enough to drive gates to both ends.
      const float bound = columns == 1 ? 2 : 1 / std::sqrt(static_cast<float>(columns));
      tensors.push_back(random.values(rows * columns, bound));
      CHECK_EQ(gf_model_set_tensor(model, index, tensors.back().data(), rows * columns), GF_OK);
    }
  }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network() { gf_model_destroy(model); }

  gf_spec spec;
  std::vector<std::vector<float>> tensors;
  gf_model* model = nullptr;
};

// GATEFUSE_TEST_PRODUCTS=cublaslt (environment) has the sessions of a test multiply with that.
inline int32_t tested_products() {
  const char* text = std::getenv("GATEFUSE_TEST_PRODUCTS");
  return text != nullptr && text == std::string("cublaslt") ? GF_PRODUCTS_CUBLASLT
                                                            : GF_PRODUCTS_OWN;
}

class Runner {
 public:
  Runner(const Network& network, int max_steps, int max_batch, int threads = 1,
         int tier = GF_TIER_AUTO)
      : spec(network.spec) {
    const gf_session_options options =
        session_options(max_steps, max_batch, threads, tier, GF_BACKWARD_NONE, tested_products());
    CHECK_EQ(gf_session_create(network.model, &options, &session), GF_OK);
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  ~Runner() { gf_session_destroy(session); }

  gf_spec spec;
  gf_session* session = nullptr;
};

// What goes into gf_forward; an empty vector is a null pointer.
struct Call {
  int steps = 0;
  int batch = 0;
  int layout = GF_TIME_MAJOR;
  std::vector<float> x = {};
  std::vector<int32_t> tokens = {};
  std::vector<int32_t> lengths = {};
  std::vector<float> h0 = {};
  std::vector<float> c0 = {};
  std::vector<int32_t> targets = {};
  int training = 0;
  uint64_t draw = 0;

  int length(int row) const { return lengths.empty() ? steps : lengths[row]; }
  int64_t place(int t, int row) const {
    return layout == GF_BATCH_MAJOR ? int64_t{row} * steps + t : int64_t{t} * batch + row;
  }
};

struct Result {
  std::vector<float> y, hn, cn, logits, log_probs, target_log_probs;
};

template <class T>
T* pointer(std::vector<T>& values) {
  return values.empty() ? nullptr : values.data();
}
template <class T>
const T* pointer(const std::vector<T>& values) {
  return values.empty() ? nullptr : values.data();
}

inline int64_t state_size(const gf_spec& spec, int batch) {
  return int64_t{spec.layers} * spec.directions * batch * spec.hidden_size;
}

// All inputs that the network can take, at random; the last row runs to the end.
inline Call random_call(const gf_spec& spec, int steps, int batch, bool ragged, bool state,
                        uint64_t seed) {
  Random random(seed);
  Call call{steps, batch};
  const int64_t places = int64_t{steps} * batch;
  if (spec.vocabulary == 0) call.x = random.values(places * spec.input_size, 2);
  for (int64_t i = 0; i < places; ++i) {
    if (spec.vocabulary > 0) call.tokens.push_back(random.below(spec.vocabulary));
    if (spec.outputs > 0) call.targets.push_back(random.below(spec.outputs));
  }
  for (int row = 0; ragged && row < batch; ++row) {
    call.lengths.push_back(row == batch - 1 ? steps : 1 + random.below(steps));
  }
  if (state) call.h0 = random.values(state_size(spec, batch), 1);
  if (state && has_cell_state(spec.cell)) call.c0 = random.values(state_size(spec, batch), 2);
  return call;
}

// All outputs that the network has. They begin as NaN, so that what is not written shows.
inline Result make_result(const gf_spec& spec, int steps, int batch) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const int64_t places = int64_t{steps} * batch;
  Result result;
  result.y.assign(places * spec.directions * spec.hidden_size, nan);
  result.hn.assign(state_size(spec, batch), nan);
  if (has_cell_state(spec.cell)) result.cn = result.hn;
  if (spec.outputs > 0) {
    result.logits.assign(places * spec.outputs, nan);
    result.log_probs = result.logits;
    result.target_log_probs.assign(places, nan);
  }
  return result;
}

inline gf_io make_io(const Call& call, Result& result) {
  gf_io io = {};
  io.struct_size = sizeof io;
  io.layout = call.layout;
  io.steps = call.steps;
  io.batch = call.batch;
  io.x = pointer(call.x);
  io.tokens = pointer(call.tokens);
  io.lengths = pointer(call.lengths);
  io.h0 = pointer(call.h0);
  io.c0 = pointer(call.c0);
  io.y = pointer(result.y);
  io.hn = pointer(result.hn);
  io.cn = pointer(result.cn);
  io.targets = pointer(call.targets);
  io.logits = pointer(result.logits);
  io.log_probs = pointer(result.log_probs);
  io.target_log_probs = pointer(result.target_log_probs);
  io.training = call.training;
  io.draw = call.draw;
  return io;
}

inline Result forward(const Runner& runner, const Call& call) {
  Result result = make_result(runner.spec, call.steps, call.batch);
  const gf_io io = make_io(call, result);
  const gf_status status = gf_forward(runner.session, &io);
  report(status == GF_OK, __FILE__, __LINE__, status == GF_OK ? "" : gf_last_error());
  return result;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

inline bool same_bits(const Result& a, const Result& b) {
  return same_bits(a.y, b.y) && same_bits(a.hn, b.hn) && same_bits(a.cn, b.cn) &&
         same_bits(a.logits, b.logits) && same_bits(a.log_probs, b.log_probs) &&
         same_bits(a.target_log_probs, b.target_log_probs);
}

}  // namespace gatefuse::test
