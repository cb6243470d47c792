// SPDX-License-Identifier: Apache-2.0
#include "cpu/session.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "cpu/machine.hpp"

namespace gatefuse::cpu {
namespace {

// Rows whose input projections are made at once: enough for the product to run at the speed of the
// multipliers, few enough for the results to stay in the L2 cache.
constexpr int64_t kChunkRows = 64;
constexpr int kHeadRows = 32;
// Rows of a block: enough for a product to run at the speed of the multipliers, few enough for what
// a step touches to stay in the L2 cache beside the weights that stream through it.
constexpr int64_t kBlockRows = 256;
// From so many rows a step projects its own input, a group of units at a time, and the sums never
// leave the L1 cache: a product over one step's rows is as fast as one over those of several.
constexpr int kRowsToProjectWithin = 16;
// Rows of a segment, where results wait between layers.
constexpr int64_t kSegmentRows = 2048;
// Multiply-adds of a step below which a further thread costs more than it brings: some
// microseconds.
constexpr int64_t kWorkPerThread = 24 * 1024;

const char* name_of(int32_t precision) {
  return precision == GF_FLOAT32 ? "float32" : precision == GF_BFLOAT16 ? "bfloat16" : "int8";
}

void only(const char* name, const char* expected, int32_t value, int32_t allowed) {
  if (value == allowed) return;
  throw Error(GF_INVALID_ARGUMENT, "%s: expected %s (%d) on the CPU, got %d", name, expected,
              allowed, value);
}

const gf_session_options& checked(const gf_session_options& options, const Model& model) {
  in_range("max_steps", options.max_steps, 1, INT32_MAX);
  in_range("max_batch", options.max_batch, 1, INT32_MAX);
  in_range("threads", options.threads, 0, INT32_MAX);
  in_range("backward", options.backward, GF_BACKWARD_NONE, GF_BACKWARD_RECOMPUTE);
  if (options.backward != GF_BACKWARD_NONE && model.precision() != GF_FLOAT32) {
    throw Error(GF_INVALID_ARGUMENT,
                "backward: expected GF_BACKWARD_NONE in %s on the CPU, which goes back in float32 "
                "only; got %d",
                name_of(model.precision()), options.backward);
  }
  only("tier", "GF_TIER_AUTO", options.tier, GF_TIER_AUTO);
  only("products", "GF_PRODUCTS_OWN", options.products, GF_PRODUCTS_OWN);
  return options;
}

// The batch is a block where a backward pass is to go over all of it.
gf_session_options of_block(gf_session_options options) {
  if (options.backward == GF_BACKWARD_NONE && options.max_batch > kBlockRows) {
    options.max_batch = kBlockRows;
  }
  return options;
}

void check_completion(int32_t completion) {
  in_range("completion", completion, GF_ON_RETURN, GF_ON_STREAM);
  if (completion != GF_ON_RETURN) wrong("completion", "GF_ON_RETURN on the CPU", "GF_ON_STREAM");
}

// The whole call where the reverse direction needs it, where nothing waits between layers, and for
// a backward pass.
int64_t segment_steps(const Spec& spec, const gf_session_options& options) {
  const bool waits = spec.layers > 1 || spec.outputs > 0;
  if (!waits || spec.directions == 2 || options.backward != GF_BACKWARD_NONE) {
    return options.max_steps;
  }
  return std::min<int64_t>(options.max_steps,
                           std::max<int64_t>(16, kSegmentRows / options.max_batch));
}

}  // namespace

Session::Session(Model& model, const gf_session_options& options, Memory memory)
    : model_(model),
      spec_(model.spec()),
      kernels_(model.kernels()),
      arena_(memory == kMeasured),
      max_steps_(checked(options, model).max_steps),
      max_batch_(options.max_batch),
      block_options_(of_block(options)),
      max_rows_(block_options_.max_batch),
      segment_(segment_steps(spec_, block_options_)),
      tape_(model, arena_, block_options_, segment_),
      asked_threads_(options.threads),
      masks_(model, block_options_, batch_, arena_) {
  threads_ = options.threads == 0 ? usable_processors() : options.threads;
  threads_ = memory == kTaken ? team::prepare(threads_) : team::members(threads_);
  const LayerWeights& layer = model_.layer(0);
  const int64_t lanes = kernels_.lanes;
  const int64_t padded = layer.padded;
  chunk_rows_ = std::max(kChunkRows, max_rows_);

  projected_ = arena_.take<float>("session projections", chunk_rows_, layer.input.row(), lanes);
  if (const int scans = spec_.cell->scans()) {
    projected_scan_ =
        arena_.take<float>("session projections", chunk_rows_, layer.scan_input.row(), lanes);
    pre_scan_ = arena_.take<float>("session scan", max_rows_, layer.scan_recurrent.row(), lanes);
    scan_ = arena_.take<float>("session scan", max_rows_, 2 * scans, padded);
  }
  if (spec_.cell->reset_before) reset_ = arena_.take<float>("session reset", max_rows_, padded);
  int32_t* rows = arena_.take<int32_t>("session order", 3, max_batch_);
  batch_.use(rows, rows + max_batch_, rows + 2 * max_batch_);
  states_.use(arena_.take<int32_t>("session order", StateRows::size(max_batch_)), max_batch_);

  const int width = layer.input.width + (spec_.cell->reset_before ? kWaitingGroups : 0);
  members_.resize(threads_);
  for (int i = 0; i < threads_; ++i) {
    Member& member = members_[i];
    member.scratch = arena_.take<float>("session scratch", max_rows_, width, lanes);
    const int64_t rows = std::max<int64_t>(chunk_rows_, kHeadRows);
    member.in = arena_.take<const float*>("session rows", rows);
    member.out = arena_.take<float*>("session rows", rows);
    take_x_sums(member);
    if (spec_.outputs > 0) {
      member.logits = arena_.take<float>("session logits", kHeadRows, model_.head().row(), lanes);
    }
  }
  if (model_.precision() != GF_FLOAT32) take_words();
  if (tape_.keeps_all()) {
    backward_ =
        std::make_unique<Backward>(model_, tape_, batch_, masks_, arena_, options, threads_);
  }
  // Last: where the session cannot be had, the model's tensors may still change.
  if (memory == kTaken) model_.finish(tape_.keeps_all());
}

// Cells with scans have a second projection, and those that reset before one that their products
// do not fit; words are read once for all groups.
void Session::take_x_sums(Member& member) {
  member.x_sums = nullptr;
  const bool can =
      spec_.cell->scans() == 0 && !spec_.cell->reset_before && model_.precision() == GF_FLOAT32;
  if (!can || max_rows_ < kRowsToProjectWithin) return;
  const int64_t size = model_.layer(0).input.width * kernels_.lanes;
  member.x_sums = arena_.take<float>("session scratch", max_rows_, size);
  member.x_rows = arena_.take<const float*>("session rows", max_rows_);
  if (arena_.measures()) return;
  for (int64_t row = 0; row < max_rows_; ++row) member.x_rows[row] = member.x_sums + row * size;
}

// Every member reads all rows of a product for itself: that is little beside its part of the
// product, and nobody waits.
void Session::take_words() {
  const int64_t longest = std::max({spec_.input, spec_.hidden * spec_.directions, spec_.hidden});
  const int64_t rows = std::max<int64_t>(max_rows_, kProjectedRows);
  for (Member& member : members_) {
    member.words = arena_.take<uint32_t>("session rows", rows, words_of_row(longest));
  }
}

void Session::path(char* text, int64_t capacity) const {
  char reason[256] = "";
  if (asked_threads_ > threads_) {
    std::snprintf(reason, sizeof reason, "%d threads asked, at most %d can be had here",
                  asked_threads_, threads_);
  } else if (kernels_.instruction_set != find_kernels(GF_ISA_AUTO).instruction_set) {
    std::snprintf(reason, sizeof reason, "instruction set forced; this processor also runs %s",
                  find_kernels(GF_ISA_AUTO).name);
  }
  char device[128];
  device_name(device, sizeof device);
  std::string instruction = model_.instruction();
  if (!instruction.empty()) instruction = "products=" + instruction + "\n";
  std::snprintf(
      text, static_cast<size_t>(capacity),
      "backend=cpu\ndevice=%s\ninstruction_set=%s\nprecision=%s\nthreads=%d\nreason=%s\n%s%s%s",
      device, kernels_.name, name_of(model_.precision()), threads_, reason, instruction.c_str(),
      choices().c_str(), masks_.rates().lines().c_str());
}

// What depends on the sizes of a call, and what a step is bound by: one row at a time reads all
// recurrent weights, from the L2 cache where a member's part of them fits it.
std::string Session::choices() const {
  const LayerWeights& layer = model_.layer(spec_.slots() - 1);
  int64_t weights = 0;
  for (const Pack* pack :
       {&layer.recurrent, &layer.reset, &layer.candidate, &layer.scan_recurrent}) {
    weights += pack->bytes(kernels_.lanes);
  }
  weights /= threads_;
  const int64_t l2 = l2_cache_bytes();
  const bool table = spec_.vocabulary > 0 && model_.token_table(0) != nullptr;
  char projection[96];
  std::snprintf(projection, sizeof projection, "in chunks of %lld rows",
                static_cast<long long>(chunk_rows_));
  if (members_[0].x_sums != nullptr) {
    std::snprintf(projection, sizeof projection, "by each step of %d rows or more, else in chunks",
                  kRowsToProjectWithin);
  }
  char second[64] = "";
  if (threads_ > 1) {
    std::snprintf(second, sizeof second, "second_thread_from_rows=%lld\n",
                  static_cast<long long>(rows_for_members(2)));
  }
  char text[512];
  std::snprintf(text, sizeof text,
                "%sinput_projection=%s%s\nrecurrent_weights=%lld KiB a thread%s%s\n", second,
                table ? "by token; of further layers " : "", projection,
                static_cast<long long>(weights / 1024),
                l2 == 0         ? ""
                : weights <= l2 ? ", fit its L2 cache"
                                : ", more than its L2 cache",
                layer.recurrent.gap != 0 ? ", with gaps" : "");
  return text;
}

// ---- Checks -----------------------------------------------------------------------------------

void Session::check(const gf_io& io) const {
  check_call(spec_, io, max_steps_, max_batch_);
  if (io.memory != GF_MEMORY_HOST) wrong("memory", "GF_MEMORY_HOST on the CPU", "GF_MEMORY_DEVICE");
  if (io.state_memory != GF_MEMORY_HOST) {
    wrong("state_memory", "GF_MEMORY_HOST on the CPU", "GF_MEMORY_DEVICE");
  }
  check_completion(io.completion);
  if (io.stream != nullptr) wrong("stream", "null on the CPU", "a pointer");
  check_state_rows(io, tape_.keeps_all());
}

int64_t Session::work_of_row() const {
  const int64_t cells = spec_.rows() * (spec_.hidden + spec_.layer_input(0) / 2);
  return cells + spec_.outputs * spec_.directions * spec_.hidden;
}

int64_t Session::rows_for_members(int64_t members) const {
  return (members * kWorkPerThread + work_of_row() - 1) / work_of_row();
}

int Session::members_for_work() const {
  const int64_t rows = batch_.size();
  const int64_t parts =
      std::max<int64_t>(model_.layer(0).input.groups, spec_.outputs > 0 ? rows : 1);
  const int64_t useful = std::min(rows * work_of_row() / kWorkPerThread, parts);
  return static_cast<int>(std::clamp<int64_t>(useful, 1, threads_));
}

// ---- A call -----------------------------------------------------------------------------------

void Session::forward(const gf_io& io) {
  if (backward_ != nullptr) backward_->forget();
  check(io);
  io_ = io;
  batch_.take(io);
  states_.take(io);
  masks_.take(io);
  if (io_.tokens != nullptr) batch_.check_values("tokens", io_.tokens, spec_.vocabulary);
  if (io_.target_log_probs != nullptr) {
    batch_.check_values("targets", io_.targets, spec_.outputs);
  }
  const int64_t blocks = (io.batch + max_rows_ - 1) / max_rows_;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = io.batch * block / blocks;
    batch_.focus(static_cast<int32_t>(first),
                 static_cast<int32_t>(io.batch * (block + 1) / blocks - first));
    team::run(*this, barrier_, members_for_work());
  }
  if (backward_ != nullptr) backward_->remember(io_);
}

