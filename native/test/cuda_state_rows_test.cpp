// SPDX-License-Identifier: Apache-2.0
//
// States in pools (gf_io.state_rows) on the CUDA backend: pools in each kind of memory, and states
// in device memory beside buffers of the host (gf_io.state_memory).
#include <memory>

#include "cuda_support.hpp"
#include "state_rows.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

// Where the pools of a call are, and the rest of it.
struct Places {
  Place pools, rest;
  int completion;
  const char* name;
};
constexpr Places kCases[] = {
    {Place::kPageable, Place::kPageable, GF_ON_RETURN, "pageable"},
    {Place::kPinned, Place::kPageable, GF_ON_RETURN, "pools page-locked"},
    {Place::kPinned, Place::kPinned, GF_ON_STREAM, "page-locked"},
    {Place::kDevice, Place::kPageable, GF_ON_RETURN, "pools on the device"},
    {Place::kDevice, Place::kPinned, GF_ON_STREAM, "pools on the device, the rest page-locked"},
    {Place::kDevice, Place::kDevice, GF_ON_STREAM, "device"},
};

auto pools_in(Place place) {
  return [place](const std::vector<float>& values) {
    return std::make_unique<Buffer<float>>(place, values);
  };
}

void set_places(gf_io* io, const Places& places) {
  io->completion = places.completion;
  if (places.pools == Place::kDevice) io->state_memory = GF_MEMORY_DEVICE;
}

void run(const Runner& runner, const gf_io& io) {
  report(gf_forward(runner.session, &io) == GF_OK, __FILE__, __LINE__, gf_last_error());
  CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
}

void check_case(const gf_spec& spec, int tier, int precision, int steps, int batch, int capacity,
                const Places& places, uint64_t seed) {
  const Network network(spec, seed, cuda_options(precision));
  if (!tier_fits(network, tier, batch)) return;
  const Runner runner(network, steps, batch, 1, tier);
  const Call call = random_call(spec, steps, batch, seed % 2 == 0, true, seed + 1);
  PlacedCall placed(spec, call, places.rest);
  set_places(&placed.io, places);
  check_pools(
      std::string(kCellNames[spec.cell]) + " " + tier_name(tier) + " " + precision_name(precision) +
          ", " + places.name,
      spec, call, forward(runner, call), capacity, seed + 2, placed.io, pools_in(places.pools),
      [&](const gf_io& io) { run(runner, io); }, [&] { return placed.result(); });
}

// All cells, tiers, precisions and places come by in turn. In ThreadSanitizer's build each cell has
// one tier.
void check_networks() {
  int turn = 0;
  for (int cell = 0; cell < kCells; ++cell) {
    for (const int tier : kTiers) {
      ++turn;
      if (kThreadSanitizer && !in_turn(tier + cell, 4)) continue;
      gf_spec spec = make_spec(cell, 3, 12, turn % 2 + 1, turn / 2 % 2 + 1);
      if (has_scans(cell)) spec.chunk = 3;
      if (turn % 3 == 0) spec.outputs = 5;
      check_case(spec, tier, kPrecisions[(turn + cell) % 4], turn % 5 == 0 ? 1 : 4, 5, 13,
                 kCases[(turn + cell) % std::size(kCases)], 100 + turn);
    }
  }
  const gf_spec spec = make_spec(GF_LSTM_REFINE, 3, 9, 2);
  for (const Places& places : kCases)
    check_case(spec, GF_TIER_SLICE, GF_FLOAT32, 3, 4, 6, places, 7);
  // More rows than the parameters of a launch hold.
  if (kThreadSanitizer) return;
  check_case(make_spec(GF_GRU, 1, 1), GF_TIER_SLICE, GF_FLOAT32, 1, 1000, 1500, kCases[0], 9);
  check_case(make_spec(GF_GRU, 1, 1), GF_TIER_SLICE, GF_FLOAT32, 1, 1000, 1500, kCases[4], 8);
}

// Of states of a batch's own order only the place is another one.
void check_states_without_rows() {
  const gf_spec spec = make_spec(GF_LSTM, 3, 9, 2);
  const Network network(spec, 1, cuda_options(GF_FLOAT32));
  const Runner runner(network, 4, 5);
  const Call call = random_call(spec, 4, 5, true, true, 2);
  const Result expected = forward(runner, call);
  PlacedCall host(spec, call, Place::kPageable);
  const PlacedCall device(spec, call, Place::kDevice);
  host.io.state_memory = GF_MEMORY_DEVICE;
  host.io.h0 = device.io.h0;
  host.io.c0 = device.io.c0;
  host.io.hn = device.io.hn;
  host.io.cn = device.io.cn;
  run(runner, host.io);
  CHECK(same_bits(host.result().y, expected.y));
  CHECK(same_bits(device.result().hn, expected.hn));
  CHECK(same_bits(device.result().cn, expected.cn));
  gf_io io = host.io;
  const Buffer<float> elsewhere(Place::kPinned, call.h0);
  io.hn = elsewhere.get();
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(runner.session, &io),
               "hn: expected device memory, as `state_memory` says, got host memory");
}

