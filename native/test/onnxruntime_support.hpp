// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the custom operators share: registration with the stand-in for ONNX Runtime,
// nodes and runs.
#pragma once

#include <random>

#include "check.hpp"
#include "fake_onnxruntime.hpp"

extern "C" gatefuse::onnxruntime::Status* RegisterCustomOps(
    gatefuse::onnxruntime::SessionOptions* options, const gatefuse::onnxruntime::ApiBase* base);

namespace gatefuse::test::fake {

inline constexpr int kHidden = 5;
inline constexpr int kInput = 3;

inline const Functions functions;
inline const Functions older_functions;
inline const char* version = "1.29.0";
inline const ApiBase base = {
    [](uint32_t asked) { return asked == 26 ? functions.table() : older_functions.table(); },
    [] { return version; }};

// The sentence of a status, which is released.
inline std::string said(Status* status) {
  if (status == nullptr) return "";
  const std::string message = status->message;
  ReleaseStatus::call(functions.table(), status);
  return message;
}

inline bool contains(const std::string& text, const char* part) {
  if (text.find(part) != std::string::npos) return true;
  std::fprintf(stderr, "\"%s\" is not in \"%s\"\n", part, text.c_str());
  return false;
}

inline const CustomOp* find(const std::string& name, const std::string& provider) {
  SessionOptions options;
  CHECK_EQ(said(RegisterCustomOps(&options, &base)), "");
  for (const CustomOp* op : options.domains.at(0)->operators) {
    const char* own = op->provider(op);
    if (op->name(op) == name && (own == nullptr ? "" : own) == provider) return op;
  }
  std::abort();
}

inline Value random_value(std::vector<int64_t> shape, int seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-0.7f, 0.7f);
  Value value;
  value.shape = std::move(shape);
  int64_t count = 1;
  for (const int64_t size : value.shape) count *= size;
  for (int64_t i = 0; i < count; ++i) value.floats.push_back(uniform(random));
  return value;
}

// A node with constant weights, or with weights that are fed.
struct Node {
  Value w, r, b;
  KernelInfo info;
  void* kernel = nullptr;
  const CustomOp* op;

  explicit Node(const std::string& direction, int64_t layout = 0, bool constant = true,
                const std::string& name = "LSTM", const std::string& provider = "")
      : op(find(name, provider)) {
    const int64_t directions = direction == "bidirectional" ? 2 : 1;
    const int64_t rows = (name == "GRU" ? 3 : 4) * kHidden;
    w = random_value({directions, rows, kInput}, 1);
    r = random_value({directions, rows, kHidden}, 2);
    b = random_value({directions, 2 * rows}, 3);
    info.name = "node";
    info.inputs = {"X", "W", "R", "B", "lengths", "h0"};
    if (is_lstm()) info.inputs.push_back("c0");
    info.integers = {{"hidden_size", kHidden}, {"layout", layout}};
    info.texts = {{"direction", direction}};
    info.lists = {{"activations", {}}};
    for (int64_t d = 0; d < directions; ++d) {
      for (const char* usual : {"Sigmoid", "tanh", "Tanh"}) {
        if (is_lstm() || usual != std::string("Tanh")) info.lists["activations"].push_back(usual);
      }
    }
    if (constant) info.constants = {{1, &w}, {2, &r}, {3, &b}};
  }
  ~Node() {
    if (kernel != nullptr) op->destroy(kernel);
  }
  Node(const Node&) = delete;

  bool is_lstm() const { return op->output_count(op) == 3; }
  std::string create() { return said(op->create_or_say(op, functions.table(), &info, &kernel)); }
};

struct Run {
  Value x, lengths, h0, c0;
  KernelContext context;

  Run(Node& node, int64_t steps, int64_t batch, int64_t directions, int seed, bool batch_major)
      : x(random_value({batch_major ? batch : steps, batch_major ? steps : batch, kInput}, seed)),
        h0(random_value(
            {batch_major ? batch : directions, batch_major ? directions : batch, kHidden},
            seed + 1)),
        c0(random_value(h0.shape, seed + 2)) {
    lengths.type = kInt32;
    lengths.shape = {batch};
    for (int64_t row = 0; row < batch; ++row) {
      lengths.integers.push_back(static_cast<int32_t>((seed + 2 * row) % (steps + 1)));
    }
    context.inputs = {&x, &node.w, &node.r, &node.b, &lengths, &h0};
    if (node.is_lstm()) context.inputs.push_back(&c0);
    context.wanted.assign(node.is_lstm() ? 3 : 2, true);
    context.outputs.resize(context.wanted.size());
  }

  std::string go(const Node& node) { return said(node.op->compute_or_say(node.kernel, &context)); }
  const std::vector<float>& output(size_t index) const { return context.outputs[index].floats; }
};

// Lets one call of ONNX Runtime after the other fail until none is left, and gives how many did.
// Each time go() has to say a sentence with that part.
template <class Go>
int failures_told(const char* part, Go go) {
  for (int told = 0;; ++told) {
    calls_to_failure = told;
    const std::string sentence = go();
    const bool done = calls_to_failure >= 0;
    calls_to_failure = -1;
    if (done) return told;
    CHECK(contains(sentence, part));
  }
}

}  // namespace gatefuse::test::fake