void Session::run(int member, int members) {
  const StandardFloatingPoint standard;
  Member me = members_[member];
  me.index = member;
  me.count = members;
  load_state(me);
  barrier_.wait();
  for (int64_t first = 0; first < batch_.longest(); first += segment_) {
    const int64_t steps = std::min<int64_t>(segment_, batch_.longest() - first);
    for (int64_t layer = 0; layer < spec_.layers; ++layer) {
      for (int64_t direction = 0; direction < spec_.directions; ++direction) {
        const int64_t slot = layer * spec_.directions + direction;
        run_pass(me, {layer, direction, first, steps, &model_.layer(slot)});
      }
    }
    if (spec_.outputs > 0) run_head(me, first, steps);
    settle(me, first, steps);
    barrier_.wait();
  }
  store_state(me);
  store_output(me);
  clear_tails(me);
}

void Session::load_state(const Member& me) {
  const int64_t padded = tape_.padded();
  const Range rows = part(me, batch_.size());
  for (int64_t slot = 0; slot < spec_.slots(); ++slot) {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const int64_t from = states_.place(slot, batch_.callers_row(row)) * spec_.hidden;
      const auto load = [&](const float* state, float* to) {
        if (state == nullptr) {
          std::fill_n(to, padded, 0.0f);
        } else {
          std::copy_n(state + from, spec_.hidden, to);
          std::fill(to + spec_.hidden, to + padded, 0.0f);
        }
      };
      load(io_.h0, tape_.hidden(slot, 0) + row * padded);
      if (tape_.cell(slot, 0) != nullptr) load(io_.c0, tape_.cell(slot, 0) + row * padded);
    }
  }
}

