// SPDX-License-Identifier: Apache-2.0
//
// cuda_benchmark [--library FILE] [--markdown FILE] [--json FILE] [--peers FILE] [--seconds N]
//                [--shapes WORDS] [--exchanges] [--tiny] [--once]
//
// Times whole layers over the C interface against cuDNN, and the exchanges of h by themselves.
//   --library    the CUDA backend, in place of the one beside this program
//   --peers      what another program measured, for the same report: see report.hpp
//   --seconds    time for the shapes, the most telling first; 120 by default
//   --shapes     only shapes whose name contains one of these words, separated by commas
//   --exchanges  only the exchanges
//   --tiny       tiny shapes and few samples, to try the program out
//   --once       no times: every cell, precision and tier once, small and ragged, for a sanitizer
// It ends with 0 where all was measured that could be, 1 where something failed or gave another
// answer than cuDNN, 2 where it cannot begin.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "gatefuse.h"
#include "report.hpp"

namespace gatefuse::benchmark {
namespace {

struct Named {
  int id;
  const char* name;
};
constexpr Named kCells[] = {{GF_LSTM, "lstm"},
                            {GF_LSTM_REFINE, "lstm_refine"},
                            {GF_GRU, "gru"},
                            {GF_GRU_REFINE, "gru_refine"}};
constexpr Named kPrecisions[] = {
    {GF_BFLOAT16, "bfloat16"}, {GF_FLOAT16, "float16"}, {GF_TF32, "tf32"}, {GF_FLOAT32, "float32"}};
constexpr Named kTiers[] = {{GF_TIER_ALTERNATING, "alternating"},
                            {GF_TIER_SLICE, "slice"},
                            {GF_TIER_CLUSTER, "cluster"},
                            {GF_TIER_GRID, "grid"}};

struct Options {
  std::string library, markdown, json, peers, shapes;
  double seconds = 120;
  bool exchanges = false, tiny = false, once = false;
};

// ---- Shapes -------------------------------------------------------------------------------------

Shape shape(const char* name, int hidden, int batch, int steps) {
  Shape made;
  made.name = name;
  made.hidden = hidden;
  made.batch = batch;
  made.steps = steps;
  return made;
}

// The most telling first.
std::vector<Shape> all_shapes() {
  std::vector<Shape> all;
  const auto add = [&](Shape made) -> Shape& {
    all.push_back(std::move(made));
    return all.back();
  };
  add(shape("headline", 768, 16, 1024)).forced = true;
  add(shape("deepbench", 512, 16, 25)).gru = false;
  add(shape("deepbench", 1024, 16, 25)).gru = false;
  add(shape("ragged", 512, 64, 512)).ragged = true;
  Shape& stream = add(shape("streaming", 512, 1, 1));
  stream.streaming = stream.forced = true;
  add(shape("island", 128, 64, 256)).forced = true;
  add(shape("island", 64, 8, 256)).forced = true;
  add(shape("deepbench", 256, 16, 150)).gru = false;
  add(shape("deepbench", 1024, 128, 25)).gru = false;
  add(shape("deepbench", 2048, 16, 25)).gru = false;
  add(shape("single", 768, 1, 256)).forced = true;
  for (const int hidden : {160, 192, 64, 128}) {
    for (const int batch : {45, 8, 64}) {
      if ((hidden == 64 && batch == 8) || (hidden == 128 && batch == 64)) continue;
      add(shape("island", hidden, batch, 256)).gru = batch == 45;
    }
  }
  add(shape("streaming", 256, 1, 1)).streaming = true;
  add(shape("streaming", 1024, 1, 1)).streaming = true;
  add(shape("ragged", 768, 16, 1024)).ragged = true;
  add(shape("deepbench", 1536, 32, 1500)).lstm = false;
  add(shape("deepbench", 2816, 32, 1500)).lstm = false;
  return all;
}

std::vector<Shape> tiny_shapes() {
  std::vector<Shape> all = {shape("headline", 40, 9, 5), shape("ragged", 24, 10, 4),
                            shape("streaming", 16, 1, 1)};
  all[0].forced = all[2].streaming = all[1].ragged = true;
  all[2].gru = false;
  return all;
}

bool wanted(const Shape& shape, const std::string& words) {
  if (words.empty()) return true;
  for (size_t at = 0; at <= words.size();) {
    const size_t end = std::min(words.find(',', at), words.size());
    if (end > at && shape.name.find(words.substr(at, end - at)) != std::string::npos) return true;
    at = end + 1;
  }
  return false;
}

// ---- What is compared in a shape ----------------------------------------------------------------

// Rounded operands feed back through all steps, so this shows a wrong setup and no more.
double tolerance(int precision) {
  return precision == GF_FLOAT32 ? 1e-3 : precision == GF_BFLOAT16 ? 0.1 : 0.02;
}

// One family in 16 or in 32 bits.
std::vector<Candidate> candidates(Data& data, Family family, bool sixteen, bool with_cudnn) {
  std::vector<Candidate> all;
  const bool compared = !data.shape().streaming;
  const auto add_cudnn = [&](const char* precision, Format format, bool tensor_cores) {
    Candidate candidate;
    candidate.key = {"cudnn", family == Family::kLstm ? "lstm" : "gru", precision, ""};
    candidate.judge = compared;
    candidate.make = [&data, family, format, tensor_cores] {
      return make_cudnn(data, family, format, tensor_cores);
    };
    all.push_back(candidate);
  };
  const auto add_ours = [&](const Named& cell, const Named& precision, int tier,
                            const char* variant, bool graph) {
    Candidate candidate;
    candidate.key = {"gatefuse", cell.name, precision.name, variant};
    const bool standard = cell.id == GF_LSTM || cell.id == GF_GRU;
    if (standard && compared) candidate.tolerance = tolerance(precision.id);
    candidate.make = [&data, cell, precision, tier, graph] {
      return make_gatefuse(data, cell.id, precision.id, tier, graph);
    };
    all.push_back(candidate);
  };
  if (with_cudnn && sixteen) add_cudnn("float16", Format::kFloat16, true);
  if (with_cudnn && !sixteen) {
    add_cudnn("float32", Format::kFloat32, false);
    add_cudnn("tf32", Format::kFloat32, true);
  }
  for (const Named& cell : kCells) {
    if ((cell.id < GF_GRU) != (family == Family::kLstm)) continue;
    for (const Named& precision : kPrecisions) {
      if ((precision.id >= GF_BFLOAT16) != sixteen) continue;
      add_ours(cell, precision, GF_TIER_AUTO, "auto", false);
    }
  }
  if (data.shape().forced && family == Family::kLstm) {
    const Named precision = sixteen ? kPrecisions[0] : kPrecisions[3];
    for (const Named& tier : kTiers) add_ours(kCells[1], precision, tier.id, tier.name, false);
    add_ours(kCells[1], precision, GF_TIER_ALTERNATING, "alternating graph", true);
  }
  return all;
}

// ---- The program --------------------------------------------------------------------------------

class Program {
 public:
  Program(const Options& options, bool emulated) : options_(options), begun_(now()) {
    report_.emulated = emulated;
    char text[1024] = {};
    gf_backend_describe(GF_BACKEND_CUDA, text, sizeof text);
    const std::string lines = text;
    const auto value = [&](const std::string& key) {
      const size_t at = lines.find(key + "=");
      return at == std::string::npos
                 ? ""
                 : lines.substr(at + key.size() + 1, lines.find('\n', at) - at - key.size() - 1);
    };
    available_ = value("available") == "1";
    report_.device = value(available_ ? "device" : "reason");
    report_.cudnn = emulated ? "not measured" : describe_cudnn();
  }

