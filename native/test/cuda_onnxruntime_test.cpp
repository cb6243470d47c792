// SPDX-License-Identifier: Apache-2.0
//
// The custom operators of the CUDA provider, on a stand-in for ONNX Runtime: when they are
// registered, and that they give in device memory, on a stream, what those of the CPU give.
#include <memory>
#include <thread>

#include "cuda_support.hpp"
#include "onnxruntime_support.hpp"

using namespace gatefuse;
using namespace gatefuse::test;
using namespace gatefuse::test::fake;

namespace {

constexpr char kProvider[] = "CUDAExecutionProvider";

// A run whose X, states and outputs are in device memory and whose work is on a stream.
class DeviceRun {
 public:
  DeviceRun(const Run& on_host, const CallersStream& stream) : context_(on_host.context) {
    context_.stream = stream.get();
    for (size_t i = 0; i < context_.inputs.size(); ++i) {
      const Value* given = on_host.context.inputs[i];
      if (given == nullptr || (i >= 1 && i <= 4)) continue;  // of the host: W, R, B, the lengths
      values_.push_back(std::make_unique<Value>(*given));
      values_.back()->device = place(given->floats);
      values_.back()->floats.clear();
      context_.inputs[i] = values_.back().get();
    }
    for (size_t i = 0; i < context_.outputs.size(); ++i) {
      const std::vector<float> before(on_host.context.outputs[i].floats.size(), -7.0f);
      context_.outputs[i].device = place(before);
      outputs_.push_back(memory_.size() - 1);
    }
  }

  std::string go(const Node& node) { return said(node.op->compute_or_say(node.kernel, &context_)); }
  std::vector<float> output(size_t index) const { return memory_[outputs_[index]]->values(); }

 private:
  float* place(const std::vector<float>& values) {
    memory_.push_back(std::make_unique<Buffer<float>>(Place::kDevice, values));
    return memory_.back()->get();
  }

  KernelContext context_;
  std::vector<std::unique_ptr<Value>> values_;
  std::vector<std::unique_ptr<Buffer<float>>> memory_;
  std::vector<size_t> outputs_;
};

size_t operators_of(const SessionOptions& options) {
  return options.domains.at(0)->operators.size();
}

std::string registered(std::map<std::string, std::string> entries, size_t* count = nullptr) {
  SessionOptions options;
  options.entries = std::move(entries);
  const std::string sentence = said(RegisterCustomOps(&options, &base));
  if (count != nullptr) *count = sentence.empty() ? operators_of(options) : 0;
  return sentence;
}

// Nobody is told of the CUDA provider before its backend is there.
void registers_when_the_backend_is_there(const char* library) {
  size_t count = 0;
  CHECK_EQ(registered({}, &count), "");
  CHECK_EQ(count, 4u);
  CHECK(contains(registered({{"gatefuse.cuda.device", "0"}}),
                 "gatefuse.cuda.device: expected a CUDA backend that runs, got no CUDA backend "
                 "library has been loaded"));
  CHECK(contains(registered({{"gatefuse.cuda.library", "/nowhere.so"}}), "/nowhere.so"));
  CHECK(contains(registered({{"gatefuse.cuda.library", "nowhere.so"}}), "an absolute path"));
  CHECK_EQ(registered({{"gatefuse.cuda.library", library}}, &count), "");
  CHECK_EQ(count, 8u);
  CHECK_EQ(registered({}, &count), "");
  CHECK_EQ(count, 8u);
  CHECK(contains(registered({{"gatefuse.cuda.device", "99"}}), "gatefuse.cuda.device: expected 0"));

  SessionOptions overriding;
  overriding.entries = {{"gatefuse.override_standard_operators", "1"}};
  CHECK_EQ(said(RegisterCustomOps(&overriding, &base)), "");
  CHECK_EQ(overriding.domains[1]->operators.size(), 4u);

  // Weights and lengths are the host's on a device; to the CPU's operators all memory is the same.
  for (const char* name : {"LSTM", "GRU", "RefineLSTM", "RefineGRU"}) {
    const CustomOp* on_device = find(name, kProvider);
    const CustomOp* on_host = find(name, "");
    CHECK_EQ(on_device->input_count(on_device), on_host->input_count(on_host));
    for (size_t i = 0; i < on_device->input_count(on_device); ++i) {
      CHECK_EQ(on_device->input_memory(on_device, i), i >= 1 && i <= 4 ? -2 : 0);
      CHECK_EQ(on_host->input_memory(on_host, i), 0);
    }
  }
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  CHECK_EQ(a.size(), b.size());
  double most = a.size() == b.size() ? 0 : 1;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  }
  return most;
}

