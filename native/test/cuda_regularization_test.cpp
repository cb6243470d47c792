// SPDX-License-Identifier: Apache-2.0
//
// Dropout, zoneout and recurrent dropout on the CUDA backend against the CPU backend with the same
// seed and draw, which regularization_test holds against the truth, in every tier; that masks have
// the same bits on both; and calls captured in a graph. The backend is the emulated one,
// or the library that GATEFUSE_CUDA_LIBRARY (environment) names.
#include <string>

#include "cuda_support.hpp"
#include "errors.hpp"
#include "masked.hpp"
#include "training.hpp"

namespace {

using namespace gatefuse::test;

constexpr int kModes[] = {GF_BACKWARD_STORE, GF_BACKWARD_RECOMPUTE};

double output_bound(int precision) { return precision == GF_FLOAT32 ? 1e-5 : 3e-2; }

double error_of(const Result& actual, const Result& expected) {
  using gatefuse::test::error_of;
  return std::max({error_of(actual.y, expected.y), error_of(actual.hn, expected.hn),
                   error_of(actual.cn, expected.cn), error_of(actual.logits, expected.logits)});
}

// Against the CPU, in both modes. Those of one tier and precision have the same bits in tier A.
void check_case(const MaskedCase& one, int precision, int tier) {
  const Network network(one.spec, 3, cuda_options(precision));
  const Network reference(one.spec, 3);
  const Call call = call_of(one);
  const Cotangents given = random_cotangents(one.spec, call, 7);
  Trainer on_cpu(reference, options_of(one, GF_BACKWARD_STORE));
  const Result outputs = on_cpu.forward(call);
  const Gradients expected = on_cpu.backward(call, given);
  Trainer plain(network, options_of(one, GF_BACKWARD_NONE, 1, tier));
  const Result alone = plain.forward(call);
  const std::string what =
      std::string(precision_name(precision)) + " " + name_of(one, tier_name(tier));
  const auto expect = [&](bool holds, const std::string& of) {
    report(holds, __FILE__, __LINE__, what + ": " + of);
  };
  const double off = error_of(alone, outputs);
  expect(off <= output_bound(precision), "outputs off by " + std::to_string(off));
  Gradients stored;
  for (const int mode : kModes) {
    Trainer trainer(network, options_of(one, mode, 1, tier));
    expect(same_bits(alone, trainer.forward(call)), "other outputs");
    const Gradients actual = trainer.backward(call, given);
    const double error = gatefuse::test::error_of(network, actual, expected);
    expect(error <= gradient_bound(precision), "gradients off by " + std::to_string(error));
    worst = std::max(worst, error);
    if (mode == GF_BACKWARD_STORE) stored = actual;
    if (tier == GF_TIER_ALTERNATING) expect(same(actual, stored), "other bits by mode");
  }
}

// Each kind by itself in one direction, then all of them through two layers in both, drawn and not.
std::vector<MaskedCase> tested_cases(int cell) {
  std::vector<MaskedCase> cases = {
      {make_spec(cell, 3, 6), 4, 2, false, GF_TIME_MAJOR, 0, 0, 0, 0.4, 1},
      {make_spec(cell, 2, 9), 4, 3, true, GF_BATCH_MAJOR, 0, 0.4, 0, 0, 1},
      {make_spec(cell, 5, 10, 2, 2), 4, 3, true, GF_TIME_MAJOR, 0.4, 0.3, 0.4, 0.25, 1},
      {make_spec(cell, 5, 10, 2, 2), 4, 3, true, GF_BATCH_MAJOR, 0.4, 0.3, 0.4, 0.25, 0},
  };
  if (has_cell_state(cell)) {
    cases.push_back({make_spec(cell, 2, 9), 4, 3, true, GF_TIME_MAJOR, 0, 0, 0.4, 0, 1});
  }
  if (has_scans(cell)) {
    cases[0].spec.chunk = 2;
    cases[1].spec.chunk = 3;
  }
  cases[2].spec.outputs = 3;
  return cases;
}

// ThreadSanitizer's build has one case for each cell, AddressSanitizer's half of them.
void check_cells() {
  for (int cell = 0; cell < kCells; ++cell) {
    const std::vector<MaskedCase> cases = tested_cases(cell);
    const int count = static_cast<int>(cases.size());
    for (int i = 0; i < count; ++i) {
      if (kSanitized && !in_turn(cell + i, kThreadSanitizer ? count : 2)) continue;
      check_case(cases[i], GF_FLOAT32, GF_TIER_ALTERNATING);
    }
  }
  // The persistent tiers, of which ThreadSanitizer's build has one for each cell.
  for (int cell = 0; cell < kCells; ++cell) {
    for (const int tier : {GF_TIER_SLICE, GF_TIER_CLUSTER, GF_TIER_GRID}) {
      if (kThreadSanitizer && !in_turn(cell + tier, 3)) continue;
      for (const int i : {2, 3}) {
        if (kSanitized && !in_turn(cell + tier + i, 2)) continue;
        const MaskedCase one = tested_cases(cell)[i];
        if (!tier_fits(Network(one.spec, 1, cuda_options(GF_FLOAT32)), tier)) continue;
        check_case(one, GF_FLOAT32, tier);
        if (!kSanitized && i == 2) check_case(one, GF_BFLOAT16, tier);
      }
    }
  }
  for (const int cell : {GF_LSTM_REFINE, GF_GRU_REFINE_RESET_BEFORE}) {
    const MaskedCase one = tested_cases(cell)[2];
    check_case(one, GF_BFLOAT16, GF_TIER_ALTERNATING);
    check_case(one, GF_FLOAT16, GF_TIER_ALTERNATING);
  }
}

// Sequences so long that they are gone over in chunks, each with its own masks.
void check_chunks() {
  const MaskedCase one = {
      make_spec(GF_LSTM_REFINE, 2, 3, 1, 2), 900, 5, true, GF_TIME_MAJOR, 0, 0.3, 0.4, 0.25, 1};
  for (const int tier : {GF_TIER_SLICE, GF_TIER_CLUSTER, GF_TIER_GRID}) {
    check_case(one, GF_FLOAT32, tier);
  }
}

// Dropout is between layers: every tier has it.
void check_dropout() {
  for (const int cell : {GF_LSTM_REFINE, GF_ONLSTM, GF_GRU}) {
    MaskedCase one = {make_spec(cell, 3, 9, 2, 2), 4, 9, true, GF_BATCH_MAJOR, 0.4, 0, 0, 0, 1};
    for (const int tier : kTiers) {
      const Network network(one.spec, 1, cuda_options(GF_FLOAT32));
      if (tier_fits(network, tier)) check_case(one, GF_FLOAT32, tier);
    }
  }
}

// Those of the CPU, bit by bit: of both directions, whatever the order of the rows.
void check_masks() {
  const gf_spec spec = make_spec(GF_GRU, 2, 21, 1, 2);
  const Network network(spec, 3, cuda_options(GF_FLOAT32));
  const Network reference(spec, 3);
  make_telling(network);
  make_telling(reference);
  for (const bool recurrent : {false, true}) {
    const MaskedCase one = {
        spec, 5, 7, true, GF_TIME_MAJOR, 0, recurrent ? 0 : 0.4, 0, recurrent ? 0.4 : 0, 1};
    Trainer on_cpu(reference, options_of(one, GF_BACKWARD_NONE));
    const Result expected = on_cpu.forward(call_of(one));
    for (const int tier : kTiers) {
      Trainer on_cuda(network, options_of(one, GF_BACKWARD_NONE, 1, tier));
      CHECK(same_bits(expected.y, on_cuda.forward(call_of(one)).y));
    }
  }
}

// Rates of what an evaluation leaves alone do nothing to it, and in training other draws and seeds
// are other masks, the same ones the same.
void check_draws() {
  MaskedCase one = {make_spec(GF_LSTM, 3, 6, 2), 4, 3, true, GF_TIME_MAJOR, 0.4, 0, 0, 0.3, 0};
  const Network network(one.spec, 3, cuda_options(GF_FLOAT32));
  gf_session_options options = options_of(one, GF_BACKWARD_STORE);
  Trainer trainer(network, options);
  Trainer plain(network, one.steps, one.batch, 1, GF_BACKWARD_STORE);
  Call call = call_of(one);
  const Cotangents given = random_cotangents(one.spec, call, 7);
  const Result evaluated = trainer.forward(call);
  CHECK(same_bits(plain.forward(call), evaluated));
  CHECK(same(plain.backward(call, given), trainer.backward(call, given)));
  call.training = 1;
  const Result drawn = trainer.forward(call);
  CHECK(!same_bits(evaluated.y, drawn.y));
  options.seed += 1;
  Trainer other(network, options);
  CHECK(!same_bits(drawn.y, other.forward(call).y));
  call.draw += 1;
  CHECK(!same_bits(drawn.y, trainer.forward(call).y));
  call.draw -= 1;
  CHECK(same_bits(drawn, trainer.forward(call)));
}

// A graph keeps the draw of its capture, whatever the session has drawn since.
void check_graph() {
  const MaskedCase one = {
      make_spec(GF_LSTM, 3, 6, 2), 4, 3, true, GF_TIME_MAJOR, 0.4, 0.3, 0.4, 0.3, 1};
  const Network network(one.spec, 3, cuda_options(GF_FLOAT32));
  Trainer trainer(network, options_of(one, GF_BACKWARD_STORE));
  const Call call = call_of(one);
  Call other = call;
  other.draw += 1;
  const Result expected = trainer.forward(call);
  const CallersStream stream;
  PlacedCall placed(one.spec, call, Place::kDevice);
  placed.io.stream = stream.get();
  placed.io.completion = GF_ON_STREAM;
  const CallersGraph graph(stream,
                           [&] { CHECK_EQ(gf_forward(trainer.session, &placed.io), GF_OK); });
  trainer.forward(other);
  graph.launch(stream);
  stream.wait();
  CHECK(same_bits(placed.result().y, expected.y));
}

void check_tiers() {
  const Network network(make_spec(GF_LSTM, 4, 8, 2), 1, cuda_options(GF_FLOAT32));
  gf_session_options options = session_options(3, 2, 1, GF_TIER_AUTO, GF_BACKWARD_STORE);
  const auto has = [&](const char* lines) {
    char text[2048] = "";
    Trainer trainer(network, options);
    CHECK_EQ(gf_session_path(trainer.session, text, sizeof text), GF_OK);
    report(std::string(text).find(lines) != std::string::npos, __FILE__, __LINE__,
           std::string("expected ") + lines + " in " + text);
  };
  options.dropout = 0.25;
  has("\ntier=slice\n");
  has("\nbackward_tier=slice\n");
  has("\ndropout=0.25\n");
  int64_t without = 0;
  int64_t with = 0;
  CHECK_EQ(gf_session_bytes_needed(network.model, &options, &without), GF_OK);
  options.zoneout_c = 0.5;
  CHECK_EQ(gf_session_bytes_needed(network.model, &options, &with), GF_OK);
  CHECK(with > without);
  has("\ntier=slice\n");
  has("\nbackward_tier=slice\n");
  has("\ndropout=0.25\nzoneout_c=0.5\n");
  gf_session* session = nullptr;
  options.dropout = 1;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_create(network.model, &options, &session),
               "dropout: expected a rate from 0 to below 1, got 1");
}

}  // namespace

int main() {
  if (!load_backend()) return 1;
  check_cells();
  check_dropout();
  if (!kSanitized) check_chunks();
  check_masks();
  check_draws();
  check_graph();
  check_tiers();
  std::printf("worst error of a gradient: %.2g of the largest\n", worst);
  return result();
}