  bool available() const { return available_; }
  const std::string& device() const { return report_.device; }

  int run() {
    if (options_.once) return run_once();
    std::printf("%s\n", report_.device.c_str());
    report_.exchanges = measure_exchanges(options_.tiny ? 20 : 20000);
    for (const ExchangeCost& cost : report_.exchanges.costs) {
      std::printf("%s, %d blocks: %s\n", cost.what.c_str(), cost.blocks,
                  cost.error.empty() ? (std::to_string(cost.cycles) + " cycles").c_str()
                                     : cost.error.c_str());
      failed_ = failed_ || !cost.error.empty();
    }
    if (!options_.peers.empty()) report_.measured = read_peers(options_.peers);
    write();
    if (!options_.exchanges) run_shapes();
    return failed_ ? 1 : 0;
  }

 private:
  static std::chrono::steady_clock::time_point now() { return std::chrono::steady_clock::now(); }
  double seconds() const { return std::chrono::duration<double>(now() - begun_).count(); }
  void write() const { report_.write(options_.markdown, options_.json); }

  void run_shapes() {
    for (const Shape& shape : options_.tiny ? tiny_shapes() : all_shapes()) {
      if (!wanted(shape, options_.shapes)) continue;
      if (seconds() > options_.seconds) {
        report_.left_out += (report_.left_out.empty() ? "" : ", ") + std::to_string(shape.hidden) +
                            " x " + std::to_string(shape.batch) + " x " +
                            std::to_string(shape.steps);
        continue;
      }
      run_shape(shape);
      write();
    }
    write();
  }

