// SPDX-License-Identifier: Apache-2.0
//
// Dropout, zoneout and recurrent dropout: the random words, runs against the truth (truth.hpp) with
// the same masks, gradients against its differences, and what is promised about bits.
#include <array>
#include <cstdio>
#include <string>

#include "errors.hpp"
#include "masked.hpp"
#include "random.hpp"
#include "training.hpp"

namespace {

using namespace gatefuse;
using namespace gatefuse::test;

// The known answers of Random123, kat_vectors.
void check_philox() {
  const auto check = [](const Words& counter, const Key& key, const Words& expected) {
    const Words actual = philox(counter, key);
    for (int i = 0; i < 4; ++i) CHECK_EQ(actual.word[i], expected.word[i]);
  };
  check({{0, 0, 0, 0}}, {{0, 0}}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}});
  check({{~0u, ~0u, ~0u, ~0u}}, {{~0u, ~0u}}, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}});
  check({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, {{0xa4093822, 0x299f31d0}},
        {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}});
}

// How often two masks of rate 1/2 agree, of so many units.
double agreement(const Key& a, uint32_t time_a, uint32_t row_a, const Key& b, uint32_t time_b,
                 uint32_t row_b) {
  constexpr int kBlocks = 1 << 14;
  int64_t same = 0;
  for (uint32_t block = 0; block < kBlocks; ++block) {
    const Words x = mask_words(a, block, time_a, row_a);
    const Words y = mask_words(b, block, time_b, row_b);
    for (int k = 0; k < 4; ++k) same += (x.word[k] >> 31) == (y.word[k] >> 31);
  }
  return static_cast<double>(same) / (4 * kBlocks);
}

// Everything that a word is a function of changes the mask: two agree by chance alone.
void check_independence() {
  const Key key = mask_key(1, 2, kZoneoutHMask, 3);
  const Key others[] = {
      mask_key(2, 2, kZoneoutHMask, 3), mask_key(1ull << 32 | 1, 2, kZoneoutHMask, 3),
      mask_key(1, 3, kZoneoutHMask, 3), mask_key(1, 1ull << 32 | 2, kZoneoutHMask, 3),
      mask_key(1, 2, kZoneoutCMask, 3), mask_key(1, 2, kZoneoutHMask, 2)};
  constexpr double kFiveSigmas = 5 * 0.5 / 256;  // of 65536 units
  for (const Key& other : others) CHECK_CLOSE(agreement(key, 4, 5, other, 4, 5), 0.5, kFiveSigmas);
  CHECK_CLOSE(agreement(key, 4, 5, key, 5, 5), 0.5, kFiveSigmas);
  CHECK_CLOSE(agreement(key, 4, 5, key, 4, 6), 0.5, kFiveSigmas);
  CHECK_CLOSE(agreement(key, 4, 5, key, 5, 4), 0.5, kFiveSigmas);
  CHECK_EQ(agreement(key, 4, 5, key, 4, 5), 1.0);
}

void check_thresholds() {
  CHECK_EQ(mask_threshold(0), 0u);
  CHECK_EQ(mask_threshold(0.5), 0x80000000u);
  CHECK_EQ(mask_threshold(0x1p-32), 1u);
  CHECK_EQ(mask_threshold(1 - 0x1p-53), 0xffffffffu);
}

void check_result(const Result& actual, const Truth& expected, const std::string& what) {
  const double error =
      std::max({worst_error(actual.y, expected.y), worst_error(actual.hn, expected.hn),
                worst_error(actual.cn, expected.cn), worst_error(actual.logits, expected.logits)});
  if (!(error < 1e-5)) report(false, __FILE__, __LINE__, what + ": " + std::to_string(error));
}

