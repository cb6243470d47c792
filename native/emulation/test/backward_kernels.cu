// SPDX-License-Identifier: Apache-2.0
//
// backward_kernels [slice|cluster|grid] [PRECISION]: the persistent kernels of the way back against
// a loop over units, which rounds where they round and sums in double; in every mode of the
// scheduler, or in that of the environment. Under a sanitizer little of it.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "check.hpp"
#include "cuda/launch.hpp"
#include "cuda/lane.cuh"
#include "cuda/tiers.hpp"
#include "device.hpp"
#include "emulation.hpp"
#include "support.hpp"

namespace gatefuse::cuda {
namespace {

using test::DeviceArray;

constexpr float kUntouched = 1234.5f;
constexpr Exchange kTiers[] = {Exchange::kBlock, Exchange::kCluster, Exchange::kGrid};
constexpr int kPrecisions[] = {GF_FLOAT32, GF_TF32, GF_BFLOAT16, GF_FLOAT16};
constexpr int kCells[] = {GF_LSTM, GF_LSTM_TIED, GF_LSTM_REFINE, GF_GRU, GF_GRU_REFINE};

const char* exchange_name(Exchange exchange) {
  return exchange == Exchange::kBlock     ? "slice"
         : exchange == Exchange::kCluster ? "cluster"
                                          : "grid";
}
std::string precision_name(int precision) {
  std::string name;
  with_precision(precision, [&](auto p) { name = decltype(p)::kName; });
  return name;
}

// ---- A problem ----------------------------------------------------------------------------------

// One layer in one direction over a batch. Lengths are by place: longest first.
struct Problem {
  int cell = GF_LSTM;
  int precision = GF_FLOAT32;
  Exchange exchange = Exchange::kBlock;
  int hidden = 5;
  int steps = 3;
  std::vector<int32_t> lengths = {3};
  int blocks = 1;
  int chunks = 1;   // of k
  int cut = 0;      // a second chunk of time begins here; 0: none
  int at_once = 2;  // slices of a launch in tier G
  bool reverse = false, batch_major = false, dy = true;
  int wrong_unit = -1;  // whose weights are NaN
  uint64_t patience = 1'000'000'000;

  int batch() const { return static_cast<int>(lengths.size()); }
  std::string text() const {
    return "cell " + std::to_string(cell) + " " + precision_name(precision) + " " +
           exchange_name(exchange) + " H " + std::to_string(hidden) + " B " +
           std::to_string(batch()) + " blocks " + std::to_string(blocks) + " chunks " +
           std::to_string(chunks) + " cut " + std::to_string(cut) + ": ";
  }
};

using Values = std::vector<float>;

struct Data {
  int plain = 0, stride = 0;  // of the matrix
  std::vector<int32_t> order;
  Values weights;  // [H, plain H], as the kernel has them
  Values kept, candidate, h, c, dy, dh, dc;
};

// What a step backwards leaves, and what was there before.
struct Gradients {
  Values da, da_recurrent, dh, dc;
  bool in_vain = false;  // whether somebody has waited so
};

float as_operand(int precision, float value) {
  float result = value;
  if (precision == GF_TF32) result = __uint_as_float(Tf32::of(value));
  if (precision == GF_BFLOAT16) result = ptx::from_bf16(Bfloat16::of(value));
  if (precision == GF_FLOAT16) result = ptx::from_f16(Float16::of(value));
  return result;
}

Data random_data(const Problem& p) {
  std::mt19937 random(7 + static_cast<unsigned>(p.hidden));
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  const auto fill = [&](size_t count, float scale) {
    Values values(count);
    for (float& value : values) value = scale * uniform(random);
    return values;
  };
  Data data;
  data.plain = cell_info(p.cell).plain_blocks();
  const size_t states = static_cast<size_t>(p.batch()) * p.hidden;
  const float scale = 1.0f / std::sqrt(static_cast<float>(p.hidden));
  data.weights = fill(static_cast<size_t>(p.hidden) * p.hidden * data.plain, scale);
  for (float& weight : data.weights) weight = as_operand(p.precision, weight);
  if (p.wrong_unit >= 0) {
    std::fill_n(&data.weights[static_cast<size_t>(p.wrong_unit) * p.hidden * data.plain],
                p.hidden * data.plain, NAN);
  }
  data.kept = fill(p.steps * states * data.plain, 1.0f);
  data.candidate = fill(p.steps * states, 1.0f);
  data.h = fill(p.steps * states, 1.0f);
  data.c = fill((p.steps + 1) * states, 1.0f);
  data.dy = fill(p.steps * states, 1.0f);
  data.dh = fill(states, 1.0f);
  data.dc = fill(states, 1.0f);
  // Another order than the caller's.
  for (int row = 0; row < p.batch(); ++row) data.order.push_back((row + 1) % p.batch());
  return data;
}

Gradients untouched(const Data& data) {
  Gradients gradients;
  gradients.da.assign(data.kept.size(), kUntouched);
  gradients.da_recurrent = gradients.da;
  gradients.dh = data.dh;
  gradients.dc = data.dc;
  return gradients;
}

int64_t place_of(const Problem& p, const Data& data, int s, int row) {
  const int t = p.reverse ? p.lengths[row] - 1 - s : s;
  return p.batch_major ? int64_t{data.order[row]} * p.steps + t
                       : int64_t{t} * p.batch() + data.order[row];
}

// ---- The loop -----------------------------------------------------------------------------------

template <class Cell>
struct Loop {
  static constexpr int kPlain = count_blocks<Cell>(false);

