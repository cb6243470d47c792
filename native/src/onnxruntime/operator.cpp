// SPDX-License-Identifier: Apache-2.0
#include "onnxruntime/operator.hpp"

#include <strings.h>

namespace gatefuse::onnxruntime {
namespace {

void refuse(const Attributes& attributes, const char* name) {
  if (attributes.has(name)) {
    throw Error(GF_INVALID_ARGUMENT,
                "attribute %s: expected none, got one; this operator has no %s", name, name);
  }
}

void check_activations(const Kind& kind, const Runtime& runtime, const Attributes& attributes,
                       int64_t directions) {
  if (!attributes.has("activations")) return;
  if (!runtime.reads_texts()) {
    throw Error(
        GF_INVALID_ARGUMENT,
        "attribute activations: expected none, since this ONNX Runtime lets operators read "
        "no list (1.26 and later do); OnnxRewriter leaves out one of the usual activations");
  }
  const int each = kind.is_lstm() ? 3 : 2;
  const auto given = attributes.texts("activations");
  bool usual = given.size() == static_cast<size_t>(each * directions);
  for (size_t i = 0; usual && i < given.size(); ++i) {
    usual = strcasecmp(given[i].c_str(), kind.activations[i % each]) == 0;
  }
  if (usual) return;
  std::string list;
  for (const std::string& name : given) list += (list.empty() ? "" : ", ") + name;
  throw Error(GF_INVALID_ARGUMENT,
              "attribute activations: expected %s for each direction, got [%.200s]",
              kind.is_lstm() ? "Sigmoid, Tanh, Tanh" : "Sigmoid, Tanh", list.c_str());
}

int64_t flag(const Attributes& attributes, const char* name) {
  const int64_t value = attributes.integer(name, 0);
  if (value != 0 && value != 1) {
    throw Error(GF_INVALID_ARGUMENT, "attribute %s: expected 0 or 1, got %lld", name,
                static_cast<long long>(value));
  }
  return value;
}

// The peepholes are an input, but whether a node has it is known before it runs.
void refuse_peepholes(const Runtime& runtime, const KernelInfo* info) {
  size_t count = 0;
  runtime.call<GetInfoInputCount>(info, &count);
  if (count > kPeepholes && !runtime.text<GetInfoInputName>(info, size_t{kPeepholes}).empty()) {
    throw Error(GF_INVALID_ARGUMENT, "P: expected no peepholes, got some; this operator has none");
  }
}

}  // namespace

Settings Settings::of(const Kind& kind, const Runtime& runtime, const KernelInfo* info) {
  const Attributes attributes(runtime, info);
  const std::string direction = attributes.text("direction", "forward");
  const bool both = direction == "bidirectional";
  const bool reverse = direction == "reverse";
  if (!both && !reverse && direction != "forward") {
    throw Error(GF_INVALID_ARGUMENT,
                "attribute direction: expected forward, reverse or bidirectional, got %.100s",
                direction.c_str());
  }
  const int64_t hidden = attributes.integer("hidden_size", 0);
  if (hidden < 1 || hidden > INT32_MAX) {
    throw Error(GF_INVALID_ARGUMENT, "attribute hidden_size: expected 1 .. %d, got %lld", INT32_MAX,
                static_cast<long long>(hidden));
  }
  const bool batch_major = flag(attributes, "layout") == 1;
  const bool reset_after = kind.is_lstm() ? true : flag(attributes, "linear_before_reset") == 1;
  refuse(attributes, "clip");
  refuse(attributes, "output_sequence");
  if (kind.is_lstm()) {
    refuse(attributes, "linear_before_reset");
    if (flag(attributes, "input_forget") != 0) refuse(attributes, "input_forget");
    refuse_peepholes(runtime, info);
  } else {
    refuse(attributes, "input_forget");
  }
  check_activations(kind, runtime, attributes, both ? 2 : 1);
  return {reset_after ? kind.cell : kind.cell_reset_before, hidden, both ? 2 : 1, reverse,
          batch_major};
}

}  // namespace gatefuse::onnxruntime
