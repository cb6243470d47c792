// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "gatefuse.h"
#include "onnxruntime/runtime.hpp"

namespace gatefuse::onnxruntime {

constexpr char kDomain[] = "io.github.gatefuse";

// Where the inputs and outputs of all our operators are. Those of a GRU have no c.
enum Input { kX, kW, kR, kB, kLengths, kInitialH, kInitialC, kPeepholes };
enum Output { kY, kYh, kYc };

// What an operator computes, and how its blocks lie. Those of the standard are in the order of the
// ONNX operators: input, output, forget, candidate; update, reset, candidate. The refine gate takes
// the place of the input gate, which it ties to the forget gate; in a GRU it comes last.
struct Kind {
  const char* name;
  int32_t cell;               // where a reset gate acts after the product, if there is one
  int32_t cell_reset_before;  // where it acts before
  int blocks;
  int order[4];  // for each of our blocks, its number in the operator
  const char* activations[3];

  bool is_lstm() const { return cell == GF_LSTM || cell == GF_LSTM_REFINE; }
  size_t inputs() const { return is_lstm() ? 8 : 6; }
  size_t outputs() const { return is_lstm() ? 3 : 2; }
};

constexpr Kind kKinds[] = {
    {"LSTM", GF_LSTM, GF_LSTM, 4, {0, 2, 3, 1}, {"Sigmoid", "Tanh", "Tanh"}},
    {"GRU", GF_GRU, GF_GRU_RESET_BEFORE, 3, {1, 0, 2}, {"Sigmoid", "Tanh"}},
    {"RefineLSTM", GF_LSTM_REFINE, GF_LSTM_REFINE, 4, {0, 2, 3, 1}, {"Sigmoid", "Tanh", "Tanh"}},
    {"RefineGRU", GF_GRU_REFINE, GF_GRU_REFINE_RESET_BEFORE, 4, {1, 0, 2, 3}, {"Sigmoid", "Tanh"}},
};

// What a node's attributes say. An Error names the one that this library does not have.
struct Settings {
  int32_t cell;
  int64_t hidden;
  int64_t directions;
  bool reverse;  // the one direction goes backwards
  bool batch_major;

  static Settings of(const Kind& kind, const Runtime& runtime, const KernelInfo* info);
};

}  // namespace gatefuse::onnxruntime