  const Problem& p;
  const Data& data;
  Gradients& out;

  // The cell's mathematics of a unit; gives the gradient by h past the products.
  float unit(int s, int row, int u, float by_h) {
    const int64_t tape = int64_t{s} * p.batch() + row;
    const int64_t at = tape * p.hidden + u;
    Lane x[kPlain], h[kPlain], by_a[kPlain];
    for (int b = 0; b < kPlain; ++b) {
      x[b] = {data.kept[at * kPlain + b]};
      h[b] = {0.0f};
    }
    if (Cell::kCandidateApart) h[Cell::kCandidate] = {data.candidate[at]};
    const int64_t next = at + int64_t{p.batch()} * p.hidden;
    const StepStates<Lane> states = {{data.h[at]}, {data.c[at]}, {data.c[next]}};
    const Gate<Lane> none[1] = {};
    Lane dc = {out.dc[row * p.hidden + u]};
    StepGradients<Lane> d = {by_a, {0.0f}, nullptr, {0.0f}};
    Cell::backward(PreActivations<Lane>{x, h}, none, states, Lane{by_h}, dc, d);
    if (Cell::kCellState) out.dc[row * p.hidden + u] = dc.v;
    for (int b = 0; b < kPlain; ++b) {
      const bool apart = Cell::kCandidateApart && b == Cell::kCandidate;
      out.da[at * kPlain + b] = by_a[b].v;
      out.da_recurrent[at * kPlain + b] = apart ? d.candidate.v : by_a[b].v;
    }
    return d.h.v;
  }

  void step(int s, int row) {
    float* dh = &out.dh[row * p.hidden];
    const int64_t tape = int64_t{s} * p.batch() + row;
    for (int u = 0; u < p.hidden; ++u) {
      const float dy = data.dy[place_of(p, data, s, row) * p.hidden + u];
      dh[u] = unit(s, row, u, dh[u] + (p.dy ? dy : 0.0f));
    }
    for (int u = 0; u < p.hidden; ++u) {
      double sum = 0;
      for (int k = 0; k < p.hidden * kPlain; ++k) {
        const float operand =
            as_operand(p.precision, out.da_recurrent[tape * p.hidden * kPlain + k]);
        sum += double{data.weights[u * p.hidden * kPlain + k]} * operand;
      }
      dh[u] = static_cast<float>(sum + dh[u]);
    }
  }

