// SPDX-License-Identifier: Apache-2.0
//
// gf_forward of all cells, in many shapes, against a plain reading of the specification in double
// precision: one sequence, one unit at a time.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "cpu/team.hpp"
#include "support.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

using Vector = std::vector<double>;
using Blocks = std::array<Vector, 128>;  // by the letters below

// The row blocks of each cell, in order: (i)nput, (f)orget, (r)efine, candidate (u), (o)utput,
// re(s)et, update (z); capital letters have H / chunk rows: (F)orget, master (I)nput, (M)aster
// forget.
constexpr const char* kBlocks[kCells] = {"ifuo",   "fuo", "rfuo", "Fuo", "rFuo",
                                         "ifuoIM", "szu", "szur", "szu", "szur"};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double refine(double f, double r) { return r * (1 - (1 - f) * (1 - f)) + (1 - r) * f * f; }

Vector cumax(const Vector& z, int chunk) {
  const double most = *std::max_element(z.begin(), z.end());
  double total = 0;
  for (const double one : z) total += std::exp(one - most);
  Vector out;
  double sum = 0;
  for (const double one : z) {
    sum += std::exp(one - most) / total;
    out.insert(out.end(), chunk, sum);
  }
  return out;
}

// One layer in one direction: the weights and one sequence's state.
class Layer {
 public:
  Layer(const Network& network, int slot, int input)
      : spec_(network.spec), input_(input), tensors_(&network.tensors[4 * slot]) {}

  // One step: updates h and c.
  void step(const Vector& x, Vector& h, Vector& c) const {
    const Blocks wx = product(0, input_, x);
    const Blocks rh = product(1, spec_.hidden_size, h);
    Blocks a;
    for (const char* b = kBlocks[spec_.cell]; *b != '\0'; ++b) {
      for (size_t k = 0; k < wx[*b].size(); ++k) a[*b].push_back(wx[*b][k] + rh[*b][k]);
    }
    if (has_cell_state(spec_.cell)) {
      lstm(a, h, c);
    } else {
      gru(a, wx, rh, h);
    }
  }

 private:
  // weight . in + bias, by blocks.
  Blocks product(int which, int columns, const Vector& in) const {
    const float* weight = tensors_[which].data();
    const float* bias = tensors_[which + 2].data();
    Blocks out;
    for (const char* b = kBlocks[spec_.cell]; *b != '\0'; ++b) {
      const bool chunked = *b >= 'A' && *b <= 'Z';
      const int rows = chunked ? spec_.hidden_size / spec_.chunk : spec_.hidden_size;
      for (int row = 0; row < rows; ++row, weight += columns) {
        double sum = *bias++;
        for (int k = 0; k < columns; ++k) sum += double{weight[k]} * in[k];
        out[*b].push_back(sum);
      }
    }
    return out;
  }

  void lstm(const Blocks& a, Vector& h, Vector& c) const {
    Vector scan, master;
    if (!a['F'].empty()) scan = cumax(a['F'], spec_.chunk);
    if (!a['M'].empty()) {
      master = cumax(a['M'], spec_.chunk);
      scan = cumax(a['I'], spec_.chunk);
    }
    for (int k = 0; k < spec_.hidden_size; ++k) {
      const double u = std::tanh(a['u'][k]);
      double keep = 0, write = 0;
      if (spec_.cell == GF_LSTM || spec_.cell == GF_ONLSTM) {
        keep = sigmoid(a['f'][k]);
        write = sigmoid(a['i'][k]);
      } else {
        keep = scan.empty() ? sigmoid(a['f'][k]) : scan[k];
        if (!a['r'].empty()) keep = refine(keep, sigmoid(a['r'][k]));
        write = 1 - keep;
      }
      if (spec_.cell == GF_ONLSTM) {
        const double mf = master[k], mi = 1 - scan[k], both = mf * mi;
        keep = keep * both + mf - both;
        write = write * both + mi - both;
      }
      c[k] = keep * c[k] + write * u;
      h[k] = sigmoid(a['o'][k]) * std::tanh(c[k]);
    }
  }

  void gru(const Blocks& a, const Blocks& wx, const Blocks& rh, Vector& h) const {
    const bool before = spec_.cell >= GF_GRU_RESET_BEFORE;
    Vector reset_h(h);
    for (int k = 0; k < spec_.hidden_size; ++k) reset_h[k] *= sigmoid(a['s'][k]);
    const Vector candidate = before ? product(1, spec_.hidden_size, reset_h)['u'] : rh['u'];
    for (int k = 0; k < spec_.hidden_size; ++k) {
      const double reset = before ? 1 : sigmoid(a['s'][k]);
      const double u = std::tanh(wx['u'][k] + reset * candidate[k]);
      double z = sigmoid(a['z'][k]);
      if (!a['r'].empty()) z = refine(z, sigmoid(a['r'][k]));
      h[k] = z * h[k] + (1 - z) * u;
    }
  }