void Session::store_state(const Member& me) {
  const Range rows = part(me, batch_.size());
  for (int64_t slot = 0; slot < spec_.slots(); ++slot) {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const int64_t to = states_.place(slot, batch_.callers_row(row)) * spec_.hidden;
      const int64_t at = row * tape_.padded();
      const int64_t last = final_step(row);
      if (io_.hn != nullptr) {
        std::copy_n(tape_.hidden(slot, last) + at, spec_.hidden, io_.hn + to);
      }
      if (io_.cn != nullptr) std::copy_n(tape_.cell(slot, last) + at, spec_.hidden, io_.cn + to);
    }
  }
}

// Brings the hidden states back to the first buffer: a row that took an odd number of steps in this
// segment has its own in the second.
void Session::settle(const Member& me, int64_t first, int64_t steps) {
  if (tape_.keeps_all()) return;
  const int64_t padded = tape_.padded();
  const Range rows = part(me, batch_.active(first, batch_.size()));
  for (int64_t slot = 0; slot < spec_.slots(); ++slot) {
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      if (std::min<int64_t>(batch_.length(row) - first, steps) % 2 == 1) {
        std::copy_n(tape_.hidden(slot, 1) + row * padded, padded,
                    tape_.hidden(slot, 0) + row * padded);
      }
    }
  }
}

