// SPDX-License-Identifier: Apache-2.0
//
// States in pools (gf_io.state_rows): the bits are those of a batch whose states lie in its own
// order, rows that a call does not name stay as they are, and what does not fit is refused. And
// batches of several blocks, which have the bits of their rows alone.
#include <algorithm>
#include <numeric>
#include <string>

#include "cpu/team.hpp"
#include "cutting.hpp"
#include "errors.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

constexpr int kBlockRows = 256;  // as session.cpp has it: larger batches are several blocks

void expect(bool good, const std::string& what, int line) {
  report(good, __FILE__, line, good ? "" : what);
}

// A batch's state [L*D, B, H] spread over a pool [L*D, capacity, H] of NaN, or back.
std::vector<float> spread(const gf_spec& spec, const std::vector<float>& state,
                          const std::vector<int32_t>& rows, int capacity) {
  if (state.empty()) return {};
  std::vector<float> pool(state_size(spec, capacity), std::numeric_limits<float>::quiet_NaN());
  const int batch = static_cast<int>(rows.size());
  for (int slot = 0; slot < spec.layers * spec.directions; ++slot) {
    for (int b = 0; b < batch; ++b) {
      std::copy_n(&state[(slot * batch + b) * spec.hidden_size], spec.hidden_size,
                  &pool[(slot * capacity + rows[b]) * spec.hidden_size]);
    }
  }
  return pool;
}

struct Case {
  gf_spec spec;
  int steps, batch, capacity, threads;
};

std::vector<int32_t> scattered_rows(const Case& of, uint64_t seed) {
  std::vector<int32_t> rows(of.capacity);
  std::iota(rows.begin(), rows.end(), 0);
  Random random(seed);
  for (int i = of.capacity - 1; i > 0; --i) std::swap(rows[i], rows[random.below(i + 1)]);
  rows.resize(of.batch);
  return rows;
}

void check_case(const Case& of, int32_t set, int32_t precision, uint64_t seed) {
  const Network network(of.spec, seed, {sizeof(gf_model_options), 0, set, precision, 0});
  const Call call = random_call(of.spec, of.steps, of.batch, true, true, seed + 1);
  const Runner runner(network, of.steps, of.batch, of.threads);
  const std::string what = std::string(kCellNames[of.spec.cell]) + " " + set_name(set) +
                           ", precision " + std::to_string(precision) + ", batch " +
                           std::to_string(of.batch) + ", threads " + std::to_string(of.threads);
  const Result expected = forward(runner, call);

  const std::vector<int32_t> rows = scattered_rows(of, seed + 2);
  std::vector<float> h = spread(of.spec, call.h0, rows, of.capacity);
  std::vector<float> c = spread(of.spec, call.c0, rows, of.capacity);
  const std::vector<float> h_before = h;
  Result actual = make_result(of.spec, of.steps, of.batch);
  gf_io io = make_io(call, actual);
  io.state_rows = rows.data();
  io.state_capacity = of.capacity;
  io.h0 = pointer(h);
  io.c0 = pointer(c);

  // Into other pools, and in place.
  std::vector<float> hn(h.size(), std::numeric_limits<float>::quiet_NaN());
  std::vector<float> cn(c.size(), std::numeric_limits<float>::quiet_NaN());
  io.hn = pointer(hn);
  io.cn = pointer(cn);
  for (int time = 0; time < 2; ++time) {
    report(gf_forward(runner.session, &io) == GF_OK, __FILE__, __LINE__, gf_last_error());
    expect(same_bits(actual.y, expected.y), what + ": y", __LINE__);
    expect(same_bits(actual.logits, expected.logits), what + ": logits", __LINE__);
    const std::vector<float>& h_after = time == 0 ? hn : h;
    const std::vector<float>& c_after = time == 0 ? cn : c;
    // NaN in all rows that were not named, bit by bit.
    expect(same_bits(h_after, spread(of.spec, expected.hn, rows, of.capacity)), what + ": hn",
           __LINE__);
    expect(same_bits(c_after, spread(of.spec, expected.cn, rows, of.capacity)), what + ": cn",
           __LINE__);
    if (time == 0) expect(same_bits(h, h_before), what + ": h0 was written", __LINE__);
    io.hn = pointer(h);
    io.cn = pointer(c);
  }
}

void check_pools() {
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

void check_errors() {
  Good good(make_spec(GF_LSTM, 4, 8), true);
  const std::vector<int32_t> rows = {2, 0, 1};
  std::vector<float> pool(state_size(good.network.spec, 3));
  std::vector<float> cells(pool);
  good.io.h0 = good.io.hn = pool.data();
  good.io.c0 = good.io.cn = cells.data();
  good.io.state_rows = rows.data();
  good.io.state_capacity = 3;
  CHECK_EQ(good.run(), GF_OK);
  EXPECT_FIELD(good, state_capacity, 0, "state_capacity: expected 1 .. ");
  EXPECT_FIELD(good, state_capacity, 2, "state_rows[0]: expected 0 .. 1, got 2");
  const std::vector<int32_t> below = {2, -1, 1};
  EXPECT_FIELD(good, state_rows, below.data(), "state_rows[1]: expected 0 .. 2, got -1");
  const std::vector<int32_t> twice = {2, 1, 2};
  EXPECT_FIELD(good, state_rows, twice.data(),
               "state_rows[2]: expected a row that no other sequence has, got 2 as in "
               "state_rows[0]");

  // A caller that knows no pools has none, whatever lies behind its struct.
  gf_io old = good.io;
  old.struct_size = offsetof(gf_io, state_rows);
  CHECK_EQ(gf_forward(good.runner.session, &old), GF_OK);

  const gf_session_options back = session_options(6, 4, 1, GF_TIER_AUTO, GF_BACKWARD_STORE);
  gf_session* session = nullptr;
  CHECK_EQ(gf_session_create(good.network.model, &back, &session), GF_OK);
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(session, &good.io),
               "state_rows: expected null in a session with a backward pass, got a pointer");
  gf_session_destroy(session);
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
  const std::vector<int32_t> good = scattered_rows({spec, 1, kBatch, kCapacity, 1}, 3);
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
  check_errors();
  check_every_pair();
  check_pools();
  const std::vector<int32_t> sets = test::instruction_sets();
  for (int cell = 0; cell < kCells; ++cell) {
    const int32_t set = sets[cell % sets.size()];
    check_blocks(cell, set, 1, 2);
    check_blocks(cell, set, 3, 1);
  }
  return result();
}
