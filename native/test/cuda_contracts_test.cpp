// SPDX-License-Identifier: Apache-2.0
//
// The promises of gf_forward about bits on the CUDA backend, for each tier that fits a network and
// each precision: from run to run, whatever else is in the batch and in the device, cut into calls,
// in either layout, from any kind of memory, in either completion; and what lies past a sequence's
// end has no effect. In the emulation also for every mode of its scheduler.
#include <string>
#include <thread>

#include "cuda_support.hpp"
#include "cutting.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

constexpr int kSteps = 6;
constexpr int kBatch = 11;                   // two slices, the second with room
constexpr int kWide = kSanitized ? 20 : 40;  // rows of a session for more than is called
constexpr uint64_t kSeed = 7;                // of a subject's weights

// A network with a session that just fits the calls, and a wider one of the same tier.
struct Subject {
  Subject(const gf_spec& spec, int tier, int precision)
      : name(std::string(tier_name(tier)) + " " + precision_name(precision) + " " +
             kCellNames[spec.cell]),
        tier(tier),
        precision(precision),
        network(spec, kSeed, cuda_options(precision)),
        tight(network, kSteps, kBatch, 1, tier),
        wide(network, kSteps + 3, kWide, 1, tier) {}

  std::string name;
  int tier, precision;
  Network network;
  Runner tight, wide;

  const gf_spec& spec() const { return network.spec; }
};

void expect(bool good, const Subject& subject, const char* what, int line) {
  report(good, __FILE__, line, good ? "" : subject.name + ": " + what);
}
#define EXPECT(condition, subject) expect((condition), (subject), #condition, __LINE__)

// ---- The promises -------------------------------------------------------------------------------

void check_again(const Subject& subject, const Call& call, const Result& result) {
  EXPECT(same_bits(forward(subject.tight, call), result), subject);
  EXPECT(same_bits(forward(subject.wide, call), result), subject);
  if (!is_emulated()) return;
  const emulation::Mode before = emulation::mode();
  const uint64_t seed_before = emulation::seed();
  // One by one where all takes too long: other subjects and calls meet the others.
  static int next = 0;
  for (int i = 0; i < (kSanitized ? 1 : emulation::kModes); ++i) {
    const int mode = next++ % emulation::kModes;
    emulation::set_mode(static_cast<emulation::Mode>(mode));
    emulation::set_seed(seed_before + 100 + mode);
    EXPECT(same_bits(forward(mode % 2 == 0 ? subject.tight : subject.wide, call), result), subject);
  }
  emulation::set_mode(before);
  emulation::set_seed(seed_before);
}

// The emulated device with fewer multiprocessors. A model keeps what it read of the device where it
// was made, so it has to be made there.
class OtherDevice {
 public:
  explicit OtherDevice(int multiprocessors) { emulation::set_multiprocessors(multiprocessors); }
  OtherDevice(const OtherDevice&) = delete;
  OtherDevice& operator=(const OtherDevice&) = delete;
  ~OtherDevice() { emulation::set_multiprocessors(0); }
};

// Fewer multiprocessors make other shapes, and slices of a launch that follow one another.
void check_other_device(const Subject& subject, const Call& call, const Result& result) {
  if (!is_emulated()) return;
  for (const int multiprocessors : {1, 3, 16}) {
    if (kSanitized && multiprocessors != 3) continue;
    const OtherDevice device(multiprocessors);
    const Network network(subject.spec(), kSeed, cuda_options(subject.precision));
    if (!tier_fits(network, subject.tier, kWide)) continue;
    const Runner small(network, kSteps, kWide, 1, subject.tier);
    EXPECT(same_bits(forward(small, call), result), subject);
  }
}

// A session that has run something larger keeps nothing of it.
void check_leaves_nothing(const Subject& subject, const Call& call, const Result& result) {
  forward(subject.wide, random_call(subject.spec(), kSteps + 3, kWide, true, true, 99));
  EXPECT(same_bits(forward(subject.wide, call), result), subject);
}

// Cut into calls of these many steps, the state carried in place.
void check_chunked(const Subject& subject, const Call& call, const Result& whole) {
  Call part = call;
  int first = 0;
  for (const int steps : {1, 3, kSteps - 4}) {
    Call next = cut_call(subject.spec(), call, all_rows(call), first, steps);
    next.h0 = part.h0;
    next.c0 = part.c0;
    Result result = make_result(subject.spec(), steps, call.batch);
    gf_io io = make_io(next, result);
    io.hn = pointer(next.h0);
    io.cn = pointer(next.c0);
    CHECK_EQ(gf_forward(subject.tight.session, &io), GF_OK);
    result.hn = next.h0;
    result.cn = next.c0;
    Result expected = cut_result(subject.spec(), whole, call, all_rows(call), first, steps);
    first += steps;
    if (first < kSteps) {
      expected.hn = result.hn;  // known at the end only
      expected.cn = result.cn;
    }
    EXPECT(same_bits(result, expected), subject);
    part = next;
  }
  CHECK_EQ(first, kSteps);
}