void check_slopes(const MaskedCase& one, int32_t set) {
  constexpr int kSamples = 4;
  Network network(one.spec, 3, set);
  Call call = call_of(one);
  const Cotangents given = random_cotangents(one.spec, call, 7);
  const gf_session_options options = options_of(one, GF_BACKWARD_STORE);
  Trainer trainer(network, options);
  Reading reading;
  reading.rates = options;
  check_result(trainer.forward(call), truth(network, call, reading), name_of(one, set_name(set)));
  const Gradients gradients = trainer.backward(call, given);
  Slopes slopes{network, call, given, reading, kSamples, name_of(one, set_name(set))};
  slopes.check(gradients);
}

// The bits do not depend on what is kept, on threads, nor on a session's past. With a sanitizer
// what is kept takes turns.
void check_bits(const MaskedCase& one, int32_t set, int turn) {
  const Network network(one.spec, 3, set);
  const Call call = call_of(one);
  const Cotangents given = random_cotangents(one.spec, call, 7);
  Trainer stored(network, options_of(one, GF_BACKWARD_STORE));
  const Result result = stored.forward(call);
  const Gradients expected = stored.backward(call, given);
  Trainer plain(network, options_of(one, GF_BACKWARD_NONE));
  CHECK(same_bits(result, plain.forward(call)));
  for (const int mode : {GF_BACKWARD_STORE, GF_BACKWARD_RECOMPUTE}) {
    if (kSanitized && !in_turn(turn + mode, 2)) continue;
    for (const int threads : {1, 3}) {
      if (kThreadSanitizer && threads == 1) continue;
      MaskedCase larger = one;
      larger.steps += 2;
      larger.batch += 3;
      Trainer other(network, options_of(larger, mode, threads));
      Call earlier = call_of(larger);
      earlier.draw = 3;
      earlier.training = 1 - one.training;
      other.forward(earlier);
      other.backward(earlier, random_cotangents(one.spec, earlier, 13));
      CHECK(same_bits(result, other.forward(call)));
      CHECK(same(expected, other.backward(call, given)));
    }
  }
}

// A row's masks are its own, whatever place the lengths of the others give it.
void check_sorting(const MaskedCase& one) {
  const Network network(one.spec, 3);
  Trainer trainer(network, options_of(one, GF_BACKWARD_NONE));
  Call call = call_of(one);
  call.lengths.assign(one.batch, one.steps);
  const int64_t width = one.spec.directions * one.spec.hidden_size;
  const Result whole = trainer.forward(call);
  for (int row = 0; row < one.batch; ++row) {
    // This row stays, and goes to the front.
    for (int other = 0; other < one.batch; ++other) {
      call.lengths[other] = other == row ? one.steps : 1 + other % (one.steps - 1);
    }
    const Result ragged = trainer.forward(call);
    for (int t = 0; t < one.steps; ++t) {
      const int64_t at = call.place(t, row) * width;
      CHECK(std::memcmp(&whole.y[at], &ragged.y[at], width * sizeof(float)) == 0);
    }
  }
}

// Rates of 0, and a call that is not in training where zoneout is 0, are as if there were none.
void check_nothing(const MaskedCase& given) {
  MaskedCase one = given;
  one.zoneout_h = one.zoneout_c = 0;
  one.training = 0;
  const Network network(one.spec, 3);
  const Call evaluated = call_of(one);
  Call trained = evaluated;
  trained.training = 1;
  const Cotangents cotangents = random_cotangents(one.spec, evaluated, 7);
  Trainer plain(network, one.steps, one.batch, 1, GF_BACKWARD_STORE);
  const Result result = plain.forward(evaluated);
  const Gradients gradients = plain.backward(evaluated, cotangents);
  CHECK(same_bits(result, plain.forward(trained)));
  CHECK(same(gradients, plain.backward(trained, cotangents)));
  Trainer regularized(network, options_of(one, GF_BACKWARD_STORE));
  CHECK(same_bits(result, regularized.forward(evaluated)));
  CHECK(same(gradients, regularized.backward(evaluated, cotangents)));
  CHECK(!same_bits(result.y, regularized.forward(trained).y));
}