  const gf_spec spec_;
  const int input_;
  const std::vector<float>* tensors_;
};

struct Truth {
  Vector y, hn, cn, logits, log_probs, target_log_probs;
};

// The head of one place: y is its hidden states.
void head(const Network& network, const Call& call, int64_t place, const double* y, Truth& out) {
  const gf_spec& spec = network.spec;
  const std::vector<float>& weight = network.tensors[network.tensors.size() - 2];
  const std::vector<float>& bias = network.tensors.back();
  const int columns = spec.directions * spec.hidden_size;
  Vector logits(bias.begin(), bias.end());
  double total = 0;
  for (int o = 0; o < spec.outputs; ++o) {
    for (int k = 0; k < columns; ++k) logits[o] += double{weight[o * columns + k]} * y[k];
    total += std::exp(logits[o]);
  }
  for (int o = 0; o < spec.outputs; ++o) {
    out.logits[place * spec.outputs + o] = logits[o];
    out.log_probs[place * spec.outputs + o] = logits[o] - std::log(total);
  }
  out.target_log_probs[place] = logits[call.targets[place]] - std::log(total);
}

// One row of the batch through all layers; returns the last layer's [T][D*H].
std::vector<Vector> run_row(const Network& network, const Call& call, int row, Truth& out) {
  const gf_spec& spec = network.spec;
  const int length = call.length(row), H = spec.hidden_size;
  std::vector<Vector> sequence;
  for (int t = 0; t < length; ++t) {
    const float* from = spec.vocabulary == 0
                            ? &call.x[call.place(t, row) * spec.input_size]
                            : &network.tensors[4 * spec.layers * spec.directions]
                                              [call.tokens[call.place(t, row)] * spec.input_size];
    sequence.emplace_back(from, from + spec.input_size);
  }
  for (int layer = 0; layer < spec.layers; ++layer) {
    std::vector<Vector> results(length, Vector(spec.directions * H));
    for (int direction = 0; direction < spec.directions; ++direction) {
      const int slot = layer * spec.directions + direction;
      const int64_t at = (int64_t{slot} * call.batch + row) * H;
      Vector h(H), c(H);
      if (!call.h0.empty()) h.assign(&call.h0[at], &call.h0[at] + H);
      if (!call.c0.empty()) c.assign(&call.c0[at], &call.c0[at] + H);
      const Layer cell(network, slot, static_cast<int>(sequence[0].size()));
      for (int s = 0; s < length; ++s) {
        const int t = direction == 0 ? s : length - 1 - s;
        cell.step(sequence[t], h, c);
        std::copy(h.begin(), h.end(), results[t].begin() + direction * H);
      }
      std::copy(h.begin(), h.end(), out.hn.begin() + at);
      if (!out.cn.empty()) std::copy(c.begin(), c.end(), out.cn.begin() + at);
    }
    sequence = results;
  }
  return sequence;
}

Truth truth(const Network& network, const Call& call) {
  const gf_spec& spec = network.spec;
  const int64_t places = int64_t{call.steps} * call.batch;
  const int size = spec.directions * spec.hidden_size;
  Truth out;
  out.y.resize(places * size);
  out.hn.resize(state_size(spec, call.batch));
  if (has_cell_state(spec.cell)) out.cn = out.hn;
  out.logits.resize(places * spec.outputs);
  out.log_probs = out.logits;
  if (spec.outputs > 0) out.target_log_probs.resize(places);
  for (int row = 0; row < call.batch; ++row) {
    const std::vector<Vector> results = run_row(network, call, row, out);
    for (int t = 0; t < call.length(row); ++t) {
      const int64_t place = call.place(t, row);
      std::copy(results[t].begin(), results[t].end(), out.y.begin() + place * size);
      if (spec.outputs > 0) head(network, call, place, results[t].data(), out);
    }
  }
  return out;
}

// The largest difference, in parts of 1 + |expected|; a NaN is as large as can be.
double worst_error(const std::vector<float>& actual, const Vector& expected) {
  if (actual.size() != expected.size()) return HUGE_VAL;
  double worst = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]) / (1 + std::abs(expected[i]));
    worst = error <= worst ? worst : std::isnan(error) ? HUGE_VAL : error;
  }
  return worst;
}

// Float32 sums of some hundred terms, over at most 70 steps.
constexpr double kTolerance = 5e-6;

struct Shape {
  gf_spec spec;
  int steps, batch, threads;
  bool ragged, state, batch_major;
};

std::string describe(const Shape& shape, int32_t set) {
  const gf_spec& s = shape.spec;
  char text[256];
  std::snprintf(text, sizeof text,
                "%s %s I=%d H=%d L=%d D=%d chunk=%d V=%d O=%d T=%d B=%d threads=%d%s%s%s",
                kCellNames[s.cell], set_name(set), s.input_size, s.hidden_size, s.layers,
                s.directions, s.chunk, s.vocabulary, s.outputs, shape.steps, shape.batch,
                shape.threads, shape.ragged ? " ragged" : "", shape.state ? " state" : "",
                shape.batch_major ? " batch-major" : "");
  return text;
}

