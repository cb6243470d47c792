// SPDX-License-Identifier: Apache-2.0
//
// The shorter precisions of the CPU: all cells and instruction sets against a plain reading of the
// specification with rounded operands; what a product makes of single rows, with and without the
// processor's own instructions; what is refused.
#include <algorithm>
#include <cmath>
#include <string>

#include "cpu/model.hpp"
#include "cpu/team.hpp"
#include "truth.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

struct Precision {
  int32_t id;
  const char* name;
  Rounding round;
  double unit;  // how far neighbouring operands are apart, at most, where they are about 1
};

constexpr Precision kPrecisions[] = {{GF_BFLOAT16, "bfloat16", rounded<to_bfloat16>, 0x1p-7},
                                     {GF_INT8, "int8", to_int8, 1.0 / 127}};

gf_model_options options_of(int32_t set, int32_t precision) {
  return {sizeof(gf_model_options), GF_BACKEND_CPU, set, precision, 0};
}

// ---- Networks -----------------------------------------------------------------------------------

struct Shape {
  gf_spec spec;
  int steps, batch, threads;
  bool ragged;
};

// What the reset state is rounded to inside a step is followed by nobody, and may be its neighbour.
double tolerance(const Shape& shape, const Precision& precision) {
  constexpr double kSums = 1e-5;
  if (shape.spec.cell < GF_GRU_RESET_BEFORE) return kSums;
  return kSums + 2 * precision.unit / std::sqrt(shape.spec.hidden_size);
}

// One layer, so that the reading can follow the hidden states that were found.
void run_shape(const Shape& shape, int32_t set, const Precision& precision, uint64_t seed) {
  const Network network(shape.spec, seed, options_of(set, precision.id));
  const Call call = random_call(shape.spec, shape.steps, shape.batch, shape.ragged, true, seed + 1);
  const Runner runner(network, shape.steps, shape.batch, shape.threads);
  const Result actual = forward(runner, call);
  const Truth expected = truth(network, call, {precision.round, &actual.y});
  const double error =
      std::max({worst_error(actual.y, expected.y), worst_error(actual.hn, expected.hn),
                worst_error(actual.cn, expected.cn), worst_error(actual.logits, expected.logits),
                worst_error(actual.log_probs, expected.log_probs)});
  report(error <= tolerance(shape, precision), __FILE__, __LINE__,
         std::string(kCellNames[shape.spec.cell]) + " " + set_name(set) + " " + precision.name +
             ", B=" + std::to_string(shape.batch) + ": off by " + std::to_string(error));
}

void run_networks(int32_t set, const Precision& precision) {
  for (int cell = 0; cell < kCells; ++cell) {
    uint64_t seed = 10 * cell + 1;
    for (const int batch : {1, 2, 7, 33}) {
      // Odd widths: words that are not full, and lanes past the end.
      gf_spec spec = make_spec(cell, batch == 1 ? 5 : 18, batch == 7 ? 70 : 37);
      spec.outputs = 9;
      spec.vocabulary = batch == 2 ? 11 : 0;
      spec.directions = batch == 33 ? 2 : 1;
      run_shape({spec, kSanitized ? 2 : 5, batch, batch % 2 + 1, batch > 2}, set, precision,
                seed += 2);
    }
  }
}

// Other paths give other bits, but the same path always gives the same.
void check_bits(int32_t set, const Precision& precision) {
  const gf_spec spec = make_spec(GF_LSTM_REFINE, 33, 66, 2);
  const Network network(spec, 3, options_of(set, precision.id));
  const Call call = random_call(spec, 6, 13, true, true, 4);
  const Runner one(network, 6, 13, 1), two(network, 6, 13, 2);
  const Result expected = forward(one, call);
  CHECK(same_bits(forward(two, call), expected));
  CHECK(same_bits(forward(one, call), expected));
  Call first = random_call(spec, 6, 1, false, true, 4);  // a row alone
  const int length = call.length(0);
  first.steps = length;
  first.x.resize(static_cast<size_t>(length) * spec.input_size);
  for (int t = 0; t < length; ++t) {
    std::copy_n(&call.x[call.place(t, 0) * spec.input_size], spec.input_size,
                &first.x[static_cast<size_t>(t) * spec.input_size]);
  }
  for (int layer = 0; layer < 2; ++layer) {
    std::copy_n(&call.h0[layer * 13 * 66], 66, &first.h0[layer * 66]);
    std::copy_n(&call.c0[layer * 13 * 66], 66, &first.c0[layer * 66]);
  }
  const Result alone = forward(one, first);
  for (int layer = 0; layer < 2; ++layer) {
    CHECK(std::equal(&alone.hn[layer * 66], &alone.hn[layer * 66] + 66,
                     &expected.hn[layer * 13 * 66]));
  }
}