// seed: of what differs from run to run, the lengths among it; some are 0.
void agrees_with_the_cpu(const std::string& name, const std::string& direction, int64_t layout,
                         int seed) {
  const int64_t directions = direction == "bidirectional" ? 2 : 1;
  const bool constant = seed % 3 != 0;
  Node host(direction, layout, constant, name);
  Node device(direction, layout, constant, name, kProvider);
  CHECK_EQ(host.create(), "");
  CHECK_EQ(device.create(), "");
  const CallersStream stream;
  for (const int64_t steps : {4, 1}) {
    for (const bool all : {true, false}) {
      Run run(host, steps, 3, directions, seed, layout == 1);
      if (!all) run.context.inputs.resize(4);  // without lengths and states
      CHECK_EQ(run.go(host), "");
      DeviceRun on_device(run, stream);
      CHECK_EQ(on_device.go(device), "");
      stream.wait();
      for (size_t i = 0; i < run.context.outputs.size(); ++i) {
        const double most = largest_difference(on_device.output(i), run.output(i));
        report(most < 2e-6, __FILE__, __LINE__,
               name + " " + direction + ", layout " + std::to_string(layout) + ", steps " +
                   std::to_string(steps) + ", output " + std::to_string(i) + ": off by " +
                   std::to_string(most));
      }
    }
  }
}

// Runs of all sizes at once on one kernel, each thread on its stream and nobody waiting in between.
void serves_many_streams(const char* direction) {
  constexpr int kThreads = 3, kRuns = 4;
  const int64_t directions = std::string(direction) == "bidirectional" ? 2 : 1;
  Node host(direction);
  Node node(direction, 0, true, "LSTM", kProvider);
  CHECK_EQ(host.create(), "");
  CHECK_EQ(node.create(), "");
  const CallersStream streams[kThreads];
  std::vector<std::unique_ptr<Run>> runs;
  std::vector<std::unique_ptr<DeviceRun>> on_device;
  for (int i = 0; i < kThreads * kRuns; ++i) {
    const int seed = i / kRuns + i % kRuns;
    runs.push_back(
        std::make_unique<Run>(host, 1 + seed, 1 + (3 * seed) % 5, directions, seed, false));
    CHECK_EQ(runs[i]->go(host), "");
    on_device.push_back(std::make_unique<DeviceRun>(*runs[i], streams[i / kRuns]));
  }
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kRuns; ++i) good += on_device[thread * kRuns + i]->go(node).empty();
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(good.load(), kThreads * kRuns);
  for (const CallersStream& stream : streams) stream.wait();
  for (int i = 0; i < kThreads * kRuns; ++i) {
    for (const size_t output : {0, 1, 2}) {
      CHECK(largest_difference(on_device[i]->output(output), runs[i]->output(output)) < 2e-6);
    }
  }
}

// Whichever call of ONNX Runtime fails, the answer is its sentence, and the kernel goes on. So it
// is with memory of the device.
void every_failure_is_told() {
  Node host("reverse");
  Node node("reverse", 0, true, "LSTM", kProvider);
  CHECK_EQ(host.create(), "");
  CHECK_EQ(node.create(), "");
  Run run(host, 3, 2, 1, 1, false);
  CHECK_EQ(run.go(host), "");
  const CallersStream stream;
  DeviceRun on_device(run, stream);
  CHECK(failures_told("GateFuse LSTM, node \"node\": ONNX Runtime: out of luck",
                      [&] { return on_device.go(node); }) > 30);
  // A tensor that is not where the provider has it.
  Node forward("forward", 0, true, "LSTM", kProvider);
  CHECK_EQ(forward.create(), "");
  CHECK(contains(Run(host, 3, 2, 1, 1, false).go(forward), "x: expected device memory"));
  CHECK_EQ(on_device.go(node), "");
  if (!is_emulated()) return;
  int refused = 0;
  for (int fail = 1;; ++fail) {
    Node again("reverse", 0, true, "LSTM", kProvider);
    emulation::fail_allocation(fail);
    std::string sentence = again.create();
    if (sentence.empty()) sentence = on_device.go(again);
    if (sentence.empty()) break;
    CHECK(contains(sentence, "GateFuse LSTM"));
    ++refused;
  }
  emulation::fail_allocation(0);
  CHECK(refused > 5);
}

}  // namespace

int main() {
  const char* named = std::getenv("GATEFUSE_CUDA_LIBRARY");
  registers_when_the_backend_is_there(named == nullptr ? CUDA_LIBRARY : named);
  int seed = 0;
  for (const char* name : {"LSTM", "GRU", "RefineLSTM", "RefineGRU"}) {
    for (const char* direction : {"forward", "reverse", "bidirectional"}) {
      for (const int64_t layout : {0, 1}) agrees_with_the_cpu(name, direction, layout, seed++);
    }
  }
  for (const char* direction : {"forward", "reverse", "bidirectional"}) {
    serves_many_streams(direction);
  }
  every_failure_is_told();
  CHECK_EQ(live_statuses.load(), 0);
  CHECK_EQ(live_infos.load(), 0);
  if (is_emulated()) CHECK(emulation::live().none());
  return result();
}
