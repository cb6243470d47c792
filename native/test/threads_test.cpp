// SPDX-License-Identifier: Apache-2.0
//
// Many threads of the host program at once: they share a model, each with its own session, and
// contend for the team's workers; others make and end models and sessions meanwhile. Bits are as
// alone.
#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "cpu/team.hpp"
#include "support.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

constexpr int kThreads = 6;
constexpr int kRounds = kSanitized ? 6 : 40;
constexpr int kSteps = 9;
constexpr int kBatch = 16;  // with H = 64 enough work for three members

// Not CHECK: its counters belong to the main thread.
struct Tally {
  std::atomic<int> good{0}, bad{0};
  void add(bool one) { ++(one ? good : bad); }
};

gf_spec language_model(int cell) {
  gf_spec spec = make_spec(cell, 8, 64, 2);
  spec.vocabulary = 13;
  spec.outputs = 13;
  return spec;
}

bool run(gf_session* session, const gf_spec& spec, const Call& call, const Result& expected) {
  Result result = make_result(spec, call.steps, call.batch);
  const gf_io io = make_io(call, result);
  return gf_forward(session, &io) == GF_OK && same_bits(result, expected);
}

// A session for the length of a scope, in any thread.
using Handle = std::unique_ptr<gf_session, decltype(&gf_session_destroy)>;
Handle make_session(gf_model* model, int backward = GF_BACKWARD_NONE) {
  const gf_session_options options = session_options(kSteps, kBatch, 3, GF_TIER_AUTO, backward);
  gf_session* session = nullptr;
  gf_session_create(model, &options, &session);
  return {session, gf_session_destroy};
}

// One session for many calls, and a new session for every call; the first way back of the model is
// prepared while others run.
void use_model(const Network& network, const Call& call, const Result& expected, bool renew,
               Tally& tally) {
  Handle session = make_session(network.model);
  for (int round = 0; round < kRounds; ++round) {
    if (renew) session = make_session(network.model, round % 2 == 0 ? 0 : GF_BACKWARD_RECOMPUTE);
    tally.add(session != nullptr && run(session.get(), network.spec, call, expected));
  }
}

// All at once begin with the first sessions of a model: they finish it together.
void share_a_model(int cell) {
  const Network network(language_model(cell), 5);
  const Network alone(language_model(cell), 5);
  std::vector<Call> calls;
  std::vector<Result> expected;
  for (int i = 0; i < kThreads; ++i) {
    calls.push_back(random_call(network.spec, kSteps, kBatch, i % 2 == 1, true, 100 + i));
    expected.push_back(forward(Runner(alone, kSteps, kBatch, 1), calls.back()));
  }
  Tally tally;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { use_model(network, calls[i], expected[i], i >= 4, tally); });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(tally.bad.load(), 0);
  CHECK_EQ(tally.good.load(), kThreads * kRounds);
}

// The sentence of a failure belongs to the thread that failed.
void errors_apart() {
  Tally tally;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      tally.add(gf_last_error()[0] == '\0');
      for (int round = 0; round < 100; ++round) {
        gf_spec spec = make_spec(GF_LSTM, -1 - i, 4);
        int32_t count = 0;
        const gf_status status = gf_tensor_count(&spec, &count);
        const std::string end = "got " + std::to_string(-1 - i);
        const std::string text = gf_last_error();
        tally.add(status == GF_INVALID_ARGUMENT && text.size() > end.size() &&
                  text.substr(text.size() - end.size()) == end);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(tally.bad.load(), 0);
  CHECK_EQ(tally.good.load(), kThreads * 101);
}

std::string path_of(const Network& network, int batch, int threads) {
  const Runner runner(network, 1, batch, threads);
  char text[1024] = "";
  CHECK_EQ(gf_session_path(runner.session, text, sizeof text), GF_OK);
  return text;
}

// What depends on the sizes of a call is told: 24 * 1024 multiply-adds are worth a thread, and a
// row of this network has as many.
void choices_are_told() {
  const Network network(make_spec(GF_LSTM, 64, 64), 1);
  const auto tells = [](const std::string& path, const char* line) {
    return path.find(std::string("\n") + line) != std::string::npos;
  };
  const std::string many = path_of(network, 16, 2);
  CHECK(tells(many, "second_thread_from_rows=2\n"));
  CHECK(tells(many, "input_projection=by each step of 16 rows or more, else in chunks\n"));
  CHECK(tells(many, "recurrent_weights=32 KiB a thread"));
  const std::string few = path_of(network, 8, 1);
  CHECK(!tells(few, "second_thread_from_rows"));
  CHECK(tells(few, "input_projection=in chunks of 64 rows\n"));
  CHECK(tells(few, "recurrent_weights=64 KiB a thread"));
  const std::string tokens = path_of(Network(language_model(GF_LSTM), 5), 16, 1);
  CHECK(tells(tokens, "input_projection=by token; of further layers by each step of 16 rows"));
}

}  // namespace

int main() {
  cpu::team::set_limit_for_tests(3);
  choices_are_told();
  for (const int cell : {GF_LSTM_REFINE, GF_ONLSTM, GF_GRU_RESET_BEFORE}) share_a_model(cell);
  errors_apart();
  return result();
}