// ---- Products -----------------------------------------------------------------------------------

// A matrix [outputs, k] in one pack, filled as a model fills it, and rows times it.
class Product {
 public:
  Product(const cpu::Kernels& kernels, int32_t precision, int k, int outputs,
          cpu::Multiplier multiplier, int gap = 0)
      : kernels_(kernels) {
    const int width = kernels.head_width;
    const int64_t lanes = kernels.lanes;
    const int64_t group = width * lanes;
    pack_.k = k;
    pack_.width = width;
    pack_.gap = gap;
    pack_.groups = (outputs + group - 1) / group;
    pack_.precision = precision;
    pack_.multiplier = multiplier;
    const int64_t places = pack_.row() * lanes;
    // Not a number where nothing is set: what is left free must not count.
    words_.resize(pack_.groups * pack_.group_size(lanes), gap == 0 ? 0 : 0x7fc07fc0);
    bias_.resize(places);
    scale_.resize(places);
    offset_.resize(places);
    if (precision == GF_FLOAT32) {
      pack_.weight = reinterpret_cast<float*>(words_.data());
    } else {
      pack_.words = words_.data();
    }
    pack_.bias = bias_.data();
    pack_.scale = scale_.data();
    pack_.offset = offset_.data();
  }

  void set(int output, const std::vector<float>& weights, float bias) {
    const int64_t group = pack_.width * kernels_.lanes;
    cpu::set_row(pack_, kernels_.lanes, output / group, output % group, weights.data());
    bias_[output] = bias;
  }

  std::vector<float> times(const std::vector<std::vector<float>>& rows) const {
    const int64_t places = pack_.row() * kernels_.lanes;
    std::vector<float> out(rows.size() * places);
    std::vector<const float*> in;
    std::vector<float*> to;
    for (size_t r = 0; r < rows.size(); ++r) {
      in.push_back(rows[r].data());
      to.push_back(&out[r * places]);
    }
    std::vector<uint32_t> words(cpu::kProjectedRows * cpu::words_of_row(pack_.k));
    kernels_.project(pack_, static_cast<int>(rows.size()), in.data(), nullptr, to.data(),
                     words.data(), 0, pack_.groups);
    return out;
  }

  int64_t row() const { return pack_.row() * kernels_.lanes; }

 private:
  const cpu::Kernels& kernels_;
  cpu::Pack pack_;
  std::vector<uint32_t> words_;
  std::vector<float> bias_, scale_;
  std::vector<int32_t> offset_;
};

// The sums of int8 are exact: with and without the processor's instructions the bits are the same.
void check_product(const cpu::Kernels& kernels, const Precision& precision, int k, int rows,
                   cpu::Multiplier multiplier) {
  const int outputs = 3 * kernels.lanes + 1;
  Product plain(kernels, precision.id, k, outputs, cpu::Multiplier::kLanes);
  Product own(kernels, precision.id, k, outputs, multiplier);
  Random random(k * 100 + rows);
  std::vector<Vector> weights;
  std::vector<float> biases;
  for (int o = 0; o < outputs; ++o) {
    const std::vector<float> row = random.values(k, o % 3 == 0 ? 100.0f : 0.1f);
    biases.push_back(random.uniform(1));
    plain.set(o, row, biases.back());
    own.set(o, row, biases.back());
    weights.push_back(operands(row.data(), k, precision.round));
  }
  std::vector<std::vector<float>> in;
  for (int r = 0; r < rows; ++r) in.push_back(random.values(k, r % 2 == 0 ? 1.0f : 1e-3f));
  const std::vector<float> by_plain = plain.times(in);
  const std::vector<float> by_own = own.times(in);
  if (precision.id == GF_INT8) CHECK(same_bits(by_plain, by_own));
  for (int r = 0; r < rows; ++r) {
    const Vector x = operands(in[r].data(), k, precision.round);
    for (int o = 0; o < outputs; ++o) {
      double sum = biases[o], magnitude = std::fabs(biases[o]);
      for (int i = 0; i < k; ++i) {
        sum += weights[o][i] * x[i];
        magnitude += std::fabs(weights[o][i] * x[i]);
      }
      CHECK_CLOSE(by_plain[r * own.row() + o], sum, 2e-6 * magnitude);
      CHECK_CLOSE(by_own[r * own.row() + o], sum, 2e-6 * magnitude);
    }
  }
}