// Calls that follow one another on several streams, and a graph that is launched twice, take the
// states that the one before left.
void check_streams(Place place) {
  constexpr int kBatch = 3, kCapacity = 7;
  const gf_spec spec = make_spec(GF_LSTM_REFINE, 2, 9);
  const Network network(spec, 1, cuda_options(GF_FLOAT32));
  const Runner runner(network, 2, kBatch), direct(network, 2, kBatch);
  const Call call = random_call(spec, 2, kBatch, false, true, 2);
  Call rest = call;
  for (int i = 0; i < 4; ++i) {
    const Result once = forward(direct, rest);
    rest.h0 = once.hn;
    rest.c0 = once.cn;
  }
  const std::vector<int32_t> rows = scattered_rows(kBatch, kCapacity, 3);
  const Buffer<float> h(place, spread(spec, call.h0, rows, kCapacity));
  const Buffer<float> c(place, spread(spec, call.c0, rows, kCapacity));
  PlacedCall placed(spec, call, place);
  gf_io io = placed.io;
  const CallersStream stream, other;
  io.completion = GF_ON_STREAM;
  io.h0 = io.hn = h.get();
  io.c0 = io.cn = c.get();
  io.state_capacity = kCapacity;
  std::vector<int32_t> given = rows;
  io.state_rows = given.data();
  io.stream = other.get();
  CHECK_EQ(gf_forward(runner.session, &io), GF_OK);
  io.stream = stream.get();
  CHECK_EQ(gf_forward(runner.session, &io), GF_OK);
  CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
  {
    const CallersGraph graph(stream, [&] { CHECK_EQ(gf_forward(runner.session, &io), GF_OK); });
    std::fill(given.begin(), given.end(), -1);  // they have been read
    graph.launch(stream);
    graph.launch(stream);
    stream.wait();
  }
  CHECK_EQ(gf_session_synchronize(runner.session), GF_OK);
  CHECK(same_bits(h.values(), spread(spec, rest.h0, rows, kCapacity)));
  CHECK(same_bits(c.values(), spread(spec, rest.c0, rows, kCapacity)));
}

// The host reads a pool only once the call before, which may still be on its way, has written it.
void check_pageable_behind_stream() {
  constexpr int kBatch = 3;
  const gf_spec spec = make_spec(GF_GRU, 2, 9);
  const Network network(spec, 1, cuda_options(GF_FLOAT32));
  const Runner runner(network, 2, kBatch), direct(network, 2, kBatch);
  const Call call = random_call(spec, 2, kBatch, false, true, 2);
  Call rest = call;
  rest.h0 = forward(direct, call).hn;
  const Result expected = forward(direct, rest);
  const std::vector<int32_t> rows = {0, 1, 2};
  const PlacedCall first(spec, call, Place::kPinned);
  PlacedCall second(spec, call, Place::kPageable);
  gf_io io = first.io;
  io.completion = GF_ON_STREAM;
  CHECK_EQ(gf_forward(runner.session, &io), GF_OK);
  second.io.h0 = first.io.hn;
  second.io.state_rows = rows.data();
  second.io.state_capacity = kBatch;
  run(runner, second.io);
  CHECK(same_bits(second.result().hn, expected.hn));
}

void check_pageable_on_stream() {
  Good good(make_spec(GF_GRU, 4, 8), false, cuda_options(GF_FLOAT32));
  PlacedCall pinned(good.network.spec, good.call, Place::kPinned);
  const int32_t rows[] = {2, 0, 1};
  gf_io io = pinned.io;
  io.completion = GF_ON_STREAM;
  io.state_rows = rows;
  io.state_capacity = 3;
  io.h0 = good.call.h0.data();
  EXPECT_ERROR(GF_INVALID_ARGUMENT, gf_forward(good.runner.session, &io),
               "h0: expected page-locked host memory for a call that completes on its stream, got "
               "pageable memory");
}

}  // namespace

int main() {
  if (!load_backend()) return 1;
  check_row_errors(cuda_options(GF_FLOAT32));
  check_networks();
  check_states_without_rows();
  check_streams(Place::kPinned);
  check_streams(Place::kDevice);
  check_pageable_behind_stream();
  check_pageable_on_stream();
  if (is_emulated()) CHECK(emulation::live().none());
  return result();
}
