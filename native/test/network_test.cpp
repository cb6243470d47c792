// SPDX-License-Identifier: Apache-2.0
//
// gf_forward of all cells on the CPU, in many shapes, against a plain reading of the specification.
#include <algorithm>
#include <string>

#include "cpu/team.hpp"
#include "truth.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

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
      for (int i = 0; i < (kSanitized ? 6 : 100); ++i) shapes.push_back(random_shape(cell, random));
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
