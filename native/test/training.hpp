// SPDX-License-Identifier: Apache-2.0
//
// What the tests of gf_backward share: sessions that go back, and slopes of the truth (truth.hpp)
// to hold their gradients against.
#pragma once

#include <cstdio>
#include <string>

#include "errors.hpp"
#include "support.hpp"
#include "truth.hpp"

namespace gatefuse::test {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The gradients by the outputs of a call; an empty vector is a null pointer.
struct Cotangents {
  std::vector<float> dy, dhn, dcn, dlogits;
};

// What gf_backward gives.
struct Gradients {
  std::vector<float> dx, dh0, dc0, parameters;
};

inline int64_t parameter_count(const Network& network) {
  int64_t count = 0;
  for (const auto& tensor : network.tensors) count += static_cast<int64_t>(tensor.size());
  return count;
}

inline Cotangents random_cotangents(const gf_spec& spec, const Call& call, uint64_t seed) {
  Random random(seed);
  const int64_t places = int64_t{call.steps} * call.batch;
  Cotangents given;
  given.dy = random.values(places * spec.directions * spec.hidden_size, 1);
  given.dhn = random.values(state_size(spec, call.batch), 1);
  if (has_cell_state(spec.cell)) given.dcn = random.values(state_size(spec, call.batch), 1);
  if (spec.outputs > 0) given.dlogits = random.values(places * spec.outputs, 1);
  return given;
}

class Trainer {
 public:
  Trainer(const Network& network, int steps, int batch, int threads, int mode,
          int tier = GF_TIER_AUTO)
      : Trainer(network, session_options(steps, batch, threads, tier, mode)) {}
  Trainer(const Network& network, const gf_session_options& options) : network_(network) {
    int64_t needed = 0;
    CHECK_EQ(gf_session_bytes_needed(network.model, &options, &needed), GF_OK);
    CHECK_EQ(gf_session_create(network.model, &options, &session), GF_OK);
    CHECK_EQ(needed, gf_session_bytes(session));
  }
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  ~Trainer() { gf_session_destroy(session); }

  Result forward(const Call& call) {
    Result result = make_result(network_.spec, call.steps, call.batch);
    const gf_io io = make_io(call, result);
    CHECK_EQ(gf_forward(session, &io), GF_OK);
    return result;
  }

  Gradients backward(const Call& call, const Cotangents& given) {
    Gradients gradients = empty(call);
    backward(given, gradients, 0);
    return gradients;
  }

  // They begin as NaN, so that what is not written shows.
  Gradients empty(const Call& call) const {
    const gf_spec& spec = network_.spec;
    Gradients gradients;
    if (spec.vocabulary == 0) {
      gradients.dx.assign(int64_t{call.steps} * call.batch * spec.input_size, kNan);
    }
    gradients.dh0.assign(state_size(spec, call.batch), kNan);
    if (has_cell_state(spec.cell)) gradients.dc0 = gradients.dh0;
    gradients.parameters.assign(parameter_count(network_), kNan);
    return gradients;
  }

  void backward(const Cotangents& given, Gradients& to, int accumulate) {
    gf_gradients io = {};
    io.struct_size = sizeof io;
    io.accumulate = accumulate;
    io.dy = pointer(given.dy);
    io.dhn = pointer(given.dhn);
    io.dcn = pointer(given.dcn);
    io.dlogits = pointer(given.dlogits);
    io.dx = pointer(to.dx);
    io.dh0 = pointer(to.dh0);
    io.dc0 = pointer(to.dc0);
    io.parameters = pointer(to.parameters);
    const gf_status status = gf_backward(session, &io);
    report(status == GF_OK, __FILE__, __LINE__, status == GF_OK ? "" : gf_last_error());
  }

  gf_session* session = nullptr;

 private:
  const Network& network_;
};

inline bool same(const Gradients& a, const Gradients& b) {
  return same_bits(a.dx, b.dx) && same_bits(a.dh0, b.dh0) && same_bits(a.dc0, b.dc0) &&
         same_bits(a.parameters, b.parameters);
}

// In parts of the largest value, or of 1.
inline double error_of(const std::vector<float>& actual, const std::vector<float>& expected) {
  if (actual.size() != expected.size()) return HUGE_VAL;
  double largest = 1;
  for (const float one : expected) largest = std::max(largest, std::abs(double{one}));
  double error = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double one = std::abs(double{actual[i]} - expected[i]) / largest;
    error = one <= error ? error : std::isnan(one) ? HUGE_VAL : one;
  }
  return error;
}

