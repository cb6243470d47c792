// SPDX-License-Identifier: Apache-2.0
//
// The custom operators on a stand-in for ONNX Runtime: registration, runs from many threads,
// failures of every function that is called, and that nothing is left behind. What they compute is
// tested in Java, on ONNX Runtime itself; here directions and layouts are held to one another.
#include <algorithm>
#include <thread>

#include "gatefuse.h"
#include "onnxruntime_support.hpp"

using namespace gatefuse::test;
using namespace gatefuse::test::fake;

namespace {

void registers_its_operators() {
  SessionOptions options;
  CHECK_EQ(said(RegisterCustomOps(&options, &base)), "");
  CHECK_EQ(options.domains.size(), 1u);
  CHECK_EQ(options.domains[0]->name, "io.github.gatefuse");
  CHECK_EQ(options.domains[0]->operators.size(), 4u);
  CHECK(contains(said(RegisterCustomOps(&options, &base)), "once for each SessionOptions"));

  SessionOptions overriding;
  overriding.entries = {{"gatefuse.override_standard_operators", "1"}, {"gatefuse.threads", "1"}};
  CHECK_EQ(said(RegisterCustomOps(&overriding, &base)), "");
  CHECK_EQ(overriding.domains.size(), 2u);
  CHECK_EQ(overriding.domains[1]->name, "");
  CHECK_EQ(overriding.domains[1]->operators.size(), 2u);

  for (const char* bad : {"", "-1", "x", "1.5", "99999999999"}) {
    SessionOptions wrong;
    wrong.entries = {{"gatefuse.threads", bad}};
    CHECK(contains(said(RegisterCustomOps(&wrong, &base)), "gatefuse.threads: expected 0 .. "));
    CHECK_EQ(wrong.domains.size(), 0u);
  }
}

void refuses_other_versions() {
  for (const char* other : {"1.19.2", "2.0.0", "0.9", "unknown", ""}) {
    version = other;
    SessionOptions options;
    CHECK(contains(said(RegisterCustomOps(&options, &base)), "expected ONNX Runtime 1.20"));
  }
  version = "1.20.0";
  Node node("forward");
  CHECK(contains(node.create(), "attribute activations: expected none, since this ONNX Runtime"));
  version = "1.29.0";
}

// What an attribute says is held against the weights before memory is taken for it.
void a_size_without_weights_is_named() {
  Node node("forward");
  node.info.integers["hidden_size"] = INT32_MAX;
  CHECK(contains(node.create(), "W: expected [directions, rows, I]"));
}

// [rows, columns] of `width` values each: the element at (row, column).
const float* at(const std::vector<float>& values, int64_t columns, int64_t row, int64_t column) {
  return values.data() + (row * columns + column) * kHidden;
}

bool same(const float* a, const float* b) { return std::equal(a, a + kHidden, b); }

// Batch-major is time-major turned, for weights that are constant and that are fed.
void layouts_agree() {
  constexpr int64_t kSteps = 4;
  constexpr int64_t kBatch = 3;
  Node time_major("bidirectional");
  Node batch_major("bidirectional", 1, false);
  CHECK_EQ(time_major.create(), "");
  CHECK_EQ(batch_major.create(), "");
  Run a(time_major, kSteps, kBatch, 2, 8, false);
  Run b(batch_major, kSteps, kBatch, 2, 8, true);
  for (int64_t row = 0; row < kBatch; ++row) {
    for (int64_t t = 0; t < kSteps; ++t) {
      std::copy_n(a.x.floats.data() + (t * kBatch + row) * kInput, kInput,
                  b.x.floats.data() + (row * kSteps + t) * kInput);
    }
    for (int64_t d = 0; d < 2; ++d) {
      std::copy_n(a.h0.floats.data() + (d * kBatch + row) * kHidden, kHidden,
                  b.h0.floats.data() + (row * 2 + d) * kHidden);
      std::copy_n(a.c0.floats.data() + (d * kBatch + row) * kHidden, kHidden,
                  b.c0.floats.data() + (row * 2 + d) * kHidden);
    }
  }
  CHECK_EQ(a.go(time_major), "");
  CHECK_EQ(b.go(batch_major), "");
  for (int64_t row = 0; row < kBatch; ++row) {
    for (int64_t d = 0; d < 2; ++d) {
      CHECK(same(at(a.output(1), kBatch, d, row), at(b.output(1), 2, row, d)));
      CHECK(same(at(a.output(2), kBatch, d, row), at(b.output(2), 2, row, d)));
      for (int64_t t = 0; t < kSteps; ++t) {
        CHECK(
            same(at(a.output(0), kBatch, t * 2 + d, row), at(b.output(0), 2, row * kSteps + t, d)));
      }
    }
  }
}

// The second direction of two is the reverse one alone.
void directions_agree() {
  constexpr int64_t kSteps = 5;
  constexpr int64_t kBatch = 2;
  Node both("bidirectional");
  Node reverse("reverse");
  const auto second_half = [](const Value& from, Value* to) {
    to->floats.assign(from.floats.begin() + from.floats.size() / 2, from.floats.end());
  };
  second_half(both.w, &reverse.w);
  second_half(both.r, &reverse.r);
  second_half(both.b, &reverse.b);
  CHECK_EQ(both.create(), "");
  CHECK_EQ(reverse.create(), "");
  Run a(both, kSteps, kBatch, 2, 4, false);
  Run b(reverse, kSteps, kBatch, 1, 4, false);
  second_half(a.h0, &b.h0);
  second_half(a.c0, &b.c0);
  CHECK_EQ(a.go(both), "");
  CHECK_EQ(b.go(reverse), "");
  for (int64_t row = 0; row < kBatch; ++row) {
    CHECK(same(at(a.output(1), kBatch, 1, row), at(b.output(1), kBatch, 0, row)));
    CHECK(same(at(a.output(2), kBatch, 1, row), at(b.output(2), kBatch, 0, row)));
    for (int64_t t = 0; t < kSteps; ++t) {
      CHECK(same(at(a.output(0), kBatch, 2 * t + 1, row), at(b.output(0), kBatch, t, row)));
    }
  }
}

// Runs of all sizes at once on one kernel: the bits are those of runs alone.
void serves_many_threads(const char* direction) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 30;
  const int64_t directions = std::string(direction) == "bidirectional" ? 2 : 1;
  Node node(direction);
  CHECK_EQ(node.create(), "");
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < kRounds; ++round) {
        const int seed = (i + round) % 7;
        Run run(node, 1 + seed, 1 + (3 * seed) % 5, directions, seed, false);
        Run again(node, 1 + seed, 1 + (3 * seed) % 5, directions, seed, false);
        const bool fine = run.go(node).empty() && again.go(node).empty();
        good += fine && run.output(0) == again.output(0) && run.output(2) == again.output(2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(good.load(), kThreads * kRounds);
}

// Whichever call of ONNX Runtime fails, the answer is its sentence, and the kernel goes on.
void every_failure_is_told() {
  Node node("reverse");
  const int of_creation = failures_told("out of luck", [&] {
    const std::string sentence = node.create();
    CHECK_EQ(node.kernel == nullptr, !sentence.empty());
    return sentence;
  });
  CHECK(of_creation > 10);
  Run run(node, 3, 2, 1, 1, false);
  CHECK(failures_told("GateFuse LSTM, node \"node\": ONNX Runtime: out of luck",
                      [&] { return run.go(node); }) > 20);
  CHECK_EQ(run.go(node), "");
}

}  // namespace

int main() {
  registers_its_operators();
  refuses_other_versions();
  a_size_without_weights_is_named();
  layouts_agree();
  directions_agree();
  for (const char* direction : {"forward", "reverse", "bidirectional"}) {
    serves_many_threads(direction);
  }
  every_failure_is_told();
  CHECK_EQ(live_statuses.load(), 0);
  CHECK_EQ(live_infos.load(), 0);
  return result();
}
