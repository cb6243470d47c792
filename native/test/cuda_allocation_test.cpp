// SPDX-License-Identifier: Apache-2.0
//
// gf_forward and gf_backward on the CUDA backend allocate nothing and free nothing: neither on the
// device, nor in the backend's own code on the host. What the emulated runtime allocates is not
// looked at.
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
void check_call(gf_session* session, const gf_io& io, const gf_gradients* gradients) {
  emulation::fail_allocation(1);
  const long allocated = allocations, freed = frees;
  gf_status status = gf_forward(session, &io);
  if (status == GF_OK && gradients != nullptr) status = gf_backward(session, gradients);
  if (status == GF_OK) status = gf_session_synchronize(session);
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
      for (int i = 0; i < 2; ++i) check_call(runner.session, placed.io, nullptr);
    }
  }
}

// States by row, here those of the batch turned round.
void check_state_rows(const Network& network) {
  const Runner runner(network, kSteps, kBatch);
  const Call call = random_call(network.spec, kSteps, kBatch, true, true, 3);
  int32_t rows[kBatch];
  for (int b = 0; b < kBatch; ++b) rows[b] = kBatch - 1 - b;
  for (const Place place : kPlaces) {
    PlacedCall placed(network.spec, call, place);
    placed.io.state_rows = rows;
    placed.io.state_capacity = kBatch;
    check_call(runner.session, placed.io, nullptr);
  }
}

// There and back, with gradients by the state before and all parameters.
void check_way_back(const Network& network, int tier) {
  const gf_session_options options =
      session_options(kSteps, kBatch, 1, tier, GF_BACKWARD_RECOMPUTE);
  gf_session* session = nullptr;
  CHECK_EQ(gf_session_create(network.model, &options, &session), GF_OK);
  const Call call = random_call(network.spec, kSteps, kBatch, true, true, 3);
  PlacedCall placed(network.spec, call, Place::kPageable);
  int64_t count = 0;
  for (const auto& tensor : network.tensors) count += static_cast<int64_t>(tensor.size());
  std::vector<float> state(state_size(network.spec, kBatch)), parameters(count);
  gf_gradients gradients = {};
  gradients.struct_size = sizeof gradients;
  gradients.dhn = gradients.dh0 = state.data();
  gradients.parameters = parameters.data();
  for (int i = 0; i < 2; ++i) check_call(session, placed.io, &gradients);
  gf_session_destroy(session);
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
      if (!tier_fits(network, tier)) continue;
      check_calls(network, tier);
      check_way_back(network, tier);
      if (tier == GF_TIER_SLICE) check_state_rows(network);
    }
  }
  return result();
}

#endif