// By tensors: each has a scale of its own.
inline double error_of(const Network& network, const Gradients& actual, const Gradients& expected) {
  double error = std::max({error_of(actual.dx, expected.dx), error_of(actual.dh0, expected.dh0),
                           error_of(actual.dc0, expected.dc0)});
  auto at = actual.parameters.begin();
  auto from = expected.parameters.begin();
  for (const auto& tensor : network.tensors) {
    const auto size = static_cast<int64_t>(tensor.size());
    error = std::max(error, error_of({at, at + size}, {from, from + size}));
    at += size;
    from += size;
  }
  return error;
}

inline double dot(const Vector& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size() && !b.empty(); ++i) sum += a[i] * b[i];
  return sum;
}

inline double loss(const Network& network, const Call& call, const Cotangents& given,
                   const Reading& reading) {
  const Truth out = truth(network, call, reading);
  return dot(out.y, given.dy) + dot(out.hn, given.dhn) + dot(out.cn, given.dcn) +
         dot(out.logits, given.dlogits);
}

// The slope of the loss by one number, from both of its sides.
inline double slope(float& value, const Network& network, const Call& call, const Cotangents& given,
                    const Reading& reading) {
  const float kept = value;
  const float above = kept + 0x1p-10f;
  const float below = kept - 0x1p-10f;
  value = above;
  const double upper = loss(network, call, given, reading);
  value = below;
  const double lower = loss(network, call, given, reading);
  value = kept;
  return (upper - lower) / (double{above} - double{below});
}

inline double worst = 0;

// What gradients are held against.
struct Slopes {
  Network& network;
  Call& call;
  const Cotangents& given;
  const Reading reading;
  const int samples;
  const std::string what;  // for who reads a failure
  Random random{11};

  // Holds a few of the values of one gradient against slopes, in parts of the largest among them.
  void check(const char* name, const std::vector<float>& gradient, std::vector<float>& variable) {
    if (gradient.empty()) return;
    CHECK_EQ(gradient.size(), variable.size());
    double largest = 1;
    for (const float one : gradient) largest = std::max(largest, std::abs(double{one}));
    for (int i = 0; i < samples; ++i) {
      const int at = random.below(static_cast<int>(gradient.size()));
      const double expected = slope(variable[at], network, call, given, reading);
      const double error = std::abs(gradient[at] - expected) / largest;
      if (std::isnan(error) || error > 2e-5) {
        char text[256];
        std::snprintf(text, sizeof text, "%s[%d]: expected %g, got %g (%s)", name, at, expected,
                      gradient[at], what.c_str());
        report(false, __FILE__, __LINE__, text);
      }
      worst = std::max(worst, error);
    }
  }

  void check(const Gradients& gradients) {
    check("dx", gradients.dx, call.x);
    check("dh0", gradients.dh0, call.h0);
    check("dc0", gradients.dc0, call.c0);
    auto begin = gradients.parameters.begin();
    for (size_t i = 0; i < network.tensors.size(); ++i) {
      std::vector<float>& tensor = network.tensors[i];
      const std::vector<float> part(begin, begin + static_cast<int64_t>(tensor.size()));
      begin += static_cast<int64_t>(tensor.size());
      check(("tensor " + std::to_string(i)).c_str(), part, tensor);
    }
  }
};

struct Case {
  gf_spec spec;
  int steps, batch;
  bool ragged;
  int layout;
};

inline std::string name_of(const Case& one, int mode, int threads) {
  char text[200];
  std::snprintf(text, sizeof text,
                "%s I=%d H=%d L=%d D=%d chunk=%d V=%d O=%d T=%d B=%d%s mode=%d threads=%d",
                kCellNames[one.spec.cell], one.spec.input_size, one.spec.hidden_size,
                one.spec.layers, one.spec.directions, one.spec.chunk, one.spec.vocabulary,
                one.spec.outputs, one.steps, one.batch, one.ragged ? " ragged" : "", mode, threads);
  return text;
}

