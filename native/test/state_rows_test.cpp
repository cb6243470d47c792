// SPDX-License-Identifier: Apache-2.0
//
// States in pools (gf_io.state_rows): the bits are those of a batch whose states lie in its own
// order, rows that a call does not name stay as they are, and what does not fit is refused. And
// batches of several blocks, which have the bits of their rows alone.
#include "state_rows.hpp"

#include <memory>

#include "cpu/team.hpp"
#include "cutting.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

constexpr int kBlockRows = 256;  // as session.cpp has it: larger batches are several blocks

struct Case {
  gf_spec spec;
  int steps, batch, capacity, threads;
};

// A pool in host memory.
struct HostPool {
  std::vector<float> all;
  float* get() { return pointer(all); }
  const std::vector<float>& values() const { return all; }
};

void check_case(const Case& of, int32_t set, int32_t precision, uint64_t seed) {
  const Network network(of.spec, seed, {sizeof(gf_model_options), 0, set, precision, 0});
  const Call call = random_call(of.spec, of.steps, of.batch, true, true, seed + 1);
  const Runner runner(network, of.steps, of.batch, of.threads);
  const std::string what = std::string(kCellNames[of.spec.cell]) + " " + set_name(set) +
                           ", precision " + std::to_string(precision) + ", batch " +
                           std::to_string(of.batch) + ", threads " + std::to_string(of.threads);
  const Result expected = forward(runner, call);

  Result actual = make_result(of.spec, of.steps, of.batch);
  test::check_pools(
      what, of.spec, call, expected, of.capacity, seed + 2, make_io(call, actual),
      [](const std::vector<float>& values) { return std::make_unique<HostPool>(HostPool{values}); },
      [&](const gf_io& io) {
        report(gf_forward(runner.session, &io) == GF_OK, __FILE__, __LINE__, gf_last_error());
      },
      [&] { return actual; });
}

void check_networks() {
  int turn = 0;
  for (const int32_t set : instruction_sets()) {
    for (int cell = 0; cell < kCells; ++cell) {
      for (const int32_t precision : {GF_FLOAT32, GF_BFLOAT16, GF_INT8}) {
        for (const int threads : {1, 2}) {
          const int directions = turn % 2 + 1;
          gf_spec spec = make_spec(cell, 5, 33, turn / 2 % 2 + 1, directions);
          if (has_scans(cell)) spec.chunk = 3;
          if (turn % 3 == 0) spec.outputs = 7;
          check_case({spec, directions == 1 && turn % 4 == 2 ? 1 : 6, 9, 23, threads}, set,
                     precision, 100 + turn);
          ++turn;
        }
      }
    }
  }
}

// Every row of a batch of several blocks gives what it gives in a batch of one.
void check_blocks(int cell, int32_t set, int steps, int threads) {
  gf_spec spec = make_spec(cell, 3, 17, 2, steps > 1 ? 2 : 1);
  if (has_scans(cell)) spec.chunk = 17;
  spec.outputs = 2;
  const int batch = 2 * kBlockRows + 5;
  const Network network(spec, 5, set);
  const Runner wide(network, steps, batch, threads);
  const Runner narrow(network, steps, kBlockRows / 3, 1);
  const Call call = random_call(spec, steps, batch, steps > 1, true, 6);
  const Result all = forward(wide, call);
  for (int first = 0; first < batch; first += kBlockRows / 3) {
    std::vector<int> rows;
    for (int b = first; b < std::min(batch, first + kBlockRows / 3); ++b) rows.push_back(b);
    Call part = cut_call(spec, call, rows, 0, steps);
    for (const int row : rows) {
      if (!call.lengths.empty()) part.lengths.push_back(call.lengths[row]);
    }
    expect(same_bits(forward(narrow, part), cut_result(spec, all, call, rows, 0, steps)),
           std::string(kCellNames[cell]) + " " + set_name(set) + ": blocks of a batch", __LINE__);
  }
  check_case({spec, steps, batch, 3 * batch, threads}, set, GF_FLOAT32, 7);
}

// What the CPU has not.
void check_device_states() {
  Good good(make_spec(GF_LSTM, 4, 8), true);
  EXPECT_FIELD(good, state_memory, GF_MEMORY_DEVICE,
               "state_memory: expected GF_MEMORY_HOST on the CPU, got GF_MEMORY_DEVICE");
}

// Each pair of places in a batch, among rows that meet in the table.
void check_every_pair() {
  const gf_spec spec = make_spec(GF_GRU, 1, 1);
  constexpr int kBatch = 33;
  constexpr int kCapacity = 1 << 20;
  const Network network(spec, 1);
  const Runner runner(network, 1, kBatch);
  const Call call = random_call(spec, 1, kBatch, false, false, 2);
  std::vector<float> pool(kCapacity);
  Result result = make_result(spec, 1, kBatch);
  gf_io io = make_io(call, result);
  io.h0 = io.hn = pool.data();
  io.state_capacity = kCapacity;
  const std::vector<int32_t> good = scattered_rows(kBatch, kCapacity, 3);
  io.state_rows = good.data();
  CHECK_EQ(gf_forward(runner.session, &io), GF_OK);
  for (int a = 0; a < kBatch; ++a) {
    for (int b = a + 1; b < kBatch; ++b) {
      std::vector<int32_t> bad = good;
      bad[b] = bad[a];
      io.state_rows = bad.data();
      EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(runner.session, &io),
                   "state_rows[" + std::to_string(b) + "]: expected a row that no other",
                   "as in state_rows[" + std::to_string(a) + "]");
    }
  }
}

}  // namespace

int main() {
  if (test::instruction_sets().empty()) return kSkipped;
  cpu::team::set_limit_for_tests(3);
  check_row_errors();
  check_device_states();
  check_every_pair();
  check_networks();
  const std::vector<int32_t> sets = test::instruction_sets();
  for (int cell = 0; cell < kCells; ++cell) {
    const int32_t set = sets[cell % sets.size()];
    check_blocks(cell, set, 1, 2);
    check_blocks(cell, set, 3, 1);
  }
  return result();
}