void Session::store_output(const Member& me) {
  if (io_.y == nullptr || !tape_.keeps_all() || spec_.outputs == 0) return;
  const int64_t width = spec_.directions * spec_.hidden;
  const Range rows = part(me, batch_.size());
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    for (int64_t t = 0; t < batch_.length(row); ++t) {
      std::copy_n(tape_.between(spec_.layers - 1, t, row), width,
                  io_.y + batch_.place(t, row) * width);
    }
  }
}

void Session::clear_tails(const Member& me) {
  const Range rows = part(me, batch_.size());
  const auto clear = [&](float* tensor, int64_t size, int64_t row) {
    for (int64_t t = batch_.length(row); tensor != nullptr && t < io_.steps; ++t) {
      std::fill_n(tensor + batch_.place(t, row) * size, size, 0.0f);
    }
  };
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    clear(io_.y, spec_.directions * spec_.hidden, row);
    clear(io_.logits, spec_.outputs, row);
    clear(io_.log_probs, spec_.outputs, row);
    clear(io_.target_log_probs, 1, row);
  }
}

void Session::backward(const gf_gradients& gradients) {
  if (backward_ == nullptr) no_way_back();
  check_completion(gradients.completion);
  backward_->propagate(gradients);
}

// ---- A layer in one direction -----------------------------------------------------------------

const float* Session::input_row(const Pass& pass, int64_t t, int64_t row) const {
  if (pass.layer > 0) return tape_.between(pass.layer - 1, t - pass.first, row);
  if (io_.tokens != nullptr) return model_.embedding(io_.tokens[batch_.place(t, row)]);
  return io_.x + batch_.place(t, row) * spec_.input;
}

bool Session::writes_output(const Pass& pass) const {
  return pass.layer < spec_.layers - 1 || io_.y != nullptr || spec_.outputs > 0;
}

