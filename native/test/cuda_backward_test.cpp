// SPDX-License-Identifier: Apache-2.0
//
// gf_backward of all cells on the CUDA backend, by tier and precision, against the CPU backend,
// which backward_test holds against the truth; and what is promised about its bits. The backend is
// the emulated one, or the library that GATEFUSE_CUDA_LIBRARY (environment) names. Arguments, if
// any: the tier and the precision to test.
#include <string>

#include "cuda_support.hpp"
#include "errors.hpp"
#include "training.hpp"

namespace {

using namespace gatefuse::test;

bool fits(const gf_spec& spec, int precision, int tier) {
  const gf_model_options options = cuda_options(precision);
  gf_model* model = nullptr;
  if (gf_model_create(&spec, &options, &model) != GF_OK) return false;
  gf_model_destroy(model);
  return tier_fits(Network(spec, 1, options), tier);
}

Call call_of(const Case& one) {
  Call call = random_call(one.spec, one.steps, one.batch, one.ragged, true, 5);
  call.layout = one.layout;
  return call;
}

// The tier that the way back has of a session in this one.
int back_of(int cell, int tier) {
  if (cell >= GF_GRU_RESET_BEFORE || (has_scans(cell) && tier == GF_TIER_GRID)) {
    return GF_TIER_ALTERNATING;
  }
  return tier;
}

// Against the CPU. In float32 also: the same bits again, from a session that is larger and has been
// used, and in tier A from both modes. ThreadSanitizer's build has one mode for each cell of a
// tier.
void check_case(const Case& one, int precision, int tier) {
  const Network network(one.spec, 3, cuda_options(precision));
  const Network reference(one.spec, 3);
  const Call call = call_of(one);
  const Cotangents given = random_cotangents(one.spec, call, 7);
  Trainer on_cpu(reference, one.steps, one.batch, 1, GF_BACKWARD_STORE);
  on_cpu.forward(call);
  const Gradients expected = on_cpu.backward(call, given);
  const Runner plain(network, one.steps, one.batch, 1, tier);
  const Result outputs = forward(plain, call);
  Gradients stored;
  for (const int mode : {GF_BACKWARD_STORE, GF_BACKWARD_RECOMPUTE}) {
    if (kThreadSanitizer && !in_turn(one.spec.cell / 4 + tier + mode, 2)) continue;
    const std::string what = std::string(tier_name(tier)) + " " + precision_name(precision) + " " +
                             name_of(one, mode, 1);
    const auto expect = [&](bool holds, const std::string& of) {
      report(holds, __FILE__, __LINE__, what + ": " + of);
    };
    Trainer trainer(network, one.steps, one.batch, 1, mode, tier);
    expect(same_bits(outputs, trainer.forward(call)), "other outputs");
    char path[1024] = "";
    CHECK_EQ(gf_session_path(trainer.session, path, sizeof path), GF_OK);
    const int back_tier = back_of(one.spec.cell, tier);
    const std::string back = std::string("\nbackward_tier=") + tier_name(back_tier) + "\n";
    expect(std::string(path).find(back) != std::string::npos, std::string("its path is ") + path);
    const Gradients actual = trainer.backward(call, given);
    const double error = error_of(network, actual, expected);
    expect(error <= gradient_bound(precision), "off by " + std::to_string(error));
    worst = std::max(worst, error);
    if (precision != GF_FLOAT32 || kThreadSanitizer) continue;
    expect(same(actual, trainer.backward(call, given)), "other bits again");
    Trainer other(network, one.steps + 2, one.batch + 3, 1, mode, tier);
    const Call earlier = random_call(one.spec, one.steps + 2, one.batch + 3, true, false, 9);
    other.forward(earlier);
    other.backward(earlier, random_cotangents(one.spec, earlier, 13));
    other.forward(call);
    expect(same(actual, other.backward(call, given)), "other bits in a larger session");
    if (mode == GF_BACKWARD_STORE) stored = actual;
    if (tier == GF_TIER_ALTERNATING) expect(same(actual, stored), "other bits by mode");
  }
}

// The last has several chunks of k, and tasks shared by warps. A tier that goes back as tier A does
// has that one's kernels there, and so few cases; shorter precisions have one, which takes turns.
// ThreadSanitizer's build has one precision for each cell of a tier, AddressSanitizer's two: so
// each tier has every cell and every precision.
std::vector<Case> tested_cases(int cell, int precision, int tier) {
  const std::vector<Case> all = cases_of(cell);
  const Case large = {make_spec(cell, 5, 130), 3, 9, true, GF_TIME_MAJOR};
  const bool exact = precision == GF_FLOAT32;
  if (kSanitized) {
    const bool tested = in_turn(tier + cell + precision, 4, kThreadSanitizer ? 1 : 2);
    return tested ? std::vector<Case>{all[2]} : std::vector<Case>{};
  }
  if (tier != GF_TIER_ALTERNATING && back_of(cell, tier) != tier) {
    return exact || precision == GF_BFLOAT16 ? std::vector<Case>{all[2]} : std::vector<Case>{};
  }
  if (!exact) return {in_turn(tier + cell + precision, 2) ? all[2] : large};
  if (tier != GF_TIER_ALTERNATING) return {all[1], all[2], all[5], large};
  std::vector<Case> cases = all;
  cases.push_back(large);
  return cases;
}

void run_tier(int tier, int precision) {
  worst = 0;
  int count = 0;
  for (int cell = 0; cell < kCells; ++cell) {
    for (const Case& one : tested_cases(cell, precision, tier)) {
      if (!fits(one.spec, precision, tier)) continue;
      check_case(one, precision, tier);
      ++count;
    }
  }
  std::printf("%s %s: %d networks, worst error %.2e of the largest gradient\n", tier_name(tier),
              precision_name(precision), count, worst);
}

// Gradients whose buffers lie where a caller may have them.
class PlacedGradients {
 public:
  PlacedGradients(const Cotangents& given, const Gradients& empty, Place place)
      : dy_(place, given.dy),
        dhn_(place, given.dhn),
        dcn_(place, given.dcn),
        dlogits_(place, given.dlogits),
        dx_(place, empty.dx),
        dh0_(place, empty.dh0),
        dc0_(place, empty.dc0),
        parameters_(place, empty.parameters) {
    io.struct_size = sizeof io;
    io.dy = dy_.get();
    io.dhn = dhn_.get();
    io.dcn = dcn_.get();
    io.dlogits = dlogits_.get();
    io.dx = dx_.get();
    io.dh0 = dh0_.get();
    io.dc0 = dc0_.get();
    io.parameters = parameters_.get();
  }