// The worst error of all outputs of one shape.
double run_shape(const Shape& shape, int32_t set, uint64_t seed) {
  const Network network(shape.spec, seed, set);
  Call call =
      random_call(shape.spec, shape.steps, shape.batch, shape.ragged, shape.state, seed + 1);
  call.layout = shape.batch_major ? GF_BATCH_MAJOR : GF_TIME_MAJOR;
  // A session larger than the call, as in real use.
  const Runner runner(network, shape.steps + static_cast<int>(seed % 3),
                      shape.batch + static_cast<int>(seed % 5), shape.threads);
  const Result actual = forward(runner, call);
  const Truth expected = truth(network, call);
  return std::max({worst_error(actual.y, expected.y), worst_error(actual.hn, expected.hn),
                   worst_error(actual.cn, expected.cn), worst_error(actual.logits, expected.logits),
                   worst_error(actual.log_probs, expected.log_probs),
                   worst_error(actual.target_log_probs, expected.target_log_probs)});
}

template <size_t N>
int pick(const int (&values)[N], Random& random) {
  return values[random.below(N)];
}

// A shape at random, with no more multiplications than a test has time for.
Shape random_shape(int cell, Random& random) {
  const int64_t most = kSanitized ? 400'000 : 8'000'000;
  for (;;) {
    Shape shape = {make_spec(cell, pick({1, 3, 8, 17}, random),
                             pick({1, 2, 3, 5, 8, 9, 16, 17, 33, 64}, random),
                             pick({1, 1, 2, 3}, random), pick({1, 1, 2}, random)),
                   pick({1, 2, 5, 70}, random),
                   pick({1, 2, 3, 4, 7, 13, 33}, random),
                   pick({1, 2, 3}, random),
                   random.below(2) == 1,
                   random.below(2) == 1,
                   random.below(3) == 0};
    gf_spec& spec = shape.spec;
    const int chunk = pick({1, 2, 3, 8, 16, 33}, random);
    if (has_scans(cell) && spec.hidden_size % chunk == 0) spec.chunk = chunk;
    spec.vocabulary = pick({0, 0, 1, 11}, random);
    spec.outputs = pick({0, 0, 1, 5, 37, 130}, random);
    const int64_t work = int64_t{shape.steps} * shape.batch * spec.layers * spec.directions *
                         spec.hidden_size * (spec.hidden_size + spec.input_size) * 4;
    if (work <= most) return shape;
  }
}

// What chance may leave out: many members, tall and full tiles, a panel of weights longer than one.
std::vector<Shape> chosen_shapes(int cell) {
  std::vector<Shape> shapes = {
      {make_spec(cell, 8, 64, 2, 2), 5, 33, 3, true, true, false},
      {make_spec(cell, 17, 33, 3, 1), 5, 33, 2, true, true, true},
      {make_spec(cell, 8, 64, 1, 1), 2, 7, 3, false, false, false},
      {make_spec(cell, 700, 17, 1, 1), 3, 13, 2, false, true, false},
      {make_spec(cell, 3, 300, 1, 1), 3, kSanitized ? 2 : 13, 3, false, true, false},
      {make_spec(cell, 3, 300, 1, 1), 3, 1, 3, false, true, false}};
  shapes[1].spec.outputs = 130;
  shapes[2].spec.vocabulary = 11;
  if (has_scans(cell)) shapes[0].spec.chunk = 4;
  if (has_scans(cell)) shapes[4].spec.chunk = 3;
  return shapes;
}

}  // namespace

int main() {
  if (test::instruction_sets().empty()) return kSkipped;
  cpu::team::set_limit_for_tests(3);
  for (const int32_t set : test::instruction_sets()) {
    double worst = 0;
    std::string where;
    int count = 0;
    for (int cell = 0; cell < kCells; ++cell) {
      Random random(1000 + cell);
      std::vector<Shape> shapes = chosen_shapes(cell);
      for (int i = 0; i < (kSanitized ? 12 : 100); ++i)
        shapes.push_back(random_shape(cell, random));
      for (const Shape& shape : shapes) {
        const double error = run_shape(shape, set, random.next() >> 8);
        report(error <= kTolerance, __FILE__, __LINE__,
               describe(shape, set) + ": off by " + std::to_string(error * 1e6) + "e-6");
        if (error > worst) where = describe(shape, set);
        worst = std::max(worst, error);
        ++count;
      }
    }
    std::printf("%s: %d networks, worst error %.2e (%s)\n", set_name(set), count, worst,
                where.c_str());
  }
  return result();
}