// Each sequence by itself, with nothing past its end, gives what it gave in the ragged batch.
void check_alone(const Subject& subject, const Call& call, const Result& result) {
  for (int row = 0; row < call.batch; row += kSanitized ? 7 : 3) {
    const int length = call.length(row);
    const Result alone = forward(subject.tight, cut_call(subject.spec(), call, {row}, 0, length));
    EXPECT(same_bits(alone, cut_result(subject.spec(), result, call, {row}, 0, length)), subject);
  }
}

// The rows in another order, some of them twice: other places, other slices.
void check_other_batch(const Subject& subject, const Call& call, const Result& result) {
  std::vector<int> rows = all_rows(call);
  std::reverse(rows.begin(), rows.end());
  rows.insert(rows.begin() + 5, {3, 3, 9, 0, 0, 0, 0});
  Call other = cut_call(subject.spec(), call, rows, 0, call.steps);
  for (const int row : rows) {
    if (!call.lengths.empty()) other.lengths.push_back(call.lengths[row]);
  }
  const Result expected = cut_result(subject.spec(), result, call, rows, 0, call.steps);
  EXPECT(same_bits(forward(subject.wide, other), expected), subject);
}

void check_layout(const Subject& subject, const Call& call, const Result& result) {
  EXPECT(same_bits(forward(subject.wide, batch_major(subject.spec(), call)),
                   batch_major(subject.spec(), call, result)),
         subject);
}

// From every kind of memory, on the session's stream and on one of the caller's.
void check_memory(const Subject& subject, const Call& call, const Result& result) {
  const CallersStream stream;
  for (const Place place : kPlaces) {
    for (const int completion : {GF_ON_RETURN, GF_ON_STREAM}) {
      if (place == Place::kPageable && completion == GF_ON_STREAM) continue;
      PlacedCall placed(subject.spec(), call, place);
      placed.io.completion = completion;
      placed.io.stream = place == Place::kPinned ? nullptr : stream.get();
      CHECK_EQ(gf_forward(subject.tight.session, &placed.io), GF_OK);
      if (completion == GF_ON_STREAM) {
        CHECK_EQ(gf_session_synchronize(subject.tight.session), GF_OK);
      }
      EXPECT(same_bits(placed.result(), result), subject);
    }
  }
}

// Each output by itself, and none.
void check_wanted(const Subject& subject, const Call& call, const Result& result) {
  for (const auto one : {&Result::y, &Result::hn, &Result::cn, &Result::logits, &Result::log_probs,
                         &Result::target_log_probs}) {
    Result actual;
    actual.*one = make_result(subject.spec(), call.steps, call.batch).*one;
    if ((actual.*one).empty()) continue;
    const gf_io io = make_io(call, actual);
    CHECK_EQ(gf_forward(subject.tight.session, &io), GF_OK);
    EXPECT(same_bits(actual.*one, result.*one), subject);
  }
  Result nothing;
  const gf_io io = make_io(call, nothing);
  CHECK_EQ(gf_forward(subject.tight.session, &io), GF_OK);
}

// Missing state is a state of zeros; the final state may lie where the initial one does.
void check_state(const Subject& subject, Call call) {
  call.h0.assign(call.h0.size(), 0);
  call.c0.assign(call.c0.size(), 0);
  const Result zeros = forward(subject.tight, call);
  PlacedCall in_place(subject.spec(), call, Place::kDevice);
  in_place.io.hn = const_cast<float*>(in_place.io.h0);
  in_place.io.cn = const_cast<float*>(in_place.io.c0);
  CHECK_EQ(gf_forward(subject.tight.session, &in_place.io), GF_OK);
  const Result result = in_place.result();
  EXPECT(same_bits(result.y, zeros.y), subject);
  EXPECT(same_bits(in_place.h0(), zeros.hn), subject);
  call.h0.clear();
  call.c0.clear();
  EXPECT(same_bits(forward(subject.tight, call), zeros), subject);
}