inline std::vector<Case> cases_of(int cell) {
  const bool scans = has_scans(cell);
  std::vector<Case> cases = {
      {make_spec(cell, 3, 4), 5, 2, false, GF_TIME_MAJOR},
      {make_spec(cell, 1, 1), 3, 1, false, GF_TIME_MAJOR},
      {make_spec(cell, 7, 21), 6, 5, true, GF_BATCH_MAJOR},
      {make_spec(cell, 20, 36, 2, 2), 4, 3, true, GF_TIME_MAJOR},
      {make_spec(cell, 5, 12, 3, 1), 5, 9, true, GF_TIME_MAJOR},
      {make_spec(cell, 6, 10, 2, 2), 5, 3, true, GF_BATCH_MAJOR},
  };
  if (scans) {
    cases[0].spec.chunk = 2;
    cases[2].spec.chunk = 7;
    cases[3].spec.chunk = 4;
    cases[4].spec.chunk = 12;
  }
  cases[5].spec.vocabulary = 7;
  cases[5].spec.outputs = 11;
  cases[4].spec.outputs = 3;
  return cases;
}

// Makes NaN of what lies past the sequences' ends.
inline void poison(std::vector<float>& values, const Call& call) {
  const int64_t width = static_cast<int64_t>(values.size()) / (int64_t{call.steps} * call.batch);
  for (int row = 0; row < call.batch; ++row) {
    for (int t = call.length(row); t < call.steps; ++t) {
      std::fill_n(values.begin() + call.place(t, row) * width, width, kNan);
    }
  }
}

// What lies past the sequences' ends is not read, and has gradients of zero.
inline void check_past_the_end(const Case& one, const gf_model_options& options, int mode) {
  const Network network(one.spec, 3, options);
  Call call = random_call(one.spec, one.steps, one.batch, true, true, 5);
  Cotangents given = random_cotangents(one.spec, call, 7);
  Trainer trainer(network, one.steps, one.batch, 1, mode);
  trainer.forward(call);
  const Gradients expected = trainer.backward(call, given);
  poison(call.x, call);
  poison(given.dy, call);
  poison(given.dlogits, call);
  trainer.forward(call);
  CHECK(same(expected, trainer.backward(call, given)));
  const int64_t width = one.spec.input_size;
  for (int row = 0; row < call.batch && !expected.dx.empty(); ++row) {
    for (int t = call.length(row); t < call.steps; ++t) {
      for (int64_t k = 0; k < width; ++k) {
        CHECK_EQ(expected.dx[call.place(t, row) * width + k], 0.0f);
      }
    }
  }
}

// The same with an embedding and a head.
inline gf_spec embedded(gf_spec spec) {
  spec.vocabulary = 5;
  spec.outputs = 4;
  return spec;
}

inline void check_accumulation(const gf_spec& spec, const gf_model_options& options) {
  const Network network(spec, 3, options);
  const Call call = random_call(spec, 7, 3, true, false, 5);
  const Cotangents given = random_cotangents(spec, call, 7);
  Trainer trainer(network, 7, 3, 1, GF_BACKWARD_STORE);
  trainer.forward(call);
  const Gradients once = trainer.backward(call, given);
  Gradients twice = once;
  trainer.backward(given, twice, 1);
  for (size_t i = 0; i < once.parameters.size(); ++i) {
    CHECK(std::abs(twice.parameters[i] - 2 * once.parameters[i]) <=
          4e-7f * std::abs(once.parameters[i]) + 1e-6f);
  }
  // Without any gradient given all are zero, and nothing asked for is nothing written.
  const Gradients none = trainer.backward(call, {});
  for (const float value : none.parameters) CHECK_EQ(value, 0.0f);
  Gradients unwanted;
  trainer.backward(given, unwanted, 0);
}

// With other weights in place, a session gives what one of a new model gives.
inline void check_update(const gf_spec& spec, const gf_model_options& options) {
  const Network first(spec, 3, options);
  const Network second(spec, 4, options);
  std::vector<float> parameters;
  for (const auto& tensor : second.tensors) {
    parameters.insert(parameters.end(), tensor.begin(), tensor.end());
  }
  const int64_t count = static_cast<int64_t>(parameters.size());
  const Call call = random_call(spec, 6, 2, false, true, 5);
  const Cotangents given = random_cotangents(spec, call, 7);
  Trainer changed(first, 6, 2, 1, GF_BACKWARD_STORE);
  Trainer expected(second, 6, 2, 1, GF_BACKWARD_STORE);
  changed.forward(call);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_update(first.model, parameters.data(), 3),
               "parameters: expected", "got 3");
  CHECK_EQ(gf_model_update(first.model, parameters.data(), count), GF_OK);
  gf_gradients none = {};
  none.struct_size = sizeof none;
  EXPECT_ERROR(GF_INVALID_STATE, gf_backward(changed.session, &none), "last update");
  CHECK(same_bits(changed.forward(call), expected.forward(call)));
  CHECK(same(changed.backward(call, given), expected.backward(call, given)));
}

}  // namespace gatefuse::test