// Another draw and another seed are another mask, the same ones the same.
void check_draws(const MaskedCase& one) {
  const Network network(one.spec, 3);
  gf_session_options options = options_of(one, GF_BACKWARD_NONE);
  Trainer trainer(network, options);
  options.seed += 1;
  Trainer other(network, options);
  Call call = call_of(one);
  const Result first = trainer.forward(call);
  CHECK(!same_bits(first.y, other.forward(call).y));
  call.draw += 1;
  CHECK(!same_bits(first.y, trainer.forward(call).y));
  call.draw -= 1;
  CHECK(same_bits(first, trainer.forward(call)));
}

// What is left of h after a step of a telling network is the mask itself.
void check_frequencies() {
  constexpr int kSteps = 4, kBatch = 16, kUnits = 256;
  const gf_spec spec = make_spec(GF_GRU, 1, kUnits);
  const gf_model_options on_cpu = {sizeof(gf_model_options), 0, GF_ISA_AUTO, GF_FLOAT32, 0};
  const Network network(spec, 3, on_cpu);
  make_telling(network);
  for (const double rate : {0.02, 0.3, 0.9}) {
    MaskedCase one = {spec, kSteps, kBatch, false, GF_TIME_MAJOR, 0, 0, 0, rate, 1};
    Trainer dropped(network, options_of(one, GF_BACKWARD_NONE));
    Call call = call_of(one);
    call.h0.clear();
    const float large = static_cast<float>(1 / (1 - rate));
    int64_t zeros = 0;
    for (const float h : dropped.forward(call).y) {
      zeros += h == 0;
      CHECK(h == 0 || h == large);
    }
    const double count = kSteps * kBatch * kUnits;
    const double sigma = std::sqrt(rate * (1 - rate) / count);
    CHECK_CLOSE(static_cast<double>(zeros) / count, rate, 5 * sigma);
    // Zoned out from the first step on, h is still 0 with probability rate^steps.
    one.recurrent_dropout = 0;
    one.zoneout_h = rate;
    Trainer zoned(network, options_of(one, GF_BACKWARD_NONE));
    zeros = 0;
    for (const float h : zoned.forward(call).hn) {
      zeros += h == 0;
      CHECK(h == 0 || h == 1);
    }
    const double all = std::pow(rate, kSteps);
    CHECK_CLOSE(static_cast<double>(zeros) / (kBatch * kUnits), all,
                5 * std::sqrt(all * (1 - all) / (kBatch * kUnits)) + 1e-9);
  }
}

void check_path() {
  const Network network(make_spec(GF_LSTM, 4, 8, 2), 1);
  gf_session_options options = session_options(3, 2);
  char text[2048];
  const auto path = [&] {
    Trainer trainer(network, options);
    CHECK_EQ(gf_session_path(trainer.session, text, sizeof text), GF_OK);
    return std::string(text);
  };
  CHECK(path().find("dropout") == std::string::npos);
  CHECK(path().find("zoneout") == std::string::npos);
  options.dropout = 0.25;
  options.zoneout_c = 0.5;
  CHECK(path().find("\ndropout=0.25\nzoneout_c=0.5\n") != std::string::npos);
}