// Past the ends: whatever is in the inputs changes nothing, and the outputs are 0. In device memory
// nobody has looked at the integers before the kernels do.
void check_past_ends(const Subject& subject, const Call& call, const Result& result) {
  const Call spoilt = spoil_past_ends(subject.spec(), call);
  EXPECT(same_bits(forward(subject.tight, spoilt), result), subject);
  PlacedCall placed(subject.spec(), spoilt, Place::kDevice);
  CHECK_EQ(gf_forward(subject.tight.session, &placed.io), GF_OK);
  EXPECT(same_bits(placed.result(), result), subject);
  EXPECT(is_zero_past_ends(subject.spec(), call, result), subject);
}

// NaN in one row's state, and in its input where it has one, stays in that row and is seen there.
void check_nan(const Subject& subject, Call call, const Result& result) {
  const gf_spec& spec = subject.spec();
  const int sick = 4;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  call.h0[int64_t{sick} * spec.hidden_size] = nan;
  if (!call.x.empty()) call.x[int64_t{sick} * spec.input_size] = nan;
  const Result actual = forward(subject.tight, call);
  std::vector<int> others = all_rows(call);
  others.erase(others.begin() + sick);
  EXPECT(same_bits(cut_result(spec, actual, call, others, 0, call.steps),
                   cut_result(spec, result, call, others, 0, call.steps)),
         subject);
  for (const float h : cut_state(spec, actual.hn, call.batch, {sick})) {
    EXPECT(std::isnan(h), subject);
  }
}

// Huge, tiny and infinite numbers are no reason for other bits, and harm no other sequence.
void check_extremes(const Subject& subject, Call call, const Result& result) {
  const gf_spec& spec = subject.spec();
  const float extremes[] = {1e30f,     -1e30f,    3.4e38f,    1e-42f, -1e-40f,
                            0x1p-149f, HUGE_VALF, -HUGE_VALF, 65520,  -0.0f};
  const std::vector<int> rows = {1, 7, 8};
  int64_t next = 0;
  const auto extreme = [&](std::vector<float>& state) {
    if (state.empty()) return;
    for (const int row : rows) {
      for (int k = 0; k < spec.hidden_size; k += 1 + row) {
        state[int64_t{row} * spec.hidden_size + k] = extremes[next++ % std::size(extremes)];
      }
    }
  };
  extreme(call.h0);
  extreme(call.c0);
  for (int t = 0; !call.x.empty() && t < call.steps; ++t) {
    for (const int row : rows) {
      call.x[call.place(t, row) * spec.input_size + t % spec.input_size] =
          extremes[next++ % std::size(extremes)];
    }
  }
  const Result actual = forward(subject.tight, call);
  EXPECT(same_bits(forward(subject.wide, call), actual), subject);
  for (const int row : rows) {
    const Result alone = forward(subject.tight, cut_call(spec, call, {row}, 0, call.steps));
    EXPECT(same_bits(alone, cut_result(spec, actual, call, {row}, 0, call.steps)), subject);
  }
  std::vector<int> others;
  for (const int row : all_rows(call)) {
    if (std::find(rows.begin(), rows.end(), row) == rows.end()) others.push_back(row);
  }
  EXPECT(same_bits(cut_result(spec, actual, call, others, 0, call.steps),
                   cut_result(spec, result, call, others, 0, call.steps)),
         subject);
}

// Two threads with a session each, at the same time.
void check_threads(const Subject& subject, const Call& call, const Result& result) {
  bool same[2] = {};
  const auto run = [&](const Runner& runner, bool& good) {
    Result actual = make_result(subject.spec(), call.steps, call.batch);
    const gf_io io = make_io(call, actual);
    good = true;
    for (int i = 0; i < 3; ++i) {
      good = good && gf_forward(runner.session, &io) == GF_OK && same_bits(actual, result);
    }
  };
  std::thread other([&] { run(subject.wide, same[1]); });
  run(subject.tight, same[0]);
  other.join();
  EXPECT(same[0] && same[1], subject);
}

void check_all(const gf_spec& spec, int tier, int precision) {
  const Subject subject(spec, tier, precision);
  EXPECT(path_of(subject.tight).find(std::string("tier=") + tier_name(tier) + "\n") !=
             std::string::npos,
         subject);
  const Call full = random_call(spec, kSteps, kBatch, false, true, 11);
  const Result result = forward(subject.tight, full);
  EXPECT(all_finite(result), subject);
  check_again(subject, full, result);
  check_nan(subject, full, result);
  check_extremes(subject, full, result);
  check_threads(subject, full, result);
  if (spec.directions == 1) check_chunked(subject, full, result);
  if (!kSanitized) {
    check_leaves_nothing(subject, full, result);
    check_other_batch(subject, full, result);
    check_layout(subject, full, result);
    check_memory(subject, full, result);
    check_state(subject, full);
  }

  const Call ragged = random_call(spec, kSteps, kBatch, true, true, 12);
  const Result ragged_result = forward(subject.tight, ragged);
  EXPECT(all_finite(ragged_result), subject);
  check_again(subject, ragged, ragged_result);
  check_other_device(subject, ragged, ragged_result);
  check_alone(subject, ragged, ragged_result);
  check_other_batch(subject, ragged, ragged_result);
  check_layout(subject, ragged, ragged_result);
  check_memory(subject, ragged, ragged_result);
  check_past_ends(subject, ragged, ragged_result);
  if (!kSanitized) check_wanted(subject, ragged, ragged_result);
}