  gf_gradients io = {};
  Gradients values() const {
    return {dx_.values(), dh0_.values(), dc0_.values(), parameters_.values()};
  }

 private:
  Buffer<float> dy_, dhn_, dcn_, dlogits_, dx_, dh0_, dc0_, parameters_;
};

// From memory of every kind, on a stream of the caller's, and replayed as a graph: the same bits.
void check_places(int tier) {
  gf_spec spec = make_spec(tier % 2 == 0 ? GF_LSTM_REFINE : GF_GRU, 3, 9, 2);
  spec.outputs = 5;
  const Network network(spec, 7, cuda_options(GF_FLOAT32));
  const Call call = random_call(spec, 5, 11, true, true, 11);
  Call other = random_call(spec, 5, 11, false, true, 12);
  other.lengths = call.lengths;
  const Cotangents given = random_cotangents(spec, call, 13);
  Trainer trainer(network, 5, 11, 1, GF_BACKWARD_STORE, tier);
  trainer.forward(call);
  const Gradients expected = trainer.backward(call, given);
  trainer.forward(other);
  const Gradients expected_of_other = trainer.backward(other, given);
  const CallersStream stream;
  for (const Place place : kPlaces) {
    PlacedCall placed(spec, call, place);
    PlacedGradients gradients(given, trainer.empty(call), place);
    placed.io.stream = stream.get();
    placed.io.completion = place == Place::kPageable ? GF_ON_RETURN : GF_ON_STREAM;
    gradients.io.completion = placed.io.completion;
    const auto there_and_back = [&] {
      CHECK_EQ(gf_forward(trainer.session, &placed.io), GF_OK);
      CHECK_EQ(gf_backward(trainer.session, &gradients.io), GF_OK);
    };
    there_and_back();
    CHECK_EQ(gf_session_synchronize(trainer.session), GF_OK);
    CHECK(same(gradients.values(), expected));
    if (place == Place::kPageable) continue;
    const CallersGraph graph(stream, there_and_back);
    placed.set(other);
    graph.launch(stream);
    stream.wait();
    CHECK(same(gradients.values(), expected_of_other));
  }
}

// Sequences so long that they are gone over in chunks.
void check_chunks() {
  for (const int cell : {GF_LSTM_REFINE, GF_ONLSTM, GF_GRU, GF_GRU_REFINE_RESET_BEFORE}) {
    check_case({make_spec(cell, 2, 3, 1, 2), 900, 5, true, GF_TIME_MAJOR}, GF_FLOAT32,
               GF_TIER_ALTERNATING);
  }
}

void check_errors() {
  const gf_spec spec = make_spec(GF_GRU, 4, 8);
  const Network network(spec, 1, cuda_options(GF_FLOAT32));
  const Runner plain(network, 3, 2);
  gf_gradients io = {};
  io.struct_size = sizeof io;
  EXPECT_ERROR(GF_INVALID_STATE, gf_backward(plain.session, &io), "GF_BACKWARD_NONE");
  Trainer trainer(network, 3, 2, 1, GF_BACKWARD_RECOMPUTE);
  EXPECT_ERROR(GF_INVALID_STATE, gf_backward(trainer.session, &io), "forward pass before");
  const Call call = random_call(spec, 3, 2, false, false, 1);
  trainer.forward(call);
  CHECK_EQ(gf_backward(trainer.session, &io), GF_OK);
  float value = 0;
  io.dcn = &value;
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(trainer.session, &io), "dcn", "no cell state");
  io.dcn = nullptr;
  const Buffer<float> on_device(Place::kDevice, std::vector<float>(48));
  io.dy = on_device.get();
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(trainer.session, &io), "dy",
               "host memory, as `memory` says");
  io.dy = nullptr;
  CHECK_EQ(gf_backward(trainer.session, &io), GF_OK);
  gf_session* session = nullptr;
  const gf_session_options options = session_options(3, 2, 1, 0, 3);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_session_create(network.model, &options, &session),
               "backward: expected 0 .. 2, got 3");
}

