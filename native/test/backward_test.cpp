// SPDX-License-Identifier: Apache-2.0
//
// gf_backward against differences of the truth (truth.hpp), and what is promised about its bits.
#include <cstdio>
#include <string>

#include "errors.hpp"
#include "training.hpp"

namespace {

using namespace gatefuse::test;

void check_slopes(const Case& one, int32_t set, int samples) {
  Network network(one.spec, 3, set);
  Call call = random_call(one.spec, one.steps, one.batch, one.ragged, true, 5);
  call.layout = one.layout;
  const Cotangents given = random_cotangents(one.spec, call, 7);
  Trainer stored(network, one.steps, one.batch, 1, GF_BACKWARD_STORE);
  stored.forward(call);
  const Gradients gradients = stored.backward(call, given);
  const std::string what = std::string(set_name(set)) + " " + name_of(one, GF_BACKWARD_STORE, 1);
  Slopes slopes{network, call, given, {}, samples, what};
  slopes.check(gradients);
}

// The bits do not depend on what is kept, on threads, on how often, nor on what is past the end.
void check_bits(const Case& one, int32_t set) {
  const Network network(one.spec, 3, set);
  Call call = random_call(one.spec, one.steps, one.batch, one.ragged, true, 5);
  call.layout = one.layout;
  const Cotangents given = random_cotangents(one.spec, call, 7);
  Trainer stored(network, one.steps, one.batch, 1, GF_BACKWARD_STORE);
  const Result forward = stored.forward(call);
  const Gradients expected = stored.backward(call, given);
  const Runner plain(network, one.steps, one.batch);
  CHECK(same_bits(forward, gatefuse::test::forward(plain, call)));
  CHECK(same(expected, stored.backward(call, given)));
  for (const int mode : {GF_BACKWARD_STORE, GF_BACKWARD_RECOMPUTE}) {
    for (const int threads : {1, 3}) {
      // Larger than the call, and used before.
      Trainer other(network, one.steps + 2, one.batch + 3, threads, mode);
      const Call earlier = random_call(one.spec, one.steps + 2, one.batch + 3, true, false, 9);
      other.forward(earlier);
      other.backward(earlier, random_cotangents(one.spec, earlier, 13));
      other.forward(call);
      if (!same(expected, other.backward(call, given))) {
        report(false, __FILE__, __LINE__, name_of(one, mode, threads).c_str());
      }
    }
  }
}

void check_past_the_end(const Case& one) {
  const Network network(one.spec, 3);
  Call call = random_call(one.spec, one.steps, one.batch, true, true, 5);
  Cotangents given = random_cotangents(one.spec, call, 7);
  Trainer trainer(network, one.steps, one.batch, 1, GF_BACKWARD_STORE);
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
      for (int64_t k = 0; k < width; ++k)
        CHECK_EQ(expected.dx[call.place(t, row) * width + k], 0.0f);
    }
  }
}

