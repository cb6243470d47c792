// SPDX-License-Identifier: Apache-2.0
//
// What is measured, and how.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "values.hpp"

namespace gatefuse::benchmark {

// One layer in one direction; as many inputs as hidden units.
struct Shape {
  std::string name;
  int hidden = 0;
  int batch = 0;
  int steps = 0;
  bool ragged = false;     // lengths from 1 to T at random, one of them T
  bool streaming = false;  // state carried from call to call
  bool lstm = true;        // which families are measured
  bool gru = true;
  bool forced = false;  // forced tiers too

  int64_t places() const { return int64_t{steps} * batch; }
  std::vector<int32_t> lengths() const;  // empty where not ragged
};

enum class Family { kLstm, kGru };

// Random weights by the number of rows, and inputs that rotate from call to call: what the
// contenders of a shape share.
class Data {
 public:
  Data(const Shape& shape, cudaStream_t stream) : shape_(shape), stream_(stream) {}

  const Shape& shape() const { return shape_; }
  cudaStream_t stream() const { return stream_; }
  // weight_ih, weight_hh [rows, H], bias_ih, bias_hh [rows].
  const std::vector<std::vector<float>>& weights(int64_t rows);
  // x [T, B, H] of a turn.
  void* input(Format format, int turn);
  int turns() const;

 private:
  Shape shape_;
  cudaStream_t stream_;
  std::map<int64_t, std::vector<std::vector<float>>> weights_;
  std::map<Format, std::vector<Memory>> inputs_;
};

// Something that runs a shape. A constructor that throws Failure says why it does not.
class Contender {
 public:
  virtual ~Contender() = default;
  // Puts one call on the stream.
  virtual void enqueue(int turn) = 0;
  // Waits, and throws Failure where a call went wrong.
  virtual void finish() = 0;
  // How it runs: tier and what belongs to it, or the algorithm.
  virtual std::string path() const = 0;
  // The first values of y of the last call.
  virtual std::vector<float> output(int64_t count) const = 0;
};

// How a contender is called in the report.
struct Key {
  std::string library;  // gatefuse, cudnn, pytorch
  std::string cell;
  std::string precision;
  std::string variant;  // auto, a forced tier, graph
};

struct Spread {
  double lower = 0, median = 0, upper = 0;
  int samples = 0;
  static Spread of(std::vector<double> values);
};

struct Measured {
  Shape shape;
  Key key;
  std::string path;
  std::string error;        // empty: measured
  Spread step;              // microseconds per step
  int calls = 0;            // of a sample
  double difference = -1;   // the largest from cuDNN's output; below 0: not compared
  bool same_answer = true;  // whether that is within the tolerance
  bool good() const { return error.empty(); }
};

struct Candidate {
  Key key;
  std::function<std::unique_ptr<Contender>()> make;
  // Of the candidates with one precision, the first that sets this is what the others are compared
  // with; below 0: not compared.
  double tolerance = -1;
  bool judge = false;
};

struct Effort {
  double warm_up = 20;  // milliseconds
  double sample = 0.5;  // milliseconds at least
  double most = 60;     // milliseconds for all samples of a contender, more or less
  int least_samples = 5;
  int samples = 31;
};

// Measures all, by turns: a sample of each, and again. Every second round goes backwards.
std::vector<Measured> measure(const Shape& shape, const std::vector<Candidate>& candidates,
                              const Effort& effort, cudaStream_t stream);

// ---- The contenders -----------------------------------------------------------------------------

// GateFuse over its C interface, device memory and stream. `graph`: the call is captured once and
// launched as a graph.
std::unique_ptr<Contender> make_gatefuse(Data& data, int cell, int precision, int tier, bool graph);

// cuDNN's standard cell, in the fastest of its algorithms that takes the shape. `tensor_cores` says
// whether float32 operands may be rounded to TF32.
std::unique_ptr<Contender> make_cudnn(Data& data, Family family, Format format, bool tensor_cores);
// The version, or why there is none.
std::string describe_cudnn();

}  // namespace gatefuse::benchmark