float* Session::output_row(const Pass& pass, int64_t t, int64_t row) const {
  // What a backward pass will read stays here, and is copied to y at the end.
  const bool last = pass.layer == spec_.layers - 1;
  const bool direct = last && io_.y != nullptr && !(tape_.keeps_all() && spec_.outputs > 0);
  float* to = direct ? io_.y + batch_.place(t, row) * spec_.directions * spec_.hidden
                     : tape_.between(pass.layer, t - pass.first, row);
  return to + pass.direction * spec_.hidden;
}

void Session::run_pass(const Member& me, const Pass& pass) {
  const int64_t last = pass.first + pass.steps;
  Chunk chunk = {pass.first, pass.first, 1};
  int rows = batch_.size();
  for (int64_t s = pass.first; s < last; ++s) {
    rows = batch_.active(s, rows);
    if (s >= chunk.end && !has_table(pass) && !projects_within(me, pass, rows)) {
      chunk = {s, std::min(s + std::max<int64_t>(1, chunk_rows_ / rows), last), rows};
      project(me, pass, chunk);
    }
    step(me, pass, s, chunk, rows);
  }
}

// Whether the projections of all tokens are there.
bool Session::has_table(const Pass& pass) const {
  return pass.layer == 0 && io_.tokens != nullptr && model_.token_table(pass.direction) != nullptr;
}

bool Session::projects_within(const Member& me, const Pass& pass, int rows) const {
  return me.x_sums != nullptr && rows >= kRowsToProjectWithin && !has_table(pass);
}

void Session::project(const Member& me, const Pass& pass, const Chunk& chunk) {
  const auto run = [&](const Pack& pack, float* projected) {
    const Range groups = part(me, pack.groups);
    if (groups.begin == groups.end) return;
    const int64_t size = pack.row() * kernels_.lanes;
    int count = 0;
    int rows = static_cast<int>(chunk.rows);
    for (int64_t s = chunk.begin; s < chunk.end; ++s) {
      rows = batch_.active(s, rows);
      for (int64_t row = 0; row < rows; ++row) {
        me.in[count] = input_row(pass, time(pass, s, row), row);
        me.out[count++] = projected + ((s - chunk.begin) * chunk.rows + row) * size;
      }
    }
    kernels_.project(pack, count, me.in, nullptr, me.out, me.words, groups.begin, groups.end);
  };
  run(pass.weights->input, projected_);
  run(pass.weights->scan_input, projected_scan_);
}

