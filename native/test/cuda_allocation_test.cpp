// SPDX-License-Identifier: Apache-2.0
//
// gf_forward on the CUDA backend allocates nothing and frees nothing: neither on the device, nor in
// the backend's own code on the host. What the emulated runtime allocates is not looked at.
#include "counted_allocator.hpp"
#include "cuda_support.hpp"

#if !GATEFUSE_COUNTS_ALLOCATIONS

int main() { return gatefuse::test::kSkipped; }

#else

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

constexpr int kSteps = 4, kBatch = 9;

// The next allocation of the emulated device fails, and is still to come afterwards.
void check_call(const Runner& runner, const gf_io& io) {
  emulation::fail_allocation(1);
  const long allocated = allocations, freed = frees;
  gf_status status = gf_forward(runner.session, &io);
  if (status == GF_OK) status = gf_session_synchronize(runner.session);
  const long more = allocations - allocated, less = frees - freed;
  CHECK_EQ(status, GF_OK);
  CHECK_EQ(more, 0);
  CHECK_EQ(less, 0);
  void* memory = nullptr;
  CHECK_EQ(gf_host_allocate(GF_BACKEND_CUDA, 1, &memory), GF_OUT_OF_MEMORY);
}

void check_calls(const Network& network, int tier) {
  const long before = allocations;
  const Runner runner(network, kSteps, kBatch, 1, tier);
  CHECK(allocations > before + 2);  // the backend's own are counted
  const CallersStream stream;
  for (const bool ragged : {false, true}) {
    const Call call = random_call(network.spec, kSteps, kBatch, ragged, true, 3);
    for (const Place place : kPlaces) {
      PlacedCall placed(network.spec, call, place);
      placed.io.stream = ragged ? stream.get() : nullptr;
      if (place != Place::kPageable) placed.io.completion = GF_ON_STREAM;
      // The very first call of the session is among them.
      for (int i = 0; i < 2; ++i) check_call(runner, placed.io);
    }
  }
}

// That a runtime's allocations are told from its caller's proves something only if there are any.
void check_runtime_is_elsewhere() {
  const long before = allocations;
  {
    const CallersStream stream;
    CHECK_EQ(allocations, before);
    is_elsewhere = nullptr;
    const CallersStream counted;
    CHECK(allocations > before);
    is_elsewhere = emulation::is_in_runtime;
  }
}

}  // namespace

int main() {
  if (!is_emulated()) return kSkipped;
  if (!load_backend()) return 1;
  is_elsewhere = emulation::is_in_runtime;
  check_counters();
  check_runtime_is_elsewhere();
  for (const int tier : kTiers) {
    for (int cell = 0; cell < kCells; ++cell) {
      gf_spec spec = make_spec(cell, 3, 12, 2, 2);
      if (has_scans(cell)) spec.chunk = 4;
      spec.vocabulary = 11;
      spec.outputs = 5;
      const Network network(spec, 5, cuda_options(cell % 4));
      if (tier_fits(network, tier)) check_calls(network, tier);
    }
  }
  return result();
}

#endif
