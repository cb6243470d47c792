// SPDX-License-Identifier: Apache-2.0
//
// gf_forward of all cells on the CUDA backend, by tier and precision, in many shapes, against a
// plain reading of the specification that rounds where the backend does. The backend is the
// emulated one, or the library that GATEFUSE_CUDA_LIBRARY (environment) names. Arguments, if any:
// the tier and the precision to test.
#include <algorithm>
#include <string>

#include "truth.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

// ---- Roundings, by bits and not by the kernels' own functions -----------------------------------

// To so many bits of fraction: ties to even, or away from zero.
float round_fraction(float x, int bits, bool ties_to_even) {
  if (!std::isfinite(x) || x == 0) return x;
  int exponent = 0;
  const double fraction = std::frexp(double{x}, &exponent);  // 0.5 <= |fraction| < 1
  const double scaled = std::ldexp(fraction, bits + 1);
  const double rounded = ties_to_even ? std::nearbyint(scaled) : std::round(scaled);
  return static_cast<float>(std::ldexp(rounded, exponent - bits - 1));
}
float to_tf32(float x) { return round_fraction(x, 10, false); }
float to_float16(float x) {
  constexpr float kLeastNormal = 0x1p-14f;
  if (std::abs(x) < kLeastNormal) {
    return static_cast<float>(std::nearbyint(double{x} * 0x1p24) * 0x1p-24);
  }
  return round_fraction(x, 10, true);
}

struct Precision {
  int id;
  const char* name;
  Rounding round;
  double unit;  // the step from one operand to the next, in parts of it
};
constexpr Precision kPrecisions[] = {{GF_FLOAT32, "float32", unrounded, 0},
                                     {GF_TF32, "tf32", rounded<to_tf32>, 0x1p-10},
                                     {GF_BFLOAT16, "bfloat16", rounded<to_bfloat16>, 0x1p-7},
                                     {GF_FLOAT16, "float16", rounded<to_float16>, 0x1p-10}};

// ---- Tiers --------------------------------------------------------------------------------------

struct Tier {
  int id;
  const char* name;
};
constexpr Tier kTiers[] = {{GF_TIER_ALTERNATING, "alternating"},
                           {GF_TIER_SLICE, "slice"},
                           {GF_TIER_CLUSTER, "cluster"},
                           {GF_TIER_GRID, "grid"}};

bool has_cell(const Tier& tier, int cell) {
  if (tier.id == GF_TIER_ALTERNATING) return true;
  return cell < GF_GRU_RESET_BEFORE && (tier.id != GF_TIER_GRID || !has_scans(cell));
}

// ---- Shapes -------------------------------------------------------------------------------------

struct Shape {
  gf_spec spec;
  int steps, batch;
  bool ragged, state, batch_major;
};

std::string describe(const Shape& shape, const Precision& precision, const Tier& tier) {
  const gf_spec& s = shape.spec;
  char text[256];
  std::snprintf(text, sizeof text,
                "%s %s %s I=%d H=%d L=%d D=%d chunk=%d V=%d O=%d T=%d B=%d%s%s%s", tier.name,
                precision.name, kCellNames[s.cell], s.input_size, s.hidden_size, s.layers,
                s.directions, s.chunk, s.vocabulary, s.outputs, shape.steps, shape.batch,
                shape.ragged ? " ragged" : "", shape.state ? " state" : "",
                shape.batch_major ? " batch-major" : "");
  return text;
}

// Float32 sums of some hundred terms. What the teacher does not know, reset * h, may be rounded the
// other way: a unit of it, times a weight.
double tolerance(const Shape& shape, const Precision& precision) {
  constexpr double kSums = 5e-6;
  if (shape.spec.cell < GF_GRU_RESET_BEFORE) return kSums;
  return kSums + precision.unit / std::sqrt(shape.spec.hidden_size);
}

gf_model_options options_of(const Precision& precision) {
  return {sizeof(gf_model_options), GF_BACKEND_CUDA, 0, precision.id, 0};
}

// A device that has not all precisions or tiers says so; then there is nothing to test.
bool has_precision(const Precision& precision) {
  const gf_spec spec = make_spec(GF_LSTM, 1, 1);
  const gf_model_options options = options_of(precision);
  gf_model* model = nullptr;
  const gf_status status = gf_model_create(&spec, &options, &model);
  gf_model_destroy(model);
  if (status == GF_OK) return true;
  CHECK_EQ(status, GF_BACKEND_UNAVAILABLE);
  CHECK(std::string(gf_last_error()).find("8.0 or later is needed for ") != std::string::npos);
  return false;
}

bool fits(const Shape& shape, const Precision& precision, const Tier& tier) {
  const Network network(shape.spec, 1, options_of(precision));
  const gf_session_options options = session_options(1, 1, 1, tier.id);
  gf_session* session = nullptr;
  const gf_status status = gf_session_create(network.model, &options, &session);
  gf_session_destroy(session);
  if (status != GF_OK) {
    CHECK_EQ(status, GF_INVALID_ARGUMENT);
    const std::string reason = gf_last_error();
    CHECK(reason.find("do not fit") != std::string::npos ||
          reason.find("9.0 or later is needed") != std::string::npos);
  }
  return status == GF_OK;
}