// What is wrong with a call on a stream is told by the way back over it, which has failed with it.
void check_failed_forward() {
  gf_spec spec = make_spec(GF_LSTM, 4, 8);
  spec.vocabulary = 5;
  const Network network(spec, 1, cuda_options(GF_FLOAT32));
  Call call = random_call(spec, 3, 2, false, false, 1);
  call.tokens[4] = 5;
  Trainer trainer(network, 3, 2, 1, GF_BACKWARD_STORE);
  PlacedCall placed(spec, call, Place::kDevice);
  placed.io.completion = GF_ON_STREAM;
  gf_gradients io = {};
  io.struct_size = sizeof io;
  CHECK_EQ(gf_forward(trainer.session, &placed.io), GF_OK);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_backward(trainer.session, &io), "tokens: expected 0 .. 4",
               "place 4");
  EXPECT_ERROR(GF_INVALID_STATE, gf_backward(trainer.session, &io), "forward pass before");
}

}  // namespace

int main(int argc, char** argv) {
  if (!load_backend()) return 1;
  const std::string only = argc > 1 ? argv[1] : "";
  const std::string only_precision = argc > 2 ? argv[2] : "";
  for (const int tier : kTiers) {
    if (!only.empty() && only != tier_name(tier)) continue;
    for (const int precision : kPrecisions) {
      if (!only_precision.empty() && only_precision != precision_name(precision)) continue;
      run_tier(tier, precision);
    }
    if (only_precision.empty()) check_places(tier);
  }
  if (!only.empty()) return result();
  const gf_model_options cuda = cuda_options(GF_FLOAT32);
  check_past_the_end(cases_of(GF_LSTM_REFINE)[3], cuda, GF_BACKWARD_RECOMPUTE);
  check_past_the_end(cases_of(GF_ONLSTM)[5], cuda, GF_BACKWARD_RECOMPUTE);
  check_accumulation(embedded(make_spec(GF_GRU_REFINE, 6, 9, 2, 2)), cuda);
  check_update(embedded(make_spec(GF_GRU_REFINE_RESET_BEFORE, 5, 17)), cuda);
  check_errors();
  check_failed_forward();
  if (!kSanitized) check_chunks();
  return result();
}