void check_accumulation() {
  gf_spec spec = make_spec(GF_LSTM_REFINE, 6, 9, 2);
  spec.vocabulary = 5;
  spec.outputs = 4;
  const Network network(spec, 3);
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

// A long enough sequence that chunks follow one another.
void check_chunks() {
  for (const int cell : {GF_LSTM_REFINE, GF_ONLSTM, GF_GRU, GF_GRU_REFINE_RESET_BEFORE}) {
    check_slopes({make_spec(cell, 3, 5), 700, 2, true, GF_TIME_MAJOR}, GF_ISA_AUTO, 3);
    check_bits({make_spec(cell, 3, 40, 2, 2), 300, 5, true, GF_TIME_MAJOR}, GF_ISA_AUTO);
  }
}

void check_update() {
  const gf_spec spec = make_spec(GF_GRU_REFINE, 5, 17);
  gf_spec embedded = spec;
  embedded.vocabulary = 9;
  embedded.outputs = 3;
  for (const gf_spec& one : {spec, embedded}) {
    const Network first(one, 3);
    const Network second(one, 4);
    std::vector<float> parameters;
    for (const auto& tensor : second.tensors) {
      parameters.insert(parameters.end(), tensor.begin(), tensor.end());
    }
    const Call call = random_call(one, 6, 2, false, true, 5);
    const Cotangents given = random_cotangents(one, call, 7);
    Trainer changed(first, 6, 2, 1, GF_BACKWARD_STORE);
    Trainer expected(second, 6, 2, 1, GF_BACKWARD_STORE);
    changed.forward(call);
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_model_update(first.model, parameters.data(), 3),
                 "parameters: expected", "got 3");
    CHECK_EQ(
        gf_model_update(first.model, parameters.data(), static_cast<int64_t>(parameters.size())),
        GF_OK);
    gf_gradients none = {};
    none.struct_size = sizeof none;
    EXPECT_ERROR(GF_INVALID_STATE, gf_backward(changed.session, &none), "last update");
    CHECK(same_bits(changed.forward(call), expected.forward(call)));
    CHECK(same(changed.backward(call, given), expected.backward(call, given)));
  }
}

void check_errors() {
  const Network lstm(make_spec(GF_LSTM, 4, 8), 1);
  const Network gru(make_spec(GF_GRU, 4, 8), 1);
  const Runner plain(lstm, 3, 2);
  float value = 0;
  gf_gradients io = {};
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(plain.session, &io), "gradients.struct_size");
  io.struct_size = sizeof io;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(nullptr, &io), "session", "null");
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(plain.session, nullptr), "gradients", "null");
  EXPECT_ERROR(GF_INVALID_STATE, gf_backward(plain.session, &io), "GF_BACKWARD_NONE");
  Trainer trainer(gru, 3, 2, 1, GF_BACKWARD_RECOMPUTE);
  EXPECT_ERROR(GF_INVALID_STATE, gf_backward(trainer.session, &io), "forward pass before");
  const Call call = random_call(gru.spec, 3, 2, false, false, 1);
  trainer.forward(call);
  CHECK_EQ(gf_backward(trainer.session, &io), GF_OK);
  io.accumulate = 2;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(trainer.session, &io), "accumulate", "got 2");
  io.accumulate = 0;
  io.completion = GF_ON_STREAM;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(trainer.session, &io), "completion", "on the CPU");
  io.completion = GF_ON_RETURN;
  io.dcn = &value;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(trainer.session, &io), "dcn", "no cell state");
  io.dcn = nullptr;
  io.dc0 = &value;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(trainer.session, &io), "dc0", "no cell state");
  io.dc0 = nullptr;
  io.dlogits = &value;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(trainer.session, &io), "dlogits", "no head");
  io.dlogits = nullptr;
  CHECK_EQ(gf_backward(trainer.session, &io), GF_OK);
  // A call that fails leaves nothing to go back over.
  Result result = make_result(gru.spec, 3, 2);
  gf_io bad = make_io(call, result);
  bad.steps = 4;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(trainer.session, &bad), "steps");
  EXPECT_ERROR(GF_INVALID_STATE, gf_backward(trainer.session, &io), "forward pass before");
  gf_session* session = nullptr;
  const gf_session_options options = session_options(3, 2, 1, 0, 3);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_create(gru.model, &options, &session),
               "backward: expected 0 .. 2, got 3");
}

}  // namespace

int main() {
  for (const int32_t set : instruction_sets()) {
    for (int cell = 0; cell < kCells; ++cell) {
      for (const Case& one : cases_of(cell)) {
        check_slopes(one, set, kSanitized ? 1 : 4);
        check_bits(one, set);
      }
      check_past_the_end(cases_of(cell)[3]);
      check_past_the_end(cases_of(cell)[5]);
    }
  }
  check_accumulation();
  check_chunks();
  check_update();
  check_errors();
  std::printf("worst error of a gradient: %.2g of the largest\n", worst);
  return result();
}
