// SPDX-License-Identifier: Apache-2.0
//
// What the tests of states in pools (gf_io.state_rows) share: pools, the check of a call that picks
// its states out of them, and the rows that every backend refuses.
#pragma once

#include <algorithm>
#include <numeric>
#include <string>

#include "errors.hpp"

namespace gatefuse::test {

inline void expect(bool good, const std::string& what, int line) {
  report(good, __FILE__, line, good ? "" : what);
}

// A batch's state [L*D, B, H] spread over a pool [L*D, capacity, H] of NaN.
inline std::vector<float> spread(const gf_spec& spec, const std::vector<float>& state,
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

inline std::vector<int32_t> scattered_rows(int batch, int capacity, uint64_t seed) {
  std::vector<int32_t> rows(capacity);
  std::iota(rows.begin(), rows.end(), 0);
  Random random(seed);
  for (int i = capacity - 1; i > 0; --i) std::swap(rows[i], rows[random.below(i + 1)]);
  rows.resize(batch);
  return rows;
}

// That the call of `io` gives what is expected with its states in rows of pools, which Pool(values)
// makes: into other pools, then in place. run(io) runs it, result() is what it gave.
template <class Pool, class Run, class Outcome>
void check_pools(const std::string& what, const gf_spec& spec, const Call& call,
                 const Result& expected, int capacity, uint64_t seed, gf_io io, Pool make, Run run,
                 Outcome outcome) {
  const std::vector<int32_t> rows = scattered_rows(call.batch, capacity, seed);
  const std::vector<float> h_before = spread(spec, call.h0, rows, capacity);
  const std::vector<float> c_before = spread(spec, call.c0, rows, capacity);
  // NaN in all rows that are not named, bit by bit.
  const std::vector<float> h_after = spread(spec, expected.hn, rows, capacity);
  const std::vector<float> c_after = spread(spec, expected.cn, rows, capacity);
  const std::vector<float> nan_h(h_before.size(), std::numeric_limits<float>::quiet_NaN());
  const std::vector<float> nan_c(c_before.size(), std::numeric_limits<float>::quiet_NaN());
  const auto h = make(h_before), c = make(c_before), hn = make(nan_h), cn = make(nan_c);
  io.state_rows = rows.data();
  io.state_capacity = capacity;
  io.h0 = h->get();
  io.c0 = c->get();
  for (const bool in_place : {false, true}) {
    io.hn = (in_place ? h : hn)->get();
    io.cn = (in_place ? c : cn)->get();
    run(io);
    const Result actual = outcome();
    expect(same_bits(actual.y, expected.y), what + ": y", __LINE__);
    expect(same_bits(actual.logits, expected.logits), what + ": logits", __LINE__);
    expect(same_bits((in_place ? h : hn)->values(), h_after), what + ": hn", __LINE__);
    expect(same_bits((in_place ? c : cn)->values(), c_after), what + ": cn", __LINE__);
    if (!in_place) {
      expect(same_bits(h->values(), h_before), what + ": h0 was written", __LINE__);
      expect(same_bits(c->values(), c_before), what + ": c0 was written", __LINE__);
    }
  }
}

inline void check_row_errors(const gf_model_options& options = kOnCpu) {
  Good good(make_spec(GF_LSTM, 4, 8), true, options);
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
  EXPECT_FIELD(good, state_memory, 2, "state_memory: expected 0 .. 1, got 2");

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

}  // namespace gatefuse::test