  void run() {
    for (int row = 0; row < p.batch(); ++row) {
      for (int s = p.lengths[row] - 1; s >= 0; --s) step(s, row);
    }
    if (!Cell::kCandidateApart)
      std::fill(out.da_recurrent.begin(), out.da_recurrent.end(), kUntouched);
  }
};

Gradients expected(const Problem& p, const Data& data) {
  Gradients out = untouched(data);
  int number = 0;
#define GF_LOOP(Cell) \
  if (number++ == p.cell) Loop<Cell>{p, data, out}.run();
  GF_LOOP(Lstm)
  GF_LOOP(LstmTied)
  GF_LOOP(LstmRefine)
  number = GF_GRU;
  GF_LOOP(Gru)
  GF_LOOP(GruRefine)
#undef GF_LOOP
  return out;
}

// ---- The kernel ---------------------------------------------------------------------------------

Spec spec_of(int cell, int hidden) {
  gf_spec spec = {};
  spec.struct_size = sizeof spec;
  spec.cell = cell;
  spec.input_size = spec.hidden_size = hidden;
  spec.layers = spec.directions = spec.chunk = 1;
  return Spec(&spec);
}

// The matrix as it is packed: rows padded to whole tiles of products, with zeros.
template <class P>
std::vector<typename P::Storage> packed(const Problem& p, const Data& data, Matrix& matrix) {
  matrix.outputs = p.hidden;
  matrix.k = p.hidden * data.plain;
  matrix.stride = (matrix.k + kTileK - 1) / kTileK * kTileK;
  const int rows = (p.hidden + kTileOutputs - 1) / kTileOutputs * kTileOutputs;
  std::vector<typename P::Storage> result(static_cast<size_t>(rows) * matrix.stride, P::of(0.0f));
  for (int u = 0; u < p.hidden; ++u) {
    for (int k = 0; k < matrix.k; ++k) {
      result[static_cast<size_t>(u) * matrix.stride + k] = P::of(data.weights[u * matrix.k + k]);
    }
  }
  return result;
}

PersistentBackwardKernel kernel_of(const Problem& p) {
  return p.exchange == Exchange::kBlock     ? block_backward_kernel(p.cell, p.precision)
         : p.exchange == Exchange::kCluster ? cluster_backward_kernel(p.cell, p.precision)
                                            : grid_backward_kernel(p.cell, p.precision);
}

// What the kernel leaves, chunk of time after chunk.
template <class P>
Gradients launched(const Problem& p, const Data& data) {
  Gradients out = untouched(data);
  Matrix matrix;
  const DeviceArray<typename P::Storage> weights(packed<P>(p, data, matrix));
  matrix.weight = weights.get();
  const DeviceArray<float> kept(data.kept), candidate(data.candidate), h(data.h), c(data.c),
      dy(data.dy), dh(out.dh), dc(out.dc), da(out.da), da_recurrent(out.da_recurrent);
  std::vector<int32_t> given(p.lengths.size());
  for (int row = 0; row < p.batch(); ++row) given[data.order[row]] = p.lengths[row];
  const DeviceArray<int32_t> order(data.order), lengths(p.lengths), by_caller(given);
  const DeviceArray<unsigned long long> timed_out(std::vector<unsigned long long>{~0ull});
  const CellInfo& cell = cell_info(p.cell);

  PersistentBackwardArguments a = {};
  a.pass.sequences = {p.steps,     p.batch(),     p.batch_major,
                      order.get(), lengths.get(), by_caller.get()};
  a.pass.reverse = p.reverse;
  a.shape =
      backward_shape_of(spec_of(p.cell, p.hidden), p.precision, p.exchange, p.blocks, p.chunks);
  a.recurrent = matrix;
  a.hidden = p.hidden;
  a.kept_stride = int64_t{p.hidden} * data.plain;
  a.dy = p.dy ? dy.get() : nullptr;
  a.dy_stride = p.hidden;
  a.dh = dh.get();
  a.dc = cell.cell_state ? dc.get() : nullptr;
  const size_t units = static_cast<size_t>(p.blocks) * a.shape.units();
  const DeviceArray<float> exchange(
      Values(static_cast<size_t>(p.at_once) * 2 * a.shape.parts * units * kSliceRows, kUntouched));
  a.exchange = exchange.get();
  a.timed_out = timed_out.get();
  a.patience = p.patience;
  const auto run = [&](int first, int steps) {
    a.pass.first = first;
    a.pass.steps = steps;
    a.rows = static_cast<int32_t>(std::count_if(p.lengths.begin(), p.lengths.end(),
                                                [&](int length) { return length > first; }));
    const int64_t states = int64_t{first} * p.batch() * p.hidden;
    a.kept = kept.get() + states * data.plain;
    a.candidate = cell.candidate_apart ? candidate.get() + states : nullptr;
    a.h = h.get() + states;
    a.c = cell.cell_state ? c.get() + states : nullptr;
    a.da = da.get() + states * data.plain;
    a.da_recurrent = cell.candidate_apart ? da_recurrent.get() + states * data.plain : nullptr;
    const PersistentBackwardKernel kernel = kernel_of(p);
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, a.shape.shared_bytes),
          "shared memory");
    const int32_t count = (a.rows + kSliceRows - 1) / kSliceRows;
    const DeviceArray<unsigned> arrived(std::vector<unsigned>(static_cast<size_t>(count)));
    a.arrived = arrived.get();
    if (p.exchange == Exchange::kCluster && p.blocks > 8) {
      check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                 cudaFuncAttributeNonPortableClusterSizeAllowed, 1),
            "cluster size");
    }
    const int32_t most = p.exchange == Exchange::kGrid ? p.at_once : count;
    for (a.first_slice = 0; a.first_slice < count; a.first_slice += most) {
      const PersistentLaunch launch(p.exchange, a.shape, std::min(most, count - a.first_slice),
                                    nullptr);
      test::good(cudaLaunchKernelEx(launch.config(), kernel, a), "launch");
    }
    test::good(cudaStreamSynchronize(nullptr), "kernel");
  };
  if (p.cut > 0) run(p.cut, p.steps - p.cut);
  run(0, p.cut > 0 ? p.cut : p.steps);
  return {da.values(), da_recurrent.values(), dh.values(), dc.values(),
          timed_out.values()[0] != ~0ull};
}

