// SPDX-License-Identifier: Apache-2.0
//
// gf_forward by a plain reading of the specification in double precision: one sequence, one unit at
// a time.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "random.hpp"
#include "support.hpp"

namespace gatefuse::test {

using Vector = std::vector<double>;
using Blocks = std::array<Vector, 128>;  // by the letters below

// The row blocks of each cell, in order: (i)nput, (f)orget, (r)efine, candidate (u), (o)utput,
// re(s)et, update (z); capital letters have H / chunk rows: (F)orget, master (I)nput, (M)aster
// forget.
inline constexpr const char* kBlocks[kCells] = {"ifuo",   "fuo", "rfuo", "Fuo", "rFuo",
                                                "ifuoIM", "szu", "szur", "szu", "szur"};

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

inline double refine(double f, double r) { return r * (1 - (1 - f) * (1 - f)) + (1 - r) * f * f; }

inline Vector cumax(const Vector& z, int chunk) {
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

// Rounds a vector that a product reads, or the weights of one output, to operands.
using Rounding = void (*)(std::vector<float>& operands);
inline void unrounded(std::vector<float>&) {}

template <float (*Round)(float)>
void rounded(std::vector<float>& operands) {
  for (float& one : operands) one = Round(one);
}

inline float to_bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// To whole numbers times a scale: the largest is 127.
inline void to_int8(std::vector<float>& operands) {
  float largest = 0;
  for (const float one : operands) largest = std::max(largest, std::fabs(one));
  if (largest == 0) return;
  for (float& one : operands) one = std::nearbyint(one * (127 / largest)) * (largest / 127);
}

// The operands of a vector of values; unrounded, they are as exact as the values are.
inline Vector operands(const Vector& values, Rounding round) {
  if (round == unrounded) return values;
  std::vector<float> read(values.begin(), values.end());
  round(read);
  return Vector(read.begin(), read.end());
}

inline Vector operands(const float* weights, int count, Rounding round) {
  std::vector<float> read(weights, weights + count);
  round(read);
  return Vector(read.begin(), read.end());
}

// How a network is to be read: with operands rounded, and, if a teacher is given, with its hidden
// states [T, B, D*H] of each step before in place of one's own: then a rounding that falls the
// other way stays where it is. A teacher is for one layer. rates: those of a session.
struct Reading {
  Rounding round = unrounded;
  const std::vector<float>* teacher = nullptr;
  gf_session_options rates = {};
};

// What is drawn for one row of a call in one layer and direction.
struct Chances {
  const Reading& reading;
  const Call& call;
  int slot, row;

  bool happens(MaskKind kind, double rate, int time, int unit) const {
    const Key key = mask_key(reading.rates.seed, call.draw, kind, slot);
    const Words words = mask_words(key, static_cast<uint32_t>(unit / 4),
                                   static_cast<uint32_t>(time), static_cast<uint32_t>(row));
    return words.word[unit % 4] < std::floor(rate * 0x1p32);
  }
  // What an element is multiplied by.
  double factor(MaskKind kind, double rate, int time, int unit) const {
    if (call.training == 0 || rate == 0) return 1;
    return happens(kind, rate, time, unit) ? 0 : 1 / (1 - rate);
  }
  // How much of an element stays.
  double share(MaskKind kind, double rate, int time, int unit) const {
    if (call.training == 0 || rate == 0) return rate;
    return happens(kind, rate, time, unit) ? 1 : 0;
  }
};

// One layer in one direction: the weights and one sequence's state.
class Layer {
 public:
  Layer(const Network& network, int input, const Chances& chances)
      : spec_(network.spec),
        input_(input),
        round_(chances.reading.round),
        chances_(chances),
        tensors_(&network.tensors[4 * chances.slot]) {}

  // One step: updates h and c.
  void step(const Vector& x, int time, Vector& h, Vector& c) {
    time_ = time;
    const Vector h_before = h, c_before = c;
    own_step(x, h, c);
    const gf_session_options& rates = chances_.reading.rates;
    for (int k = 0; k < spec_.hidden_size; ++k) {
      const double of_h = chances_.share(kZoneoutHMask, rates.zoneout_h, time, k);
      const double of_c = chances_.share(kZoneoutCMask, rates.zoneout_c, time, k);
      h[k] = of_h * h_before[k] + (1 - of_h) * h[k];
      c[k] = of_c * c_before[k] + (1 - of_c) * c[k];
    }
  }

 private:
  void own_step(const Vector& x, Vector& h, Vector& c) const {
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

  double candidate(double a, int unit) const {
    const double rate = chances_.reading.rates.recurrent_dropout;
    return chances_.factor(kRecurrentDropoutMask, rate, time_, unit) * std::tanh(a);
  }

  // weight . in + bias, by blocks.
  Blocks product(int which, int columns, const Vector& values) const {
    const Vector in = operands(values, round_);
    const float* weight = tensors_[which].data();
    const float* bias = tensors_[which + 2].data();
    Blocks out;
    for (const char* b = kBlocks[spec_.cell]; *b != '\0'; ++b) {
      const bool chunked = *b >= 'A' && *b <= 'Z';
      const int rows = chunked ? spec_.hidden_size / spec_.chunk : spec_.hidden_size;
      for (int row = 0; row < rows; ++row, weight += columns) {
        const Vector read = operands(weight, columns, round_);
        double sum = *bias++;
        for (int k = 0; k < columns; ++k) sum += read[k] * in[k];
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
      const double u = candidate(a['u'][k], k);
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
    const Vector rows = before ? product(1, spec_.hidden_size, reset_h)['u'] : rh['u'];
    for (int k = 0; k < spec_.hidden_size; ++k) {
      const double reset = before ? 1 : sigmoid(a['s'][k]);
      const double u = candidate(wx['u'][k] + reset * rows[k], k);
      double z = sigmoid(a['z'][k]);
      if (!a['r'].empty()) z = refine(z, sigmoid(a['r'][k]));
      h[k] = z * h[k] + (1 - z) * u;
    }
  }

  const gf_spec spec_;
  const int input_;
  const Rounding round_;
  const Chances chances_;
  const std::vector<float>* tensors_;
  int time_ = 0;
};

struct Truth {
  Vector y, hn, cn, logits, log_probs, target_log_probs;
};

// The head of one place: y is its hidden states.
inline void head(const Network& network, const Call& call, int64_t place, const double* y,
                 Rounding round, Truth& out) {
  const gf_spec& spec = network.spec;
  const std::vector<float>& weight = network.tensors[network.tensors.size() - 2];
  const std::vector<float>& bias = network.tensors.back();
  const int columns = spec.directions * spec.hidden_size;
  Vector logits(bias.begin(), bias.end());
  const Vector in = operands(Vector(y, y + columns), round);
  double total = 0;
  for (int o = 0; o < spec.outputs; ++o) {
    const Vector read = operands(&weight[o * columns], columns, round);
    for (int k = 0; k < columns; ++k) logits[o] += read[k] * in[k];
    total += std::exp(logits[o]);
  }
  for (int o = 0; o < spec.outputs; ++o) {
    out.logits[place * spec.outputs + o] = logits[o];
    out.log_probs[place * spec.outputs + o] = logits[o] - std::log(total);
  }
  out.target_log_probs[place] = logits[call.targets[place]] - std::log(total);
}

// One row of the batch through all layers; returns the last layer's [T][D*H].
inline std::vector<Vector> run_row(const Network& network, const Call& call, int row,
                                   const Reading& reading, Truth& out) {
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
      const Chances chances = {reading, call, slot, row};
      Vector last;
      Layer cell(network, static_cast<int>(sequence[0].size()), chances);
      for (int s = 0; s < length; ++s) {
        const int t = direction == 0 ? s : length - 1 - s;
        cell.step(sequence[t], t, h, c);
        last = h;
        for (int k = 0; k < H; ++k) {
          const double rate = layer < spec.layers - 1 ? reading.rates.dropout : 0;
          results[t][direction * H + k] = h[k] * chances.factor(kDropoutMask, rate, t, k);
        }
        if (reading.teacher != nullptr) {
          const float* taught =
              &(*reading.teacher)[(call.place(t, row) * spec.directions + direction) * H];
          h.assign(taught, taught + H);
        }
      }
      std::copy(last.begin(), last.end(), out.hn.begin() + at);
      if (!out.cn.empty()) std::copy(c.begin(), c.end(), out.cn.begin() + at);
    }
    sequence = results;
  }
  return sequence;
}

inline Truth truth(const Network& network, const Call& call, const Reading& reading = {}) {
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
    const std::vector<Vector> results = run_row(network, call, row, reading, out);
    for (int t = 0; t < call.length(row); ++t) {
      const int64_t place = call.place(t, row);
      std::copy(results[t].begin(), results[t].end(), out.y.begin() + place * size);
      if (spec.outputs == 0) continue;
      Vector hidden = results[t];
      if (reading.teacher != nullptr) {
        hidden.assign(&(*reading.teacher)[place * size], &(*reading.teacher)[place * size] + size);
      }
      head(network, call, place, hidden.data(), reading.round, out);
    }
  }
  return out;
}

// The largest difference, in parts of 1 + |expected|; a NaN is as large as can be.
inline double worst_error(const std::vector<float>& actual, const Vector& expected) {
  if (actual.size() != expected.size()) return HUGE_VAL;
  double worst = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]) / (1 + std::abs(expected[i]));
    worst = error <= worst ? worst : std::isnan(error) ? HUGE_VAL : error;
  }
  return worst;
}

}  // namespace gatefuse::test