// One step of the first `rows` rows, and a meeting at its end: what the step wrote, the next one
// reads.
void Session::step(const Member& me, const Pass& pass, int64_t s, const Chunk& chunk, int rows) {
  const LayerWeights& weights = *pass.weights;
  const int64_t slot = pass.layer * spec_.directions + pass.direction;
  const int64_t i = s - pass.first;
  const int64_t padded = tape_.padded();
  const bool within = projects_within(me, pass, rows);
  const auto projected_row = [&](const float* table, const float* projected, const Pack& pack,
                                 int64_t row) {
    const int64_t size = pack.row() * kernels_.lanes;
    if (has_table(pass)) {
      return table + io_.tokens[batch_.place(time(pass, s, row), row)] * size;
    }
    return projected + ((s - chunk.begin) * chunk.rows + row) * size;
  };

  Step step;
  step.rows = rows;
  step.h = tape_.hidden(slot, i);
  step.h_next = tape_.hidden(slot, i + 1);
  step.c = tape_.cell(slot, i);
  step.c_next = tape_.cell(slot, i + 1);
  step.kept = tape_.kept(slot, s);
  step.x = me.in;
  step.x_group = weights.input.width * kernels_.lanes;
  step.in = nullptr;
  step.x_sums = me.x_sums;
  step.y = writes_output(pass) ? me.out : nullptr;
  step.masks = nullptr;
  step.reset = reset_;
  step.scan = scan_;
  step.scratch = me.scratch;
  step.words = me.words;
  step.downwards = i % 2 == 1;

  if (scan_ != nullptr) {
    const Pack& pack = weights.scan_recurrent;
    float* pre_scan = tape_.keeps_pre_activations() ? tape_.kept_scan(slot, s) : pre_scan_;
    const int64_t size = pack.row() * kernels_.lanes;
    const Range groups = part(me, pack.groups);
    const float* add[kHeadRows];
    float* out[kHeadRows];
    for (int64_t first = 0; first < rows; first += kHeadRows) {
      const int count = static_cast<int>(std::min<int64_t>(kHeadRows, rows - first));
      for (int i = 0; i < count; ++i) {
        me.in[i] = step.h + (first + i) * padded;
        add[i] = projected_row(model_.token_scan_table(pass.direction), projected_scan_,
                               weights.scan_input, first + i);
        out[i] = pre_scan + (first + i) * size;
      }
      kernels_.project(pack, count, me.in, add, out, me.words, groups.begin, groups.end);
    }
    barrier_.wait();
    const Range own = part(me, rows);
    for (int64_t row = own.begin; row < own.end; ++row) {
      kernels_.scan(weights, pre_scan + row * size, scan_ + row * spec_.cell->scans() * 2 * padded);
    }
    barrier_.wait();
  }

  if (within) {
    step.in = me.in;
    step.x = me.x_rows;
    step.x_group = 0;
  }
  for (int64_t row = 0; row < rows; ++row) {
    me.in[row] =
        within ? input_row(pass, time(pass, s, row), row)
               : projected_row(model_.token_table(pass.direction), projected_, weights.input, row);
    if (step.y != nullptr) me.out[row] = output_row(pass, time(pass, s, row), row);
  }
  const CellKernels& cell_kernels = kernels_.cells[spec_.cell_id];
  const Range groups = part(me, weights.input.groups);
  if (cell_kernels.reset != nullptr) {
    cell_kernels.reset(weights, step, groups.begin, groups.end);
    barrier_.wait();
  }
  StepMasks masks;
  if (masks_.any()) {
    masks = masks_.make(slot, s, rows, groups.begin * kernels_.lanes, groups.end * kernels_.lanes);
    step.masks = &masks;
  }
  cell_kernels.step(weights, step, groups.begin, groups.end);
  barrier_.wait();
}

// ---- The head ---------------------------------------------------------------------------------

// The rows of the segment, all times of all sequences, are dealt out to the members.
void Session::run_head(const Member& me, int64_t first, int64_t steps) {
  int64_t total = 0;
  int rows = batch_.size();
  for (int64_t t = first; t < first + steps; ++t) total += rows = batch_.active(t, rows);
  const Range own = part(me, total);
  const Pass last{spec_.layers - 1, 0, first, steps, nullptr};
  int64_t places[kHeadRows];
  int count = 0;
  int64_t index = 0;
  rows = batch_.size();
  for (int64_t t = first; t < first + steps && index < own.end; ++t) {
    rows = batch_.active(t, rows);
    const int64_t begin = std::max<int64_t>(0, own.begin - index);
    const int64_t end = std::min<int64_t>(rows, own.end - index);
    for (int64_t row = begin; row < end; ++row) {
      me.in[count] = output_row(last, t, row);
      places[count++] = batch_.place(t, row);
      if (count == kHeadRows) {
        head_rows(me, places, count);
        count = 0;
      }
    }
    index += rows;
  }
  if (count > 0) head_rows(me, places, count);
}

void Session::head_rows(const Member& me, const int64_t* places, int count) {
  const Pack& head = model_.head();
  const int64_t size = head.row() * kernels_.lanes;
  for (int i = 0; i < count; ++i) me.out[i] = me.logits + i * size;
  kernels_.project(head, count, me.in, nullptr, me.out, me.words, 0, head.groups);
  for (int i = 0; i < count; ++i) {
    const float* logits = me.out[i];
    const int64_t at = places[i];
    if (io_.logits != nullptr) std::copy_n(logits, spec_.outputs, io_.logits + at * spec_.outputs);
    if (io_.log_probs == nullptr && io_.target_log_probs == nullptr) continue;
    const double scale = kernels_.log_sum_exp(logits, head.row());
    if (io_.log_probs != nullptr) {
      float* to = io_.log_probs + at * spec_.outputs;
      for (int64_t o = 0; o < spec_.outputs; ++o) to[o] = static_cast<float>(logits[o] - scale);
    }
    if (io_.target_log_probs != nullptr)
      io_.target_log_probs[at] = static_cast<float>(logits[io_.targets[at]] - scale);
  }
}

}  // namespace gatefuse::cpu
