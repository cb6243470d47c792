// SPDX-License-Identifier: Apache-2.0
//
// gf_backward against differences of the truth (truth.hpp), and what is promised about its bits.
#include <cstdio>
#include <string>

#include "errors.hpp"
#include "training.hpp"

namespace {

using namespace gatefuse::test;

void check_slopes(const Case& one, int32_t set, int samples = 4) {
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
// With a sanitizer what is kept takes turns.
void check_bits(const Case& one, int32_t set, int turn) {
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
    if (kSanitized && !in_turn(turn + mode, 2)) continue;
    for (const int threads : {1, 3}) {
      if (kThreadSanitizer && threads == 1) continue;
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

// A long enough sequence that chunks follow one another.
void check_chunks() {
  for (const int cell : {GF_LSTM_REFINE, GF_ONLSTM, GF_GRU, GF_GRU_REFINE_RESET_BEFORE}) {
    check_slopes({make_spec(cell, 3, 5), 700, 2, true, GF_TIME_MAJOR}, GF_ISA_AUTO, 3);
    check_bits({make_spec(cell, 3, 40, 2, 2), 300, 5, true, GF_TIME_MAJOR}, GF_ISA_AUTO, cell);
  }
}

// Recurrent weights of a size at which they may have gaps (cpu/kernels.hpp).
void check_gaps() {
  for (const int cell : {GF_LSTM_REFINE, GF_GRU, GF_ONLSTM}) {
    const Case one = {make_spec(cell, 3, 112), 6, 3, true, GF_TIME_MAJOR};
    check_slopes(one, GF_ISA_AUTO, 3);
    check_bits(one, GF_ISA_AUTO, cell);
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
  io.completion = 7;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(trainer.session, &io), "completion", "got 7");
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

// The caller's tokens are places in our memory: changed ones must not be followed.
void check_changed_tokens() {
  const Network network(embedded(make_spec(GF_LSTM, 6, 9)), 1);
  Trainer trainer(network, 3, 2, 1, GF_BACKWARD_STORE);
  Call call = random_call(network.spec, 3, 2, false, false, 1);
  trainer.forward(call);
  const Cotangents given = random_cotangents(network.spec, call, 2);
  const Gradients before = trainer.backward(call, given);
  gf_gradients io = {};
  io.struct_size = sizeof io;
  const int32_t token = call.tokens[3];
  for (const int32_t wrong : {-1, network.spec.vocabulary, INT32_MAX, INT32_MIN}) {
    call.tokens[3] = wrong;
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(trainer.session, &io), "tokens[t=1, b=1]",
                 "got " + std::to_string(wrong));
  }
  call.tokens[3] = token;
  CHECK(same(trainer.backward(call, given), before));
}

// Where an input is infinite, gates are at their ends and gradients finite, whatever the lanes past
// the last unit make of it.
void check_infinite_input() {
  for (const int32_t set : instruction_sets()) {
    for (const int cell : {GF_LSTM, GF_LSTM_REFINE, GF_GRU, GF_GRU_RESET_BEFORE}) {
      const Network network(make_spec(cell, 1, 5), 1, set);
      Trainer trainer(network, 2, 1, 1, GF_BACKWARD_STORE);
      Call call = random_call(network.spec, 2, 1, false, false, 1);
      call.x[0] = std::numeric_limits<float>::infinity();
      trainer.forward(call);
      const Gradients gradients = trainer.backward(call, random_cotangents(network.spec, call, 2));
      for (const float value : gradients.dh0) CHECK(std::isfinite(value));
      for (const float value : gradients.dx) CHECK(std::isfinite(value));
    }
  }
}

}  // namespace

int main() {
  const gf_model_options cpu = {sizeof cpu, GF_BACKEND_CPU, GF_ISA_AUTO, GF_FLOAT32, 0};
  const std::vector<int32_t> sets = instruction_sets();
  const int count = static_cast<int>(sets.size());
  for (int n = 0; n < count; ++n) {
    const int32_t set = sets[n];
    for (int cell = 0; cell < kCells; ++cell) {
      const std::vector<Case> cases = cases_of(cell);
      for (int i = 0; i < static_cast<int>(cases.size()); ++i) {
        if (kSanitized && !in_turn(n + cell + i, count)) continue;
        if (!kSanitized) check_slopes(cases[i], set);  // check_bits takes the same path, and others
        check_bits(cases[i], set, cell + i / count);
      }
      check_past_the_end(cases[3], cpu, GF_BACKWARD_STORE);
      check_past_the_end(cases[5], cpu, GF_BACKWARD_STORE);
    }
  }
  check_accumulation(embedded(make_spec(GF_LSTM_REFINE, 6, 9, 2)), cpu);
  check_chunks();
  check_gaps();
  check_update(make_spec(GF_GRU_REFINE, 5, 17), cpu);
  check_update(embedded(make_spec(GF_GRU_REFINE, 5, 17)), cpu);
  check_errors();
  check_changed_tokens();
  check_infinite_input();
  std::printf("worst error of a gradient: %.2g of the largest\n", worst);
  return result();
}