// More steps than the memory for projections holds at once: several launches for a layer, the state
// handed from one to the next, in both directions; and more places than the head takes at once.
void check_long(int tier) {
  constexpr int kLong = 8200;  // times two rows: a little more than is projected at once
  gf_spec spec = make_spec(GF_LSTM, 1, 3, 1, 2);
  spec.outputs = 2;
  const Network network(spec, 3, cuda_options(GF_FLOAT32));
  const Runner runner(network, kLong, 2, 1, tier);
  Call call = random_call(spec, kLong, 2, false, true, 4);
  call.lengths = {kLong, kLong - 5};
  const Result result = forward(runner, call);
  for (int row = 0; row < 2; ++row) {
    // By itself a row fits into one launch.
    const int length = call.length(row);
    const Result alone = forward(runner, cut_call(spec, call, {row}, 0, length));
    report(same_bits(alone, cut_result(spec, result, call, {row}, 0, length)), __FILE__, __LINE__,
           std::string("many steps, ") + tier_name(tier));
  }
}

gf_spec spec_of(int cell, bool language) {
  const int hidden = !language ? 17 : kSanitized ? 18 : 33;
  gf_spec spec = make_spec(cell, 5, hidden, language ? 2 : 1, language ? 1 : 2);
  spec.vocabulary = language ? 11 : 0;
  spec.outputs = language ? 5 : 0;
  if (has_scans(cell) && language) spec.chunk = 3;
  return spec;
}

// More rows than one launch takes of their order: halves of the batch give what the whole gives.
void check_many_rows(int tier) {
  constexpr int kRows = 1000;
  const gf_spec spec = make_spec(GF_GRU_REFINE, 2, 3, 2);
  const Network network(spec, 3, cuda_options(GF_BFLOAT16));
  const Runner runner(network, 3, kRows, 1, tier);
  const Call call = random_call(spec, 3, kRows, true, true, 4);
  const Result result = forward(runner, call);
  CHECK(all_finite(result) && is_zero_past_ends(spec, call, result));
  for (const int half : {0, 1}) {
    std::vector<int> rows;
    for (int row = half; row < kRows; row += 2) rows.push_back(row);
    Call part = cut_call(spec, call, rows, 0, call.steps);
    for (const int row : rows) part.lengths.push_back(call.lengths[row]);
    report(same_bits(forward(runner, part), cut_result(spec, result, call, rows, 0, call.steps)),
           __FILE__, __LINE__, std::string("many rows, ") + tier_name(tier));
  }
  if (!is_emulated()) return;
  // On the smallest device a launch of tier G takes some of the slices, and the next ones follow.
  const OtherDevice device(1);
  const Network same(spec, 3, cuda_options(GF_BFLOAT16));
  report(same_bits(forward(Runner(same, 3, kRows, 1, tier), call), result), __FILE__, __LINE__,
         std::string("many rows on the smallest device, ") + tier_name(tier));
}

// The cells in turn, so that each tier meets many of those that it has. ThreadSanitizer's build has
// one precision in each tier, and all of them by tiers, two with tokens and a head and two without.
void check_tier(int tier) {
  int cell = tier;
  for (const int precision : kPrecisions) {
    if (kThreadSanitizer && !in_turn(tier + precision, 4)) continue;
    for (const bool language : {true, false}) {
      if (kSanitized && language != (precision % 2 == 0)) continue;
      const auto fits = [&] {
        const Network network(spec_of(cell, language), 7, cuda_options(precision));
        return tier_fits(network, tier);
      };
      do cell = (cell + 1) % kCells;
      while (!fits());
      check_all(spec_of(cell, language), tier, precision);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (!load_backend()) return 1;
  const std::string only = argc > 1 ? argv[1] : "";
  for (const int tier : kTiers) {
    if (!only.empty() && only != tier_name(tier)) continue;
    check_tier(tier);
    if (kSanitized) continue;
    check_many_rows(tier);
    if (tier != GF_TIER_ALTERNATING) check_long(tier);
  }
  return result();
}