  void run_shape(const Shape& shape) {
    Effort effort;
    if (options_.tiny) effort = {0, 0, 0, 3, 3};
    const Stream stream;
    Data data(shape, stream);
    for (const Family family : {Family::kLstm, Family::kGru}) {
      if (family == Family::kLstm ? !shape.lstm : !shape.gru) continue;
      for (const bool sixteen : {true, false}) {
        const auto all =
            measure(shape, candidates(data, family, sixteen, !report_.emulated), effort, stream);
        for (const Measured& one : all) take(one);
      }
    }
  }

  void take(const Measured& one) {
    const bool forced = one.key.variant != "auto" && one.key.library == "gatefuse";
    const bool fits = one.good() || one.error.rfind("tier:", 0) != 0;
    std::printf("%s %d x %d x %d %s %s %s %s: ", one.shape.name.c_str(), one.shape.hidden,
                one.shape.batch, one.shape.steps, one.key.library.c_str(), one.key.cell.c_str(),
                one.key.precision.c_str(), one.key.variant.c_str());
    if (one.good()) {
      std::printf("%.3f us (%s)%s\n", one.step.median, one.path.c_str(),
                  one.same_answer ? "" : ", ANOTHER ANSWER than cuDNN");
    } else {
      std::printf("%s\n", one.error.c_str());
    }
    std::fflush(stdout);
    if (one.key.library == "gatefuse" &&
        ((!one.good() && !(forced && !fits)) || !one.same_answer)) {
      failed_ = true;
    }
    report_.measured.push_back(one);
  }

  int run_once() {
    int ran = 0;
    for (int cell = GF_LSTM; cell <= GF_GRU_REFINE_RESET_BEFORE; ++cell) {
      Shape small = shape("once", 40, 9, 5);
      small.ragged = true;
      const Stream stream;
      Data data(small, stream);
      for (const Named& precision : kPrecisions) {
        for (const Named& tier : kTiers) {
          try {
            const auto contender = make_gatefuse(data, cell, precision.id, tier.id, false);
            for (int turn = 0; turn < 2; ++turn) contender->enqueue(turn);
            contender->finish();
            ++ran;
          } catch (const Failure& e) {
            if (std::strncmp(e.what(), "tier:", 5) == 0) continue;
            std::printf("cell %d, %s, %s: %s\n", cell, precision.name, tier.name, e.what());
            failed_ = true;
          }
        }
      }
    }
    std::printf("%d networks ran\n", ran);
    return failed_ || ran == 0 ? 1 : 0;
  }

  Options options_;
  std::chrono::steady_clock::time_point begun_;
  bool available_ = false;
  bool failed_ = false;
  Report report_;
};

bool parse(int count, char** words, Options* options) {
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    std::string* text = word == "--library"    ? &options->library
                        : word == "--markdown" ? &options->markdown
                        : word == "--json"     ? &options->json
                        : word == "--peers"    ? &options->peers
                        : word == "--shapes"   ? &options->shapes
                                               : nullptr;
    bool* flag = word == "--exchanges" ? &options->exchanges
                 : word == "--tiny"    ? &options->tiny
                 : word == "--once"    ? &options->once
                                       : nullptr;
    if (text != nullptr && i + 1 < count) {
      *text = words[++i];
    } else if (word == "--seconds" && i + 1 < count) {
      options->seconds = std::atof(words[++i]);
    } else if (flag != nullptr) {
      *flag = true;
    } else {
      std::fprintf(stderr, "cuda_benchmark: unexpected %s; the options are in cuda_benchmark.cu\n",
                   word.c_str());
      return false;
    }
  }
  return true;
}

int run(int count, char** words, const char* own_library) {
  Options options;
  if (!parse(count, words, &options)) return 2;
  if (options.library.empty()) options.library = own_library;
  const std::string library = std::filesystem::absolute(options.library).string();
  if (gf_backend_load(library.c_str()) != GF_OK) {
    std::fprintf(stderr, "%s\n", gf_last_error());
    return 2;
  }
#if defined(GATEFUSE_EMULATED_CUDA)
  Program program(options, true);
#else
  Program program(options, false);
#endif
  if (!program.available()) {
    std::fprintf(stderr, "no GPU: %s\n", program.device().c_str());
    return 2;
  }
  return program.run();
}

}  // namespace
}  // namespace gatefuse::benchmark

// The emulated one is a library that is its own backend: the emulation's memory and streams are
// known only to the copy of the emulation that made them. cuda_benchmark_emulated.cpp calls it.
#if defined(GATEFUSE_EMULATED_CUDA)
extern "C" __attribute__((visibility("default"))) int cuda_benchmark_main(int count, char** words,
                                                                          const char* library) {
  return gatefuse::benchmark::run(count, words, library);
}
#else
int main(int count, char** words) { return gatefuse::benchmark::run(count, words, CUDA_LIBRARY); }
#endif
