// SPDX-License-Identifier: Apache-2.0
//
// gf_forward allocates nothing and frees nothing, in the caller's thread and in the team's.
#include "counted_allocator.hpp"
#include "cpu/team.hpp"
#include "support.hpp"

#if !GATEFUSE_COUNTS_ALLOCATIONS

int main() { return gatefuse::test::kSkipped; }

#else

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

// As the session allocates: through the arena.
void check_sessions_are_counted() {
  const Network network(make_spec(GF_LSTM, 3, 8), 1);
  const long before_session = allocations;
  const Runner runner(network, 4, 4);
  CHECK(allocations > before_session + 5);
}

void check_calls(const Network& network, int threads) {
  constexpr int kSteps = 18, kBatch = 13;
  const Runner runner(network, kSteps, 200, threads);  // 200: several segments
  for (const bool ragged : {false, true}) {
    Call call = random_call(network.spec, kSteps, kBatch, ragged, true, 3);
    call.layout = ragged ? GF_BATCH_MAJOR : GF_TIME_MAJOR;
    Result result = make_result(network.spec, kSteps, kBatch);
    const gf_io io = make_io(call, result);
    const long allocated = allocations, freed = frees;
    gf_status status = GF_OK;  // the very first call of the session is among them
    for (int i = 0; i < 2 && status == GF_OK; ++i) status = gf_forward(runner.session, &io);
    const long more = allocations - allocated, less = frees - freed;
    CHECK_EQ(status, GF_OK);
    CHECK_EQ(more, 0);
    CHECK_EQ(less, 0);
  }
}

}  // namespace

int main() {
  cpu::team::set_limit_for_tests(2);
  check_counters();
  check_sessions_are_counted();
  for (const int32_t set : test::instruction_sets()) {
    for (int cell = 0; cell < kCells; ++cell) {
      for (const int directions : {1, 2}) {
        for (const bool language : {false, true}) {
          gf_spec spec = make_spec(cell, 8, 64, 2, directions);
          if (has_scans(cell)) spec.chunk = 4;
          spec.vocabulary = language ? 11 : 0;
          spec.outputs = language ? 19 : 0;
          const Network network(spec, 5, set);
          for (const int threads : {1, 2}) check_calls(network, threads);
        }
      }
    }
  }
  return result();
}

#endif