void check_errors() {
  const Network lstm(make_spec(GF_LSTM, 4, 8), 1);
  const Network gru(make_spec(GF_GRU, 4, 8), 1);
  const auto refused = [](const Network& network, double gf_session_options::*field, double rate,
                          const char* sentence) {
    gf_session_options options = session_options(3, 2);
    options.*field = rate;
    gf_session* session = nullptr;
    int64_t bytes = 0;
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_create(network.model, &options, &session),
                 sentence);
    EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_bytes_needed(network.model, &options, &bytes),
                 sentence);
  };
  using Options = gf_session_options;
  refused(lstm, &Options::dropout, 1, "dropout: expected a rate from 0 to below 1, got 1");
  refused(lstm, &Options::zoneout_h, -0.5,
          "zoneout_h: expected a rate from 0 to below 1, got -0.5");
  refused(lstm, &Options::zoneout_c, 2, "zoneout_c: expected a rate from 0 to below 1, got 2");
  refused(lstm, &Options::recurrent_dropout, std::nan(""),
          "recurrent_dropout: expected a rate from 0 to below 1, got");
  refused(gru, &Options::zoneout_c, 0.5,
          "zoneout_c: expected 0 (this cell has no cell state), got 0.5");
  Trainer trainer(lstm, 3, 2, 1, GF_BACKWARD_NONE);
  const Call call = random_call(lstm.spec, 3, 2, false, false, 1);
  Result result = make_result(lstm.spec, 3, 2);
  gf_io io = make_io(call, result);
  io.training = 2;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(trainer.session, &io),
               "training: expected 0 .. 1, got 2");
}

std::vector<MaskedCase> masked_cases_of(int cell) {
  std::vector<MaskedCase> cases = {
      {make_spec(cell, 3, 4), 5, 2, false, GF_TIME_MAJOR, 0, 0, 0, 0.4, 1},
      {make_spec(cell, 1, 1, 2), 3, 1, false, GF_TIME_MAJOR, 0.5, 0, 0, 0, 1},
      {make_spec(cell, 7, 21), 6, 5, true, GF_BATCH_MAJOR, 0, 0.3, 0.4, 0, 1},
      {make_spec(cell, 7, 21, 2, 2), 6, 5, true, GF_TIME_MAJOR, 0.5, 0.3, 0.4, 0, 0},
      {make_spec(cell, 20, 36, 2, 2), 4, 3, true, GF_TIME_MAJOR, 0.3, 0.2, 0, 0.25, 1},
      {make_spec(cell, 5, 12, 3, 1), 5, 9, true, GF_BATCH_MAJOR, 0.4, 0, 0.5, 0.1, 1},
  };
  if (has_scans(cell)) {
    cases[0].spec.chunk = 2;
    cases[2].spec.chunk = 7;
    cases[4].spec.chunk = 4;
  }
  cases[5].spec.vocabulary = 7;
  cases[5].spec.outputs = 11;
  return cases;
}

// Long enough that chunks follow one another, and enough work for several members.
void check_chunks() {
  for (const int cell : {GF_LSTM_REFINE, GF_ONLSTM, GF_GRU, GF_GRU_REFINE_RESET_BEFORE}) {
    check_bits({make_spec(cell, 3, 40, 2, 2), 300, 5, true, GF_TIME_MAJOR, 0.2, 0.1, 0.3, 0.2, 1},
               GF_ISA_AUTO, cell);
    check_bits({make_spec(cell, 9, 130, 2), 7, 12, true, GF_TIME_MAJOR, 0.2, 0.1, 0.3, 0.2, 1},
               GF_ISA_AUTO, cell);
  }
}

}  // namespace

int main() {
  check_philox();
  check_independence();
  check_thresholds();
  const std::vector<int32_t> sets = instruction_sets();
  const int count = static_cast<int>(sets.size());
  for (int cell = 0; cell < kCells; ++cell) {
    const std::vector<MaskedCase> cases = masked_cases_of(cell);
    for (int n = 0; n < count; ++n) {
      for (int i = 0; i < static_cast<int>(cases.size()); ++i) {
        if (kSanitized && !in_turn(n + cell + i, count)) continue;
        // check_bits takes the same path, and others.
        if (!kSanitized) check_slopes(cases[i], sets[n]);
        check_bits(cases[i], sets[n], cell + i / count);
      }
    }
    check_sorting(cases[4]);
    check_nothing(cases[4]);
    check_draws(cases[4]);
  }
  check_chunks();
  check_frequencies();
  check_path();
  check_errors();
  std::printf("worst error of a gradient: %.2g of the largest\n", worst);
  return result();
}