Gradients launched(const Problem& p, const Data& data) {
  Gradients out;
  with_precision(p.precision,
                 [&](auto precision) { out = launched<decltype(precision)>(p, data); });
  return out;
}

// ---- Checks -------------------------------------------------------------------------------------

// In parts of 1 + |expected|; where a NaN is expected there has to be one.
double worst(const Values& actual, const Values& expected) {
  double worst = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    if (std::isnan(actual[i]) && std::isnan(expected[i])) continue;
    const double error = std::abs(actual[i] - expected[i]) / (1 + std::abs(expected[i]));
    worst = error <= worst ? worst : std::isnan(error) ? HUGE_VAL : error;
  }
  return worst;
}

// Sums in another order; an operand that then rounds the other way is a unit off.
void check_close(const Problem& p, const Gradients& actual, const Gradients& expected) {
  CHECK(!actual.in_vain);
  constexpr double kUnits[] = {1e-6, 0x1p-11, 0x1p-8, 0x1p-11};
  const double most =
      std::max({worst(actual.da, expected.da), worst(actual.da_recurrent, expected.da_recurrent),
                worst(actual.dh, expected.dh), worst(actual.dc, expected.dc)});
  test::report(most <= 4 * kUnits[p.precision], __FILE__, __LINE__,
               p.text() + "off by " + std::to_string(most));
}

bool same_bits(const Values& a, const Values& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}
bool same_bits(const Gradients& a, const Gradients& b) {
  return same_bits(a.da, b.da) && same_bits(a.da_recurrent, b.da_recurrent) &&
         same_bits(a.dh, b.dh) && same_bits(a.dc, b.dc);
}

void check_problem(const Problem& p) {
  const Data data = random_data(p);
  const Gradients first = launched(p, data);
  check_close(p, first, expected(p, data));
  // Whatever the order in which the parts came.
  emulation::set_seed(emulation::seed() + 1);
  test::report(same_bits(first, launched(p, data)), __FILE__, __LINE__, p.text() + "other bits");
}

std::vector<int> cluster_sizes(const Problem& p) {
  if (p.exchange == Exchange::kBlock) return {1};
  return p.hidden > 64 ? std::vector<int>{2, 8, 16} : std::vector<int>{2, 3, 4};
}