void check_products(const cpu::Kernels& kernels, const Precision& precision) {
  for (const cpu::Multiplier multiplier : cpu::multipliers(kernels, precision.id)) {
    for (const int k : {1, 2, 3, 4, 5, 31, 32, 64, 257}) {
      for (const int rows : {1, 2, 5, 6, 13, 16, 17, 64}) {
        check_product(kernels, precision, k, rows, multiplier);
      }
    }
  }
}

// Free places between the weights change nothing.
void check_gaps(const cpu::Kernels& kernels, int32_t precision) {
  if (!cpu::may_have_gap(kernels.head_width, kernels.lanes)) return;
  constexpr int k = 77;
  for (const cpu::Multiplier multiplier : cpu::multipliers(kernels, precision)) {
    const int outputs = 6 * kernels.head_width * kernels.lanes;  // whole groups
    Product dense(kernels, precision, k, outputs, multiplier);
    Product spaced(kernels, precision, k, outputs, multiplier, cpu::kGap);
    Random random(precision);
    for (int o = 0; o < outputs; ++o) {
      const std::vector<float> row = random.values(k, 0.1f);
      dense.set(o, row, 0.5f);
      spaced.set(o, row, 0.5f);
    }
    for (const int rows : {1, 2, 6, 13, 64}) {
      std::vector<std::vector<float>> in;
      for (int r = 0; r < rows; ++r) in.push_back(random.values(k, 1.0f));
      CHECK(same_bits(dense.times(in), spaced.times(in)));
    }
  }
}

// The extremes of eight bits, whose sums would not fit into sixteen; and what is not a number.
void check_extremes(const cpu::Kernels& kernels) {
  constexpr int k = 1000;
  for (const cpu::Multiplier multiplier : cpu::multipliers(kernels, GF_INT8)) {
    Product product(kernels, GF_INT8, k, 2, multiplier);
    product.set(0, std::vector<float>(k, 127.0f), 0);
    product.set(1, std::vector<float>(k, -127.0f), 0);
    std::vector<float> tiny(k, 0x1p-101f), broken(k, 1.0f), zeros(k);
    broken[k - 1] = std::numeric_limits<float>::infinity();
    const std::vector<float> out =
        product.times({std::vector<float>(k, -127.0f), tiny, broken, zeros});
    CHECK_EQ(out[0], -127.0f * 127 * k);
    CHECK_EQ(out[1], 127.0f * 127 * k);
    CHECK_EQ(out[product.row()], 0.0f);
    CHECK(std::isnan(out[2 * product.row()]));
    CHECK_EQ(out[3 * product.row()], 0.0f);
    broken[k - 1] = std::nanf("");
    CHECK(std::isnan(product.times({broken})[0]));
    product.set(0, broken, 0);
    CHECK(std::isnan(product.times({zeros})[0]));
  }
}

// ---- Refusals -----------------------------------------------------------------------------------

void check_refusals(const Precision& precision) {
  const gf_spec wide = make_spec(GF_GRU, 131073, 1);
  const gf_model_options narrow = options_of(GF_ISA_AUTO, precision.id);
  gf_model* model = nullptr;
  CHECK_EQ(gf_model_create(&wide, &narrow, &model),
           precision.id == GF_INT8 ? GF_INVALID_ARGUMENT : GF_OK);
  gf_model_destroy(model);
  const Network network(make_spec(GF_GRU, 3, 4), 1, narrow);
  gf_session_options options = session_options(2, 2);
  options.backward = GF_BACKWARD_STORE;
  gf_session* session = nullptr;
  CHECK_EQ(gf_session_create(network.model, &options, &session), GF_INVALID_ARGUMENT);
  CHECK(std::string(gf_last_error())
            .find(std::string("expected GF_BACKWARD_NONE in ") + precision.name) !=
        std::string::npos);
  const Runner runner(network, 2, 2);
  char path[512];
  CHECK_EQ(gf_session_path(runner.session, path, sizeof path), GF_OK);
  CHECK(std::string(path).find(std::string("precision=") + precision.name) != std::string::npos);
}

}  // namespace

int main() {
  cpu::team::set_limit_for_tests(2);
  for (const Precision& precision : kPrecisions) {
    for (const int32_t set : instruction_sets()) {
      run_networks(set, precision);
      check_bits(set, precision);
      check_products(cpu::find_kernels(set), precision);
    }
    check_refusals(precision);
  }
  for (const int32_t set : instruction_sets()) {
    const cpu::Kernels& kernels = cpu::find_kernels(set);
    for (const int32_t precision : {GF_FLOAT32, GF_BFLOAT16, GF_INT8}) {
      check_gaps(kernels, precision);
    }
    check_extremes(kernels);
  }
  return result();
}
