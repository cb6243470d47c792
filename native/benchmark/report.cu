// SPDX-License-Identifier: Apache-2.0
#include "report.hpp"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "cuda/tiers.hpp"

namespace gatefuse::benchmark {
namespace {

__attribute__((format(printf, 1, 2))) std::string text(const char* format, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

// Three digits.
std::string number(double value) {
  return text(value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : "%.2f", value);
}

std::string spread(const Spread& s) {
  return number(s.median) + " (" + number(s.lower) + " to " + number(s.upper) + ")";
}

std::string size_of(const Shape& shape) {
  return text("%d x %d x %d", shape.hidden, shape.batch, shape.steps) + (shape.ragged ? ", ragged"
                                                                         : shape.streaming
                                                                             ? ", streaming"
                                                                             : "");
}

bool same_work(const Shape& a, const Shape& b) {
  return a.hidden == b.hidden && a.batch == b.batch && a.steps == b.steps && a.ragged == b.ragged &&
         a.streaming == b.streaming;
}

// A refine cell has the arithmetic of the standard one.
std::string standard(const std::string& cell) { return cell.substr(0, cell.find('_')); }

std::string cudnn_precision(const std::string& precision) {
  return precision == "bfloat16" ? "float16" : precision;
}

const Measured* find_cudnn(const std::vector<Measured>& all, const Measured& ours) {
  for (const Measured& other : all) {
    if (other.key.library == "cudnn" && other.good() && same_work(other.shape, ours.shape) &&
        other.key.cell == standard(ours.key.cell) &&
        other.key.precision == cudnn_precision(ours.key.precision)) {
      return &other;
    }
  }
  return nullptr;
}

// The quickest.
const Measured* find_pytorch(const std::vector<Measured>& all, const Measured& ours) {
  const Measured* best = nullptr;
  for (const Measured& other : all) {
    if (other.key.library == "pytorch" && same_work(other.shape, ours.shape) &&
        other.key.cell == ours.key.cell && other.key.precision == ours.key.precision &&
        (best == nullptr || other.step.median < best->step.median)) {
      best = &other;
    }
  }
  return best;
}

// ---- Markdown -----------------------------------------------------------------------------------

void write_comparison(std::ostream& out, const std::vector<Measured>& all) {
  out << "\n## GateFuse, cuDNN and PyTorch\n\n"
         "Microseconds per step, median (quartiles); one layer, as many inputs as hidden units,\n"
         "input and output in device memory. cuDNN runs the standard cell in its quickest "
         "algorithm,\nin float16 beside our bfloat16 too, with 16-bit input and output where it "
         "computes so; ours\nhas float32 input and output in each precision. Ratio: their time "
         "over ours.\n\n"
         "| H x B x T | cell | precision | path | GateFuse | cuDNN | ratio | PyTorch | ratio |\n"
         "|---|---|---|---|---|---|---|---|---|\n";
  for (const Measured& ours : all) {
    if (ours.key.library != "gatefuse" || ours.key.variant != "auto" || !ours.good()) continue;
    out << "| " << size_of(ours.shape) << " | " << ours.key.cell << " | " << ours.key.precision
        << " | " << ours.path << " | " << spread(ours.step) << " | ";
    if (const Measured* cudnn = find_cudnn(all, ours)) {
      out << spread(cudnn->step) << " " << cudnn->path << " | **"
          << number(cudnn->step.median / ours.step.median) << "** | ";
    } else {
      out << "- | - | ";
    }
    if (const Measured* torch = find_pytorch(all, ours)) {
      out << spread(torch->step) << " " << torch->key.variant << " | "
          << number(torch->step.median / ours.step.median) << " |\n";
    } else {
      out << "- | - |\n";
    }
  }
}

void write_forced(std::ostream& out, const std::vector<Measured>& all) {
  bool any = false;
  for (const Measured& ours : all) {
    if (ours.key.library != "gatefuse" || ours.key.variant == "auto" || !ours.good()) continue;
    if (!any) {
      out << "\n## Forced tiers\n\nMicroseconds per step; a tier that does not fit the shape is "
             "left out.\n\n| H x B x T | cell | precision | tier | path | GateFuse | over auto |\n"
             "|---|---|---|---|---|---|---|\n";
    }
    any = true;
    std::string over = "-";
    for (const Measured& other : all) {
      if (other.key.library == "gatefuse" && other.key.variant == "auto" && other.good() &&
          same_work(other.shape, ours.shape) && other.key.cell == ours.key.cell &&
          other.key.precision == ours.key.precision) {
        over = number(ours.step.median / other.step.median);
      }
    }
    out << "| " << size_of(ours.shape) << " | " << ours.key.cell << " | " << ours.key.precision
        << " | " << ours.key.variant << " | " << ours.path << " | " << spread(ours.step) << " | "
        << over << " |\n";
  }
}

void write_answers(std::ostream& out, const std::vector<Measured>& all) {
  int compared = 0;
  double worst[2] = {0, 0};  // 16 bits, 32 bits
  std::string wrong;
  for (const Measured& ours : all) {
    if (ours.difference < 0) continue;
    ++compared;
    double& of = worst[ours.key.precision == "float32" || ours.key.precision == "tf32" ? 1 : 0];
    if (ours.difference > of) of = ours.difference;
    if (!ours.same_answer) {
      wrong += "- " + size_of(ours.shape) + " " + ours.key.cell + " " + ours.key.precision + " " +
               ours.key.variant + ": off by " + text("%.2g", ours.difference) + "\n";
    }
  }
  if (compared == 0) return;
  out << "\n## The same answer\n\nThe standard cells have cuDNN's weights and inputs. Of "
      << compared << " comparisons of outputs the largest\ndifference is "
      << text("%.2g with 16 bits and %.2g with 32 bits", worst[0], worst[1])
      << (wrong.empty() ? ".\n" : "; **not within the tolerance**:\n\n" + wrong);
}

void write_exchanges(std::ostream& out, const Exchanges& exchanges) {
  if (exchanges.costs.empty()) return;
  out << "\n## What an exchange costs\n\nCycles of a multiprocessor for each step of the exchange "
         "of h alone, as the persistent kernels do it\n(bfloat16, a slice of 8 rows); "
      << text("%.3f", exchanges.gigahertz)
      << " GHz meanwhile.\n\n| exchange | blocks | units | cycles |\n|---|---|---|---|\n";
  for (const ExchangeCost& cost : exchanges.costs) {
    out << "| " << cost.what << " | " << cost.blocks << " | " << cost.units << " | "
        << (cost.error.empty() ? number(cost.cycles) : cost.error) << " |\n";
  }
  if (!exchanges.clusters.empty()) {
    out << "\n| cluster size | clusters at a time, 8 KiB shared | all shared memory |\n"
           "|---|---|---|\n";
    for (const ResidentClusters& c : exchanges.clusters) {
      out << "| " << c.size << " | " << c.small << " | " << c.full << " |\n";
    }
  }
  out << "\nThe constants that the choice of tiers rests on (native/src/cuda/tiers.hpp), and what "
         "was measured:\n\n| constant | now | measured |\n|---|---|---|\n";
  const auto row = [&](const char* name, double now, double measured) {
    out << "| " << name << " | " << number(now) << " | " << (measured > 0 ? number(measured) : "-")
        << " |\n";
  };
  double block = 0, grid = 0;
  for (const ExchangeCost& cost : exchanges.costs) {
    if (!cost.error.empty()) continue;
    if (cost.what.starts_with("block")) block = cost.cycles;
    if (cost.what.starts_with("grid")) grid = cost.cycles;
  }
  row("kBlockExchange", cuda::kBlockExchange, block);
  row("kClusterExchange", cuda::kClusterExchange, exchanges.cluster_base);
  row("kClusterExchangePerBlock", cuda::kClusterExchangePerBlock, exchanges.cluster_per_block);
  row("kGridExchange", cuda::kGridExchange, grid);
}

void write_errors(std::ostream& out, const std::vector<Measured>& all) {
  bool any = false;
  for (const Measured& one : all) {
    if (one.good() || one.key.variant == "slice" || one.key.variant == "cluster" ||
        one.key.variant == "grid") {
      continue;
    }
    if (!any) out << "\n## Not measured\n\n";
    any = true;
    out << "- " << size_of(one.shape) << " " << one.key.library << " " << one.key.cell << " "
        << one.key.precision << " " << one.key.variant << ": " << one.error << "\n";
  }
}

// ---- JSON ---------------------------------------------------------------------------------------

std::string quoted(const std::string& value) {
  std::string result = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += text("\\u%04x", c);
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string plain(double value) { return std::isfinite(value) ? text("%.6g", value) : "null"; }

std::string json_of(const Measured& one) {
  std::string result =
      "{\"hidden\": " + std::to_string(one.shape.hidden) +
      ", \"batch\": " + std::to_string(one.shape.batch) +
      ", \"steps\": " + std::to_string(one.shape.steps) +
      ", \"ragged\": " + (one.shape.ragged ? "true" : "false") +
      ", \"streaming\": " + (one.shape.streaming ? "true" : "false") +
      ", \"library\": " + quoted(one.key.library) + ", \"cell\": " + quoted(one.key.cell) +
      ", \"precision\": " + quoted(one.key.precision) + ", \"variant\": " + quoted(one.key.variant);
  if (!one.good()) return result + ", \"error\": " + quoted(one.error) + "}";
  result += ", \"path\": " + quoted(one.path) +
            ", \"microseconds_per_step\": {\"lower\": " + plain(one.step.lower) +
            ", \"median\": " + plain(one.step.median) + ", \"upper\": " + plain(one.step.upper) +
            ", \"samples\": " + std::to_string(one.step.samples) +
            ", \"calls_of_a_sample\": " + std::to_string(one.calls) + "}";
  if (one.difference >= 0) {
    result += ", \"difference_from_cudnn\": " + plain(one.difference);
  }
  return result + "}";
}

template <class T, class F>
std::string list(const std::vector<T>& all, F f) {
  std::string result = "[";
  for (const T& one : all) result += (&one == &all[0] ? "\n    " : ",\n    ") + f(one);
  return result + (all.empty() ? "]" : "\n  ]");
}

std::string json_of(const Exchanges& exchanges) {
  return "{\n  \"gigahertz\": " + plain(exchanges.gigahertz) + ",\n  \"cycles\": " +
         list(exchanges.costs,
              [](const ExchangeCost& c) {
                return "{\"exchange\": " + quoted(c.what) +
                       ", \"blocks\": " + std::to_string(c.blocks) +
                       ", \"units\": " + std::to_string(c.units) +
                       (c.error.empty() ? ", \"cycles\": " + plain(c.cycles)
                                        : ", \"error\": " + quoted(c.error)) +
                       "}";
              }) +
         ",\n  \"clusters\": " +
         list(exchanges.clusters,
              [](const ResidentClusters& c) {
                return "{\"size\": " + std::to_string(c.size) +
                       ", \"at_a_time_8_kib\": " + std::to_string(c.small) +
                       ", \"at_a_time_all_shared\": " + std::to_string(c.full) + "}";
              }) +
         ",\n  \"cluster_base\": " + plain(exchanges.cluster_base) +
         ",\n  \"cluster_per_block\": " + plain(exchanges.cluster_per_block) + "\n  }";
}

}  // namespace

void Report::write(const std::string& markdown, const std::string& json) const {
  if (!markdown.empty()) {
    std::ofstream out(markdown);
    if (emulated) {
      out << "\n**Emulated on a CPU: the times below mean nothing.**\n";
    }
    out << "\nDevice: " << device << ". cuDNN: " << cudnn << ".\n";
    if (!left_out.empty()) out << "\nFor want of time not measured: " << left_out << ".\n";
    write_comparison(out, measured);
    write_forced(out, measured);
    write_answers(out, measured);
    write_exchanges(out, exchanges);
    write_errors(out, measured);
    if (!out.flush()) throw Failure(markdown + ": cannot be written");
  }
  if (!json.empty()) {
    std::ofstream out(json);
    out << "{\n  \"emulated\": " << (emulated ? "true" : "false")
        << ",\n  \"device\": " << quoted(device) << ",\n  \"cudnn\": " << quoted(cudnn)
        << ",\n  \"left_out\": " << quoted(left_out) << ",\n  \"exchanges\": " << json_of(exchanges)
        << ",\n  \"results\": " << list(measured, [](const Measured& m) { return json_of(m); })
        << "\n}\n";
    if (!out.flush()) throw Failure(json + ": cannot be written");
  }
}

std::vector<Measured> read_peers(const std::string& path) {
  std::vector<Measured> all;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    Measured one;
    int ragged = 0;
    std::getline(fields, one.key.library, '\t');
    std::getline(fields, one.key.cell, '\t');
    std::getline(fields, one.key.precision, '\t');
    std::getline(fields, one.key.variant, '\t');
    fields >> one.shape.hidden >> one.shape.batch >> one.shape.steps >> ragged;
    fields >> one.step.lower >> one.step.median >> one.step.upper;
    if (!fields) continue;
    one.shape.ragged = ragged != 0;
    one.path = one.key.variant;
    all.push_back(one);
  }
  return all;
}

}  // namespace gatefuse::benchmark