// All cells and sizes, one slice and two, in one chunk of time and in two. ThreadSanitizer's build
// has one precision for each problem, where none is asked for.
void check_shapes(Exchange exchange, int precision, bool asked_for) {
  const std::vector<int> sizes_of_h =
      test::kSanitized ? std::vector<int>{5, 17, 40} : std::vector<int>{1, 5, 17, 40, 65};
  int number = 0;
  for (const int cell : kCells) {
    for (const int hidden : sizes_of_h) {
      Problem p;
      p.cell = cell;
      p.precision = precision;
      p.exchange = exchange;
      p.hidden = hidden;
      const std::vector<int> sizes = cluster_sizes(p);
      p.blocks = sizes[number % sizes.size()];
      p.chunks = 1 + number % 3;
      p.steps = 4;
      p.lengths = number % 2 == 0 ? std::vector<int32_t>{4, 4, 3, 3, 3, 2, 2, 1, 1}
                                  : std::vector<int32_t>{4, 2, 1};
      p.cut = number % 4;
      p.at_once = 1 + number / 2 % 2;
      p.reverse = number % 3 == 1;
      p.batch_major = number % 3 == 2;
      p.dy = number % 5 != 4;
      ++number;
      if (test::kThreadSanitizer && !asked_for && !test::in_turn(number + precision, 4)) continue;
      check_problem(p);
    }
  }
}

// So many units that warps have several tasks, with weights in shared memory.
void check_large(Exchange exchange, int precision) {
  Problem p;
  p.precision = precision;
  p.exchange = exchange;
  p.steps = 2;
  p.lengths = {2, 2, 1};
  for (const int cell : {GF_LSTM_REFINE, GF_GRU}) {
    p.cell = cell;
    const bool wide = precision == GF_FLOAT32 || precision == GF_TF32;
    p.hidden = exchange == Exchange::kBlock ? (wide ? 77 : 123) : (wide ? 180 : 330);
    p.blocks = exchange == Exchange::kBlock ? 1 : wide ? 4 : 6;
    for (const int chunks : {1, 3}) {
      p.chunks = chunks;
      const PersistentShape shape =
          backward_shape_of(spec_of(cell, p.hidden), precision, exchange, p.blocks, chunks);
      CHECK(shape.shared_steps > 0 || chunks > 1);
      check_problem(p);
    }
  }
}

// Weights of NaN reach those whose gradients they are in, and no row before it runs. The last block
// ends where the matrix does.
void check_wrong_weights(Exchange exchange, int precision, int cell, int hidden) {
  Problem p;
  p.cell = cell;
  p.precision = precision;
  p.exchange = exchange;
  p.hidden = hidden;
  p.blocks = exchange == Exchange::kBlock ? 1 : 2;
  p.steps = 2;
  p.lengths = {2, 1};
  p.wrong_unit = hidden - 1;
  const Data data = random_data(p);
  const Gradients actual = launched(p, data);
  check_close(p, actual, expected(p, data));
  for (int u = 0; u < hidden; ++u) {
    CHECK_EQ(std::isnan(actual.dh[hidden + u]), u == p.wrong_unit);
  }
}

// Blocks without patience wait in vain for one another now and then. That ends the launch, and says
// so.
void check_waits_in_vain(Exchange exchange) {
  // Blocks that have given up go on in no order: ThreadSanitizer says so.
  if (test::kThreadSanitizer) return;
  Problem p;
  p.exchange = exchange;
  p.hidden = 33;
  p.blocks = 4;
  p.steps = 5;
  p.lengths = {5, 5, 5, 4, 4, 3, 3, 2, 1, 1, 1};
  const Data data = random_data(p);
  const Gradients expected = launched(p, data);
  int in_vain = 0;
  constexpr int kRuns = 20;
  for (const uint64_t patience : {0, 1000, 10000}) {
    p.patience = patience;
    for (int i = 0; i < kRuns; ++i) {
      emulation::set_seed(100 + static_cast<uint64_t>(i));
      const Gradients actual = launched(p, data);
      CHECK(actual.in_vain || same_bits(actual, expected));
      CHECK_EQ(emulation::failure(), "");
      in_vain += actual.in_vain;
    }
  }
  CHECK(in_vain > 0);
}