double run_shape(const Shape& shape, const Precision& precision, const Tier& tier, uint64_t seed) {
  const Network network(shape.spec, seed, options_of(precision));
  Call call =
      random_call(shape.spec, shape.steps, shape.batch, shape.ragged, shape.state, seed + 1);
  call.layout = shape.batch_major ? GF_BATCH_MAJOR : GF_TIME_MAJOR;
  const Runner runner(network, shape.steps + static_cast<int>(seed % 3),
                      shape.batch + static_cast<int>(seed % 5), 1, tier.id);
  const Result actual = forward(runner, call);
  const Reading reading = {precision.round, precision.id == GF_FLOAT32 ? nullptr : &actual.y};
  const Truth expected = truth(network, call, reading);
  return std::max({worst_error(actual.y, expected.y), worst_error(actual.hn, expected.hn),
                   worst_error(actual.cn, expected.cn), worst_error(actual.logits, expected.logits),
                   worst_error(actual.log_probs, expected.log_probs),
                   worst_error(actual.target_log_probs, expected.target_log_probs)});
}

template <size_t N>
int pick(const int (&values)[N], Random& random) {
  return values[random.below(N)];
}

// Several layers only in float32: for the others the teacher knows the last one's states alone.
Shape random_shape(int cell, const Precision& precision, Random& random) {
  const int layers = precision.id == GF_FLOAT32 ? pick({1, 1, 2}, random) : 1;
  Shape shape = {
      make_spec(cell, pick({1, 3, 8, 33}, random),
                pick({1, 2, 5, 8, 9, 16, 17, 33, 40, 65}, random), layers, pick({1, 1, 2}, random)),
      pick({1, 2, 5, 9}, random),
      pick({1, 2, 3, 8, 9, 17}, random),
      random.below(2) == 1,
      random.below(2) == 1,
      random.below(3) == 0};
  gf_spec& spec = shape.spec;
  const int chunk = pick({1, 2, 3, 8, 16, 33}, random);
  if (has_scans(cell) && spec.hidden_size % chunk == 0) spec.chunk = chunk;
  spec.vocabulary = pick({0, 0, 1, 11}, random);
  spec.outputs = pick({0, 0, 1, 5, 37}, random);
  return shape;
}

// Several chunks of k, tasks shared by warps, weights in shared memory, more rows than one launch's
// slices or one part of the order.
std::vector<Shape> chosen_shapes(int cell, const Tier& tier) {
  std::vector<Shape> shapes = {{make_spec(cell, 9, 33), 3, 17, true, true, true}};
  if (kSanitized) return shapes;
  shapes.push_back({make_spec(cell, 5,
                              tier.id != GF_TIER_SLICE ? 300
                              : has_scans(cell)        ? 60
                                                       : 128),
                    3, 9, true, true, false});
  const bool wide = tier.id == GF_TIER_CLUSTER || tier.id == GF_TIER_GRID;
  if (wide && (cell == GF_LSTM_REFINE || cell == GF_LSTM_CUMAX)) {
    shapes.push_back({make_spec(cell, 3, 520), 2, 3, false, true, false});
    shapes.push_back({make_spec(cell, 3, 768), 2, 3, true, true, false});
  }
  return shapes;
}

// The plain build and AddressSanitizer's have every precision with every cell; ThreadSanitizer's
// has one for each cell, and thereby each one in each tier.
bool is_tested(const Tier& tier, int cell, int shape, const Precision& precision) {
  return !kThreadSanitizer || in_turn(tier.id + cell + shape + precision.id, 4);
}

// asked_for: by name, and then in full.
void run_tier(const Tier& tier, const Precision& precision, bool asked_for) {
  double worst = 0;
  std::string where;
  int count = 0;
  for (int cell = 0; cell < kCells; ++cell) {
    if (!has_cell(tier, cell)) continue;
    Random random(1000 * tier.id + 100 * precision.id + cell);
    std::vector<Shape> shapes = chosen_shapes(cell, tier);
    for (int i = 0; i < (kThreadSanitizer ? 0 : kSanitized ? 1 : 4); ++i) {
      shapes.push_back(random_shape(cell, precision, random));
    }
    for (int i = 0; i < static_cast<int>(shapes.size()); ++i) {
      const Shape& shape = shapes[i];
      const uint64_t seed = random.next() >> 8;
      if (!asked_for && !is_tested(tier, cell, i, precision)) continue;
      if (!fits(shape, precision, tier)) continue;
      const double error = run_shape(shape, precision, tier, seed);
      report(error <= tolerance(shape, precision), __FILE__, __LINE__,
             describe(shape, precision, tier) + ": off by " + std::to_string(error * 1e6) + "e-6");
      if (error > worst) where = describe(shape, precision, tier);
      worst = std::max(worst, error);
      ++count;
    }
  }
  std::printf("%s %s: %d networks, worst error %.2e (%s)\n", tier.name, precision.name, count,
              worst, where.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const char* library = std::getenv("GATEFUSE_CUDA_LIBRARY");
  if (gf_backend_load(library == nullptr ? CUDA_LIBRARY : library) != GF_OK) {
    std::printf("%s\n", gf_last_error());
    return 1;
  }
  const std::string only = argc > 1 ? argv[1] : "";
  const std::string only_precision = argc > 2 ? argv[2] : "";
  for (const Tier& tier : kTiers) {
    if (!only.empty() && only != tier.name) continue;
    for (const Precision& precision : kPrecisions) {
      if (!only_precision.empty() && only_precision != precision.name) continue;
      if (has_precision(precision)) run_tier(tier, precision, !only_precision.empty());
    }
  }
  return result();
}
