// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <sstream>

#include "contender.hpp"
#include "gatefuse.h"

namespace gatefuse::benchmark {
namespace {

void check(gf_status status) {
  if (status != GF_OK) throw Failure(gf_last_error());
}

class GateFuse : public Contender {
 public:
  GateFuse(Data& data, int cell, int precision, int tier, bool graph)
      : data_(data), lengths_(data.shape().lengths()) {
    const Shape& shape = data.shape();
    gf_spec spec = {};
    spec.struct_size = sizeof spec;
    spec.cell = cell;
    spec.input_size = spec.hidden_size = shape.hidden;
    spec.layers = spec.directions = spec.chunk = 1;
    const gf_model_options model_options = {sizeof model_options, GF_BACKEND_CUDA, 0, precision, 0};
    gf_model* model = nullptr;
    check(gf_model_create(&spec, &model_options, &model));
    model_.reset(model);
    for (int32_t i = 0; i < 4; ++i) {
      int64_t rows = 0;
      int64_t columns = 0;
      check(gf_tensor_shape(&spec, i, &rows, &columns));
      const std::vector<float>& tensor = data.weights(rows)[static_cast<size_t>(i)];
      check(gf_model_set_tensor(model, i, tensor.data(), rows * columns));
    }
    gf_session_options options = {};
    options.struct_size = sizeof options;
    options.max_steps = shape.steps;
    options.max_batch = shape.batch;
    options.tier = tier;
    gf_session* session = nullptr;
    check(gf_session_create(model, &options, &session));
    session_.reset(session);

    y_ = Memory(shape.places() * shape.hidden * 4);
    h_ = Memory(int64_t{shape.batch} * shape.hidden * 4);
    c_ = Memory(int64_t{shape.batch} * shape.hidden * 4);
    io_.struct_size = sizeof io_;
    io_.steps = shape.steps;
    io_.batch = shape.batch;
    io_.lengths = lengths_.empty() ? nullptr : lengths_.data();
    io_.y = y_.as<float>();
    io_.hn = h_.as<float>();
    if (cell < GF_GRU) io_.cn = c_.as<float>();
    if (shape.streaming) {
      io_.h0 = io_.hn;
      io_.c0 = io_.cn;
    }
    io_.stream = data.stream();
    io_.memory = GF_MEMORY_DEVICE;
    io_.completion = GF_ON_STREAM;
    if (graph) capture();
  }

  ~GateFuse() override {
    gf_session_synchronize(session_.get());
    for (cudaGraphExec_t graph : graphs_) cudaGraphExecDestroy(graph);
  }

  void enqueue(int turn) override {
    if (graphs_.empty()) {
      forward(turn);
    } else {
      benchmark::check(
          cudaGraphLaunch(graphs_[static_cast<size_t>(turn) % graphs_.size()], data_.stream()),
          "graph");
    }
  }

  void finish() override {
    benchmark::check(cudaStreamSynchronize(data_.stream()), "forward");
    check(gf_session_synchronize(session_.get()));
  }

  std::string path() const override {
    char text[1024];
    check(gf_session_path(session_.get(), text, sizeof text));
    std::istringstream lines(text);
    std::string tier, rest;
    for (std::string line; std::getline(lines, line);) {
      const std::string key = line.substr(0, line.find('='));
      const std::string value = line.substr(key.size() + 1);
      if (key == "tier") tier = value;
      if (key == "blocks") rest += ", " + value + (value == "1" ? " block" : " blocks");
      if (key == "weights") rest += ", " + value;
    }
    return tier + rest + (graphs_.empty() ? "" : ", as a graph");
  }

  std::vector<float> output(int64_t count) const override {
    return download(y_.as<void>(), Format::kFloat32, count, data_.stream());
  }

 private:
  void forward(int turn) {
    io_.x = static_cast<const float*>(data_.input(Format::kFloat32, turn));
    check(gf_forward(session_.get(), &io_));
  }

  void capture() {
    const cudaStream_t stream = data_.stream();
    forward(0);  // makes what is made only once, and the inputs
    finish();
    for (int turn = 0; turn < data_.turns(); ++turn) {
      cudaGraph_t graph = nullptr;
      cudaGraphExec_t executable = nullptr;
      benchmark::check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
      std::string failed;
      try {
        forward(turn);
      } catch (const Failure& e) {
        failed = e.what();
      }
      benchmark::check(cudaStreamEndCapture(stream, &graph), "capture");
      if (!failed.empty()) throw Failure(failed);
      benchmark::check(cudaGraphInstantiate(&executable, graph, 0), "graph");
      graphs_.push_back(executable);
      benchmark::check(cudaGraphDestroy(graph), "graph");
    }
  }

  struct Destroy {
    void operator()(gf_model* model) const { gf_model_destroy(model); }
    void operator()(gf_session* session) const { gf_session_destroy(session); }
  };

  Data& data_;
  std::vector<int32_t> lengths_;
  Memory y_, h_, c_;
  std::unique_ptr<gf_model, Destroy> model_;
  std::unique_ptr<gf_session, Destroy> session_;
  std::vector<cudaGraphExec_t> graphs_;
  gf_io io_ = {};
};

}  // namespace

std::unique_ptr<Contender> make_gatefuse(Data& data, int cell, int precision, int tier,
                                         bool graph) {
  return std::make_unique<GateFuse>(data, cell, precision, tier, graph);
}

}  // namespace gatefuse::benchmark