// ---- Tiers --------------------------------------------------------------------------------------

BackwardTier choice(int cell, int hidden, int requested) {
  DeviceFacts device = DeviceFacts::of(0);
  device.kernels = device.capability;
  return choose_backward_tier(spec_of(cell, hidden), GF_BFLOAT16, device, requested, 4);
}

void check_choice(int cell, int hidden, int requested, int id, const char* reason) {
  const BackwardTier tier = choice(cell, hidden, requested);
  CHECK_EQ(tier.id, id);
  CHECK_EQ(tier.persistent(), id != GF_TIER_ALTERNATING);
  test::report(tier.reason.find(reason) != std::string::npos, __FILE__, __LINE__, tier.reason);
}

void check_choices() {
  check_choice(GF_LSTM, 40, GF_TIER_AUTO, GF_TIER_SLICE, "");
  check_choice(GF_LSTM, 40, GF_TIER_CLUSTER, GF_TIER_CLUSTER, "tier forced");
  check_choice(GF_LSTM, 40, GF_TIER_ALTERNATING, GF_TIER_ALTERNATING, "tier forced");
  check_choice(GF_LSTM, 40, GF_TIER_GRID, GF_TIER_GRID, "tier forced");
  check_choice(GF_LSTM, 600, GF_TIER_AUTO, GF_TIER_CLUSTER, "slice: the weights of H = 600");
  check_choice(GF_LSTM, 600, GF_TIER_SLICE, GF_TIER_ALTERNATING, "do not fit one multiprocessor");
  check_choice(GF_GRU, 2000, GF_TIER_AUTO, GF_TIER_GRID, "do not fit a cluster");
  check_choice(GF_GRU, 3000, GF_TIER_AUTO, GF_TIER_ALTERNATING,
               "grid: the weights of H = 3000 in bfloat16 do not fit the device");
  check_choice(GF_ONLSTM, 8, GF_TIER_AUTO, GF_TIER_SLICE, "");
  check_choice(GF_ONLSTM, 8, GF_TIER_GRID, GF_TIER_ALTERNATING, "needs a scan");
  check_choice(GF_ONLSTM, 300, GF_TIER_AUTO, GF_TIER_CLUSTER, "slice: the weights and scans of H");
  check_choice(GF_GRU_RESET_BEFORE, 8, GF_TIER_AUTO, GF_TIER_ALTERNATING, "a second product");
}

// ---- Modes --------------------------------------------------------------------------------------

void check_tier(Exchange exchange, int precision, bool asked_for) {
  check_shapes(exchange, precision, asked_for);
  if (!test::kSanitized) check_large(exchange, precision);
  check_wrong_weights(exchange, precision, GF_GRU_REFINE, 17);
  check_wrong_weights(exchange, precision, GF_GRU, 10);
}

template <class F>
void for_modes(F f) {
  if (test::kSanitized || std::getenv("GATEFUSE_EMULATION_MODE") != nullptr) return f();
  for (int mode = 0; mode < emulation::kModes; ++mode) {
    emulation::set_mode(static_cast<emulation::Mode>(mode));
    f();
  }
}

}  // namespace
}  // namespace gatefuse::cuda

int main(int count, char** words) {
  using namespace gatefuse::cuda;
  const auto wanted = [&](int at, const std::string& name) {
    return count <= at || name == words[at];
  };
  check_choices();
  for_modes([&] {
    for (const Exchange exchange : kTiers) {
      for (const int precision : kPrecisions) {
        if (!wanted(1, exchange_name(exchange)) || !wanted(2, precision_name(precision))) continue;
        // What is tier G's own is the same in each.
        const bool other = precision == GF_TF32 || precision == GF_FLOAT16;
        if (exchange == Exchange::kGrid && other && count <= 2) continue;
        check_tier(exchange, precision, count > 2);
      }
    }
    for (const Exchange exchange : {Exchange::kCluster, Exchange::kGrid}) {
      if (wanted(1, exchange_name(exchange))) check_waits_in_vain(exchange);
    }
  });
  CHECK(gatefuse::emulation::live().none());
  CHECK_EQ(gatefuse::test::take_device_error(), "");
  return gatefuse::test::result();
}
