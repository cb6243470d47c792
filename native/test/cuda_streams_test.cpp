// SPDX-License-Identifier: Apache-2.0
//
// The CUDA backend on the caller's streams: calls captured into graphs that are replayed with other
// inputs, and calls of one session on several streams, one after the other.
#include <memory>
#include <string>

#include "cuda_support.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

constexpr int kSteps = 5;
constexpr int kBatch = 11;

std::string name_of(int tier, int precision, const char* what) {
  return std::string(tier_name(tier)) + " " + precision_name(precision) + ": " + what;
}

// The same call with the numbers of another one.
Call with_other_numbers(const gf_spec& spec, const Call& call, uint64_t seed) {
  Call other = random_call(spec, call.steps, call.batch, false, true, seed);
  other.lengths = call.lengths;
  other.layout = call.layout;
  return other;
}

// A graph of one call, or of two of which the second begins where the first ends, gives what direct
// calls give, however often it is launched and whatever is in its buffers.
void check_graph(const gf_spec& spec, int tier, int precision, bool ragged) {
  const Network network(spec, 7, cuda_options(precision));
  const Runner runner(network, kSteps + 1, kBatch + 2, 1, tier),
      direct(network, kSteps, kBatch, 1, tier);
  const Call call = random_call(spec, kSteps, kBatch, ragged, true, 11);
  for (const Place place : {Place::kDevice, Place::kPinned}) {
    const CallersStream stream, other;
    PlacedCall first(spec, call, place), second(spec, call, place);
    first.io.stream = second.io.stream = stream.get();
    first.io.completion = second.io.completion = GF_ON_STREAM;
    second.io.h0 = first.io.hn;
    second.io.c0 = first.io.cn;
    const CallersGraph graph(stream, [&] {
      CHECK_EQ(gf_forward(runner.session, &first.io), GF_OK);
      CHECK_EQ(gf_forward(runner.session, &second.io), GF_OK);
    });
    CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
    for (int replay = 0; replay < 3; ++replay) {
      const Call inputs = with_other_numbers(spec, call, 20 + replay);
      first.set(inputs);
      second.set(inputs);
      graph.launch(replay == 1 ? other : stream);
      (replay == 1 ? other : stream).wait();
      CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
      const Result expected = forward(direct, inputs);
      Call rest = inputs;
      rest.h0 = expected.hn;
      rest.c0 = expected.cn;
      report(same_bits(first.result(), expected), __FILE__, __LINE__,
             name_of(tier, precision, "a replayed call"));
      report(same_bits(second.result(), forward(direct, rest)), __FILE__, __LINE__,
             name_of(tier, precision, "a replayed call that goes on"));
      // Direct calls of the same session in between, on another stream.
      report(same_bits(forward(runner, inputs), expected), __FILE__, __LINE__,
             name_of(tier, precision, "a call between replays"));
    }
  }
}

// Each call reads the state that the one before it leaves on another stream, and nobody waits.
void check_order(const gf_spec& spec, int tier, int precision) {
  constexpr int kCalls = 6;
  const Network network(spec, 7, cuda_options(precision));
  const Runner runner(network, kSteps, kBatch, 1, tier), direct(network, kSteps, kBatch, 1, tier);
  const CallersStream streams[2];
  std::vector<std::unique_ptr<PlacedCall>> calls;
  Call call = random_call(spec, kSteps, kBatch, false, true, 31);
  std::vector<Result> expected;
  for (int i = 0; i < kCalls; ++i) {
    Call next = random_call(spec, kSteps, kBatch - i, i % 2 == 1, true, 40 + i);
    next.h0 = call.h0;
    next.c0 = call.c0;
    next.h0.resize(state_size(spec, next.batch));
    if (!next.c0.empty()) next.c0.resize(next.h0.size());
    calls.push_back(std::make_unique<PlacedCall>(spec, next, Place::kDevice));
    expected.push_back(forward(direct, next));
    call.h0 = expected.back().hn;
    call.c0 = expected.back().cn;
  }
  for (int i = 0; i < kCalls; ++i) {
    gf_io& io = calls[i]->io;
    io.completion = GF_ON_STREAM;
    io.stream = i % 3 == 2 ? nullptr : streams[i % 3].get();
    if (i > 0) {
      io.h0 = calls[i - 1]->io.hn;
      io.c0 = calls[i - 1]->io.cn;
    }
    CHECK_EQ(gf_forward(runner.session, &io), GF_OK);
  }
  CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
  for (int i = 0; i < kCalls; ++i) {
    report(same_bits(calls[i]->result(), expected[i]), __FILE__, __LINE__,
           name_of(tier, precision, "calls on several streams"));
  }
}

// A stream may end while what is on it runs, and so may the session's streams.
void check_streams_that_end(int tier) {
  const gf_spec spec = make_spec(GF_GRU, 3, 9);
  const Network network(spec, 7, cuda_options(GF_FLOAT32));
  const Call call = random_call(spec, kSteps, 3, true, true, 5);
  const Runner runner(network, kSteps, 3, 1, tier);
  const Result expected = forward(runner, call);
  std::vector<std::unique_ptr<PlacedCall>> calls;
  for (int i = 0; i < 4; ++i) {
    const CallersStream stream;
    calls.push_back(std::make_unique<PlacedCall>(spec, call, Place::kDevice));
    calls.back()->io.stream = stream.get();
    calls.back()->io.completion = GF_ON_STREAM;
    CHECK_EQ(gf_forward(runner.session, &calls.back()->io), GF_OK);
  }
  CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
  {
    const Runner brief(network, kSteps, 3, 1, tier);
    calls.push_back(std::make_unique<PlacedCall>(spec, call, Place::kPinned));
    calls.back()->io.completion = GF_ON_STREAM;
    CHECK_EQ(gf_forward(brief.session, &calls.back()->io), GF_OK);
  }
  for (const auto& one : calls) CHECK(same_bits(one->result(), expected));
}

gf_spec spec_of(int tier, int precision) {
  gf_spec spec = make_spec(precision % 2 == 0 ? GF_LSTM_REFINE : GF_GRU, 3, kSanitized ? 9 : 33, 2);
  if (tier == GF_TIER_ALTERNATING && precision % 2 == 0) spec.cell = GF_ONLSTM;
  spec.outputs = 5;
  return spec;
}

}  // namespace

// In ThreadSanitizer's build each tier has two precisions, and with them both cells and both kinds
// of lengths.
int main(int argc, char** argv) {
  if (!load_backend()) return 1;
  const std::string only = argc > 1 ? argv[1] : "";
  for (const int tier : kTiers) {
    if (!only.empty() && only != tier_name(tier)) continue;
    for (const int precision : kPrecisions) {
      if (kThreadSanitizer && !in_turn(tier + precision, 4, 2)) continue;
      for (const bool ragged : {false, true}) {
        if (kSanitized && ragged != in_turn(tier + precision, 2)) continue;
        check_graph(spec_of(tier, precision), tier, precision, ragged);
      }
      check_order(spec_of(tier, precision), tier, precision);
    }
    check_streams_that_end(tier);
  }
  if (is_emulated()) CHECK(emulation::live().none());
  return result();
}
