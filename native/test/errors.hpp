// SPDX-License-Identifier: Apache-2.0
//
// What the tests of errors share: the check of a status and its sentence, and the wrong arguments
// of gf_forward that every backend refuses.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>

#include "support.hpp"

namespace gatefuse::test {

inline void expect_error(gf_status actual, gf_status expected, const char* call, const char* file,
                         int line, std::initializer_list<std::string> parts) {
  const std::string text = gf_last_error();
  report(actual == expected, file, line,
         std::string(call) + ": expected status " + std::to_string(expected) + ", got " +
             std::to_string(actual) + " (" + text + ")");
  for (const std::string& part : parts) {
    report(text.find(part) != std::string::npos, file, line,
           std::string(call) + ": expected \"" + part + "\" in \"" + text + "\"");
  }
}
#define EXPECT_ERROR(status, call, ...) \
  expect_error((call), (status), #call, __FILE__, __LINE__, {__VA_ARGS__})

// A handle that nothing may touch when its making fails.
template <class T>
T* untouched() {
  static int somewhere = 0;
  return reinterpret_cast<T*>(&somewhere);
}

// ---- Forward -----------------------------------------------------------------------------------

inline constexpr gf_model_options kOnCpu = {sizeof(gf_model_options), 0, 0, GF_FLOAT32, 0};

// A network with its session, a good call, and io to spoil.
struct Good {
  Good(const gf_spec& spec, bool ragged, const gf_model_options& options = kOnCpu)
      : network(spec, 1, options),
        runner(network, 6, 4),
        call(random_call(spec, 5, 3, ragged, true, 2)),
        result(make_result(spec, 5, 3)),
        io(make_io(call, result)) {}
  ~Good() {
    io = make_io(call, result);
    CHECK_EQ(gf_forward(runner.session, &io), GF_OK);  // all was survived
  }
  gf_status run() const { return gf_forward(runner.session, &io); }

  Network network;
  Runner runner;
  Call call;
  Result result;
  gf_io io;
};

template <class T>
void expect_field(Good& good, T gf_io::*field, T value, const char* part, const char* file,
                  int line) {
  const T before = good.io.*field;
  good.io.*field = value;
  expect_error(good.run(), GF_INVALID_ARGUMENT, "gf_forward", file, line, {part});
  good.io.*field = before;
}
#define EXPECT_FIELD(good, field, value, part) \
  expect_field<decltype(gf_io::field)>((good), &gf_io::field, (value), (part), __FILE__, __LINE__)

inline void check_forward_sizes(const gf_model_options& options = kOnCpu) {
  Good good(make_spec(GF_LSTM, 4, 8), false, options);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(nullptr, &good.io), "session: expected", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(good.runner.session, nullptr), "io: expected",
               "null");
  EXPECT_FIELD(good, struct_size, 0, "io.struct_size: expected");
  EXPECT_FIELD(good, struct_size, 3, "io.struct_size: expected");
  EXPECT_FIELD(good, struct_size, 1 << 17, "io.struct_size: expected");
  EXPECT_FIELD(good, struct_size, offsetof(gf_io, batch), "batch: expected 1 .. 4, got 0");
  EXPECT_FIELD(good, layout, -1, "layout: expected 0 .. 1, got -1");
  EXPECT_FIELD(good, layout, 2, "layout: expected 0 .. 1, got 2");
  EXPECT_FIELD(good, steps, 0, "steps: expected 1 .. 6, got 0");
  EXPECT_FIELD(good, steps, -5, "steps: expected 1 .. 6, got -5");
  EXPECT_FIELD(good, steps, 7, "steps: expected 1 .. 6, got 7");
  EXPECT_FIELD(good, batch, 0, "batch: expected 1 .. 4, got 0");
  EXPECT_FIELD(good, batch, INT32_MIN, "batch: expected 1 .. 4, got -2147483648");
  EXPECT_FIELD(good, batch, 5, "batch: expected 1 .. 4, got 5");
}

inline void check_forward_pointers(const gf_model_options& options = kOnCpu) {
  static float some[64] = {};
  static const int32_t tokens[64] = {};
  Good plain(make_spec(GF_LSTM, 4, 8), false, options);
  EXPECT_FIELD(plain, x, nullptr, "x: expected [T, B, I] values, got null");
  EXPECT_FIELD(plain, tokens, tokens,
               "tokens: expected null (this network takes x), got a pointer");
  EXPECT_FIELD(plain, logits, some, "logits: expected null (this network has no head)");
  EXPECT_FIELD(plain, log_probs, some, "log_probs: expected null (this network has no head)");
  EXPECT_FIELD(plain, target_log_probs, some,
               "target_log_probs: expected null (this network has no head)");
  Good gru(make_spec(GF_GRU, 4, 8), false, options);
  EXPECT_FIELD(gru, c0, some, "c0: expected null (this cell has no cell state)");
  EXPECT_FIELD(gru, cn, some, "cn: expected null (this cell has no cell state)");
  gf_spec spec = make_spec(GF_LSTM, 4, 8);
  spec.vocabulary = 11;
  spec.outputs = 7;
  Good language(spec, false, options);
  EXPECT_FIELD(language, tokens, nullptr, "tokens: expected [T, B] tokens, got null");
  EXPECT_FIELD(language, x, some, "x: expected null (this network takes tokens), got a pointer");
  EXPECT_FIELD(language, targets, nullptr, "targets: expected [T, B] targets, got null");
}

inline void check_forward_values(const gf_model_options& options = kOnCpu) {
  gf_spec spec = make_spec(GF_LSTM, 4, 8);
  spec.vocabulary = 11;
  spec.outputs = 7;
  Good good(spec, true, options);
  good.call.lengths = {5, 3, 4};
  const auto spoil = [&](std::vector<int32_t>& values, int64_t at, int32_t value, const char* part,
                         int line) {
    const int32_t before = values[at];
    values[at] = value;
    expect_error(good.run(), GF_INVALID_ARGUMENT, "gf_forward", __FILE__, line, {part});
    values[at] = before;
  };
  spoil(good.call.lengths, 1, 0, "lengths[1]: expected 1 .. T=5, got 0", __LINE__);
  spoil(good.call.lengths, 2, -1, "lengths[2]: expected 1 .. T=5, got -1", __LINE__);
  spoil(good.call.lengths, 0, 6, "lengths[0]: expected 1 .. T=5, got 6", __LINE__);
  spoil(good.call.tokens, 2 * 3 + 1, 11, "tokens[t=2, b=1]: expected 0 .. 10, got 11", __LINE__);
  spoil(good.call.tokens, 4 * 3, -1, "tokens[t=4, b=0]: expected 0 .. 10, got -1", __LINE__);
  spoil(good.call.targets, 3 * 3 + 2, 7, "targets[t=3, b=2]: expected 0 .. 6, got 7", __LINE__);
  spoil(good.call.targets, 0, INT32_MIN, "targets[t=0, b=0]: expected 0 .. 6, got -2147483648",
        __LINE__);
  good.io.layout = GF_BATCH_MAJOR;
  spoil(good.call.tokens, 1 * 5 + 2, 11, "tokens[t=2, b=1]: expected 0 .. 10, got 11", __LINE__);
  // Targets that nobody asks for are not looked at.
  good.io.target_log_probs = nullptr;
  good.call.targets[0] = -1;
  CHECK_EQ(good.run(), GF_OK);
  good.call.targets[0] = 0;
}

// An older caller's gf_io ends before the head's outputs: they are missing, not garbage.
inline void check_forward_ages(const gf_model_options& options = kOnCpu) {
  Good good(make_spec(GF_LSTM, 4, 8), false, options);
  const Result expected = forward(good.runner, good.call);
  good.io.logits = reinterpret_cast<float*>(8);
  good.io.stream = reinterpret_cast<void*>(8);
  good.io.struct_size = offsetof(gf_io, targets);
  CHECK_EQ(good.run(), GF_OK);
  CHECK(same_bits(good.result, expected));
}

}  // namespace gatefuse::test
