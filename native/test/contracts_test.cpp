// SPDX-License-Identifier: Apache-2.0
//
// The promises of gf_forward about bits: from run to run, for every number of threads, cut into
// calls, whatever else is in the batch, in either layout, whichever outputs are asked for; and what
// lies past a sequence's end is neither read nor left unwritten.
#include <string>

#include "cpu/team.hpp"
#include "cutting.hpp"

using namespace gatefuse;
using namespace gatefuse::test;

namespace {

constexpr int kSteps = kSanitized ? 20 : 40;
constexpr int kBatch = 21;
// A session of so many rows cuts time into segments of 16 steps, where layers wait for each other.
constexpr int kWide = 128;

// A network and the two kinds of sessions for it: with time in segments, and with time in one
// piece.
struct Subject {
  Subject(const gf_spec& spec, int32_t set, const std::string& called)
      : name(called + " " + kCellNames[spec.cell] + " " + set_name(set)),
        network(spec, 7, set),
        wide(network, kSteps, kWide, 1),
        narrow(network, kSteps, kBatch, 1) {}

  std::string name;
  Network network;
  Runner wide, narrow;

  const gf_spec& spec() const { return network.spec; }
};

void expect(bool good, const Subject& subject, const char* what, int line) {
  report(good, __FILE__, line, good ? "" : subject.name + ": " + what);
}
#define EXPECT(condition, subject) expect((condition), (subject), #condition, __LINE__)

// ---- The promises -----------------------------------------------------------------------------

void check_again_and_threads(const Subject& subject, const Call& call, const Result& result) {
  EXPECT(same_bits(forward(subject.wide, call), result), subject);
  EXPECT(same_bits(forward(subject.narrow, call), result), subject);
  for (const int threads : {2, 3}) {
    const Runner team(subject.network, kSteps, kWide, threads);
    EXPECT(same_bits(forward(team, call), result), subject);
  }
}

// A session that has run something else keeps nothing of it.
void check_leaves_nothing(const Subject& subject, const Call& call, const Result& result) {
  forward(subject.wide, random_call(subject.spec(), 3, kWide, true, true, 99));
  EXPECT(same_bits(forward(subject.wide, call), result), subject);
}

// Cut into calls of these many steps, the state carried in place.
void check_chunked(const Subject& subject, const Call& call, const Result& whole) {
  Call part = call;
  int first = 0;
  for (const int steps : {1, kSteps / 2 - 2, 2, kSteps / 2 - 1}) {
    Call next = cut_call(subject.spec(), call, all_rows(call), first, steps);
    next.h0 = part.h0;
    next.c0 = part.c0;
    Result result = make_result(subject.spec(), steps, call.batch);
    gf_io io = make_io(next, result);
    io.hn = pointer(next.h0);  // in place
    io.cn = pointer(next.c0);
    CHECK_EQ(gf_forward(subject.wide.session, &io), GF_OK);
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
  for (int row = 0; row < call.batch; row += kSanitized ? 5 : 1) {
    const int length = call.length(row);
    const Result alone = forward(subject.narrow, cut_call(subject.spec(), call, {row}, 0, length));
    EXPECT(same_bits(alone, cut_result(subject.spec(), result, call, {row}, 0, length)), subject);
  }
}

// The rows in another order, some of them twice: a batch of another height.
void check_other_batch(const Subject& subject, const Call& call, const Result& result) {
  std::vector<int> rows = all_rows(call);
  std::reverse(rows.begin(), rows.end());
  rows.insert(rows.begin() + 5, {3, 3, 11});
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

// Each output by itself.
void check_wanted(const Subject& subject, const Call& call, const Result& result) {
  for (const auto one : {&Result::y, &Result::hn, &Result::cn, &Result::logits, &Result::log_probs,
                         &Result::target_log_probs}) {
    Result actual;
    actual.*one = make_result(subject.spec(), call.steps, call.batch).*one;
    if ((actual.*one).empty()) continue;
    const gf_io io = make_io(call, actual);
    CHECK_EQ(gf_forward(subject.wide.session, &io), GF_OK);
    EXPECT(same_bits(actual.*one, result.*one), subject);
  }
  Result nothing;
  const gf_io io = make_io(call, nothing);
  CHECK_EQ(gf_forward(subject.wide.session, &io), GF_OK);
}

// Missing state is a state of zeros.
void check_no_state(const Subject& subject, Call call) {
  call.h0.assign(call.h0.size(), 0);
  call.c0.assign(call.c0.size(), 0);
  const Result zeros = forward(subject.wide, call);
  call.h0.clear();
  call.c0.clear();
  EXPECT(same_bits(forward(subject.wide, call), zeros), subject);
}

// Past the ends: whatever is in the inputs changes nothing, and the outputs are 0.
void check_past_ends(const Subject& subject, const Call& call, const Result& result) {
  EXPECT(same_bits(forward(subject.wide, spoil_past_ends(subject.spec(), call)), result), subject);
  EXPECT(is_zero_past_ends(subject.spec(), call, result), subject);
}

// NaN in one row's state, and in its input where it has one, stays in that row and is seen there.
void check_nan(const Subject& subject, Call call, const Result& result) {
  const gf_spec& spec = subject.spec();
  const int sick = 4;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  call.h0[int64_t{sick} * spec.hidden_size] = nan;
  if (!call.x.empty()) call.x[int64_t{sick} * spec.input_size] = nan;
  const Result actual = forward(subject.wide, call);
  std::vector<int> others = all_rows(call);
  others.erase(others.begin() + sick);
  EXPECT(same_bits(cut_result(spec, actual, call, others, 0, call.steps),
                   cut_result(spec, result, call, others, 0, call.steps)),
         subject);
  for (const float h : cut_state(spec, actual.hn, call.batch, {sick})) {
    EXPECT(std::isnan(h), subject);
  }
}

void check_all(const gf_spec& spec, int32_t set, const char* called) {
  const Subject subject(spec, set, called);
  const Call full = random_call(spec, kSteps, kBatch, false, true, 11);
  const Result result = forward(subject.wide, full);
  EXPECT(all_finite(result), subject);
  check_again_and_threads(subject, full, result);
  check_leaves_nothing(subject, full, result);
  check_other_batch(subject, full, result);
  check_layout(subject, full, result);
  check_wanted(subject, full, result);
  check_no_state(subject, full);
  check_nan(subject, full, result);
  if (spec.directions == 1) check_chunked(subject, full, result);

  const Call ragged = random_call(spec, kSteps, kBatch, true, true, 12);
  const Result ragged_result = forward(subject.wide, ragged);
  EXPECT(all_finite(ragged_result), subject);
  check_again_and_threads(subject, ragged, ragged_result);
  check_alone(subject, ragged, ragged_result);
  check_other_batch(subject, ragged, ragged_result);
  check_layout(subject, ragged, ragged_result);
  check_past_ends(subject, ragged, ragged_result);
}

// A sanitizer's build has one network for each cell and set: for every cell another by each set,
// for every set each of them with some cells.
void check_cell(int cell, int32_t set, int turn) {
  gf_spec stacked = make_spec(cell, 8, 33, 2, 1);
  if (has_scans(cell)) stacked.chunk = 3;
  if (!kSanitized || in_turn(turn, 3)) check_all(stacked, set, "two layers,");

  gf_spec language = make_spec(cell, 5, 33, 2, 1);
  language.vocabulary = 11;
  language.outputs = 19;
  if (!kSanitized || in_turn(turn + 1, 3)) check_all(language, set, "tokens and head,");

  gf_spec both = make_spec(cell, 3, 17, kSanitized ? 1 : 2, 2);
  both.outputs = 5;
  if (!kSanitized || in_turn(turn + 2, 3)) check_all(both, set, "two directions,");
}

}  // namespace

int main() {
  if (test::instruction_sets().empty()) return kSkipped;
  cpu::team::set_limit_for_tests(3);
  int turn = 0;
  for (const int32_t set : test::instruction_sets()) {
    for (int cell = 0; cell < kCells; ++cell) check_cell(cell, set, turn++);
  }
  return result();
}
