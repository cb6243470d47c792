// SPDX-License-Identifier: Apache-2.0
#include "cpu/backward.hpp"

#include <algorithm>
#include <cstring>

#include "cpu/machine.hpp"

namespace gatefuse::cpu {
namespace {

// Rows of a chunk: many enough that adding its products to the sums costs little beside the
// products, few enough for its factors to stay in the caches.
constexpr int64_t kChunkRows = 512;
constexpr int64_t kWorkPerThread = 24 * 1024;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The width of a pack of so many vectors: the largest that pads least.
int best_width(int64_t vectors) {
  int best = 1;
  for (int width = 2; width <= 4; ++width) {
    if (divide_up(vectors, width) * width <= divide_up(vectors, best) * best) best = width;
  }
  return best;
}

}  // namespace

Backward::Backward(Model& model, const Tape& tape, const Batch& batch, const Masks& masks,
                   Arena& arena, const gf_session_options& options, int threads)
    : model_(model),
      spec_(model.spec()),
      kernels_(model.kernels()),
      cell_(kernels_.cells[spec_.cell_id]),
      places_(model.gradient_row()),
      tape_(tape),
      batch_(batch),
      masks_(masks),
      max_steps_(options.max_steps),
      max_batch_(options.max_batch),
      chunk_rows_(std::max(std::min(kChunkRows, max_steps_ * max_batch_), max_batch_)) {
  const int64_t lanes = kernels_.lanes;
  const int64_t width = spec_.directions * spec_.hidden;
  const int64_t padded = tape_.padded();
  const auto take = [&](const char* what, int64_t rows, int64_t row) {
    return arena.take<float>(what, rows, row);
  };
  const auto padded_to_packs = [&](int64_t values) {
    return divide_up(values, 2 * lanes) * 2 * lanes;
  };
  stride_ = padded_to_packs(spec_.hidden);
  const int64_t widest = std::max(spec_.layers > 1 || spec_.outputs > 0 ? width : 0, spec_.input);
  dx_stride_ = padded_to_packs(widest);

  const int buffers =
      static_cast<int>(std::min<int64_t>(2, spec_.layers - 1 + (spec_.outputs > 0)));
  for (int turn = 0; turn < buffers; ++turn) {
    layers_[turn] = arena.take<float>("session gradients", max_steps_, max_batch_, width);
  }
  zeros_ = take("session gradients", 1, std::max(stride_, std::max(width, spec_.outputs)));
  dh_ = take("session gradients", max_batch_, stride_);
  if (spec_.cell->cell_state) dc_ = take("session gradients", max_batch_, padded);
  da_ = take("session gradients", chunk_rows_, places_.size());
  dx_ = take("session gradients", chunk_rows_, dx_stride_);
  transposed_ = take("session gradients", std::max(places_.size(), spec_.outputs), chunk_rows_);
  if (const int scans = spec_.cell->scans()) {
    dscan_ = take("session gradients", max_batch_ * scans, padded);
    scan_ = take("session gates", chunk_rows_ * scans * 2, padded);
  }
  if (spec_.cell->reset_before) {
    d_gated_ = take("session gradients", max_batch_, stride_);
    gated_ = take("session gates", chunk_rows_, padded);
    gated_pack_ = factor_pack(arena, spec_.hidden);
  }
  input_ = factor_pack(arena, widest);
  hidden_ = factor_pack(arena, spec_.hidden);
  weight_ih_ = {take("session gradients", places_.size(), input_.row() * lanes), 0};
  weight_hh_ = {take("session gradients", places_.size(), hidden_.row() * lanes), 0};
  bias_ = arena.take<double>("session gradients", places_.size());
  if (spec_.outputs > 0) {
    head_.values = take("session gradients", spec_.outputs, input_.row() * lanes);
    head_bias_ = arena.take<double>("session gradients", spec_.outputs);
  }
  if (options.backward == GF_BACKWARD_RECOMPUTE) make_recompute_buffers(arena);

  const int scratch_width = places_.plain + (spec_.cell->reset_before ? kWaitingGroups : 0);
  const int64_t rows = std::max({chunk_rows_, places_.size(), spec_.outputs});
  members_.resize(threads);
  for (Member& member : members_) {
    member.in = arena.take<const float*>("session rows", rows);
    member.add = arena.take<const float*>("session rows", rows);
    member.out = arena.take<float*>("session rows", rows);
    member.offsets = arena.take<int64_t>("session rows", chunk_rows_ + 1);
    member.scratch = options.backward != GF_BACKWARD_RECOMPUTE
                         ? nullptr
                         : arena.take<float>("session scratch", chunk_rows_, scratch_width, lanes);
  }
  int64_t begin = 0;
  for (int32_t index = 0; index < spec_.tensor_count(); ++index) {
    tensors_.push_back(begin);
    begin += spec_.tensor(index).count();
  }
}

// A pack for at most chunk_rows_ rows of so many values.
Pack Backward::factor_pack(Arena& arena, int64_t columns) {
  Pack pack;
  const int64_t lanes = kernels_.lanes;
  // A layer may be narrower than the widest one: any width may come to be the best.
  const int64_t vectors = divide_up(columns, lanes) + 3;
  pack.width = best_width(divide_up(columns, lanes));
  pack.groups = divide_up(divide_up(columns, lanes), pack.width);
  pack.weight = arena.take<float>("session gradients", vectors * chunk_rows_, lanes);
  pack.bias = arena.take<float>("session gradients", vectors, lanes);
  return pack;
}

void Backward::make_recompute_buffers(Arena& arena) {
  const LayerWeights& layer = model_.layer(0);
  const auto take = [&](int64_t row) {
    return arena.take<float>("session pre-activations", chunk_rows_, row);
  };
  h_ = take(tape_.padded());
  spare_h_ = take(tape_.padded());
  if (spec_.cell->cell_state) {
    c_ = take(tape_.padded());
    spare_c_ = take(tape_.padded());
  }
  if (spec_.cell->reset_before) reset_ = take(tape_.padded());
  projected_ = take(layer.input.row() * kernels_.lanes);
  kept_ = take(tape_.kept_row());
  if (tape_.scan_row() > 0) {
    projected_scan_ = take(tape_.scan_row());
    kept_scan_ = take(tape_.scan_row());
  }
}

// ---- A call -----------------------------------------------------------------------------------

void Backward::remember(const gf_io& io) {
  io_ = io;
  last_.remember(model_.updates());
}

int Backward::members_for_work() const {
  const int64_t work = io_.batch * spec_.rows() * (2 * spec_.hidden + spec_.layer_input(0));
  const int64_t useful = std::min(work / kWorkPerThread, model_.back(0).recurrent.groups);
  return static_cast<int>(std::clamp<int64_t>(useful, 1, static_cast<int64_t>(members_.size())));
}

void Backward::propagate(const gf_gradients& gradients) {
  last_.check(model_.updates());
  check_gradients(spec_, gradients);
  // In the caller's memory, and places in ours: whoever changed them gets an error.
  if (io_.tokens != nullptr) batch_.check_values("tokens", io_.tokens, spec_.vocabulary);
  g_ = gradients;
  team::run(*this, barrier_, members_for_work());
}

void Backward::run(int member, int members) {
  const StandardFloatingPoint standard;
  Member me = members_[member];
  me.index = member;
  me.count = members;
  clear(me);
  barrier_.wait();
  if (spec_.outputs > 0) run_head(me);
  for (int64_t layer = spec_.layers - 1; layer >= 0; --layer) {
    for (int64_t direction = 0; direction < spec_.directions; ++direction) {
      run_slot(me, layer, direction);
    }
  }
}

// What is added to.
void Backward::clear(const Member& me) {
  const Range rows = part(me, io_.batch);
  for (int64_t row = rows.begin; row < rows.end && g_.dx != nullptr; ++row) {
    for (int64_t t = batch_.length(row); t < io_.steps; ++t) {
      std::fill_n(g_.dx + batch_.place(t, row) * spec_.input, spec_.input, 0.0f);
    }
  }
  if (spec_.vocabulary > 0 && g_.parameters != nullptr && g_.accumulate == 0) {
    const Range values = part(me, spec_.vocabulary * spec_.input);
    float* embedding = g_.parameters + tensors_[spec_.slots() * 4];
    std::fill(embedding + values.begin, embedding + values.end, 0.0f);
  }
}

// ---- Chunks -----------------------------------------------------------------------------------

Backward::Chunk Backward::chunk(const Member& me, int64_t layer, int64_t direction, int64_t first,
                                int64_t steps) const {
  int64_t offset = 0;
  int rows = io_.batch;
  for (int64_t s = first; s < first + steps; ++s) {
    rows = batch_.active(s, rows);
    me.offsets[s - first] = offset;
    offset += rows;
  }
  me.offsets[steps] = offset;
  return {layer * spec_.directions + direction, layer, direction, first, steps, me.offsets};
}

// Calls f(step, row, index) for the rows of a chunk.
template <class F>
void Backward::for_rows(const Chunk& chunk, F f) const {
  for (int64_t s = chunk.first; s < chunk.first + chunk.steps; ++s) {
    for (int64_t row = 0; row < chunk.rows(s); ++row) f(s, row, chunk.offset(s) + row);
  }
}

const float* Backward::input_row(int64_t layer, int64_t t, int64_t row) const {
  if (layer > 0) return tape_.between(layer - 1, t, row);
  if (io_.tokens != nullptr) return model_.embedding(io_.tokens[batch_.place(t, row)]);
  return io_.x + batch_.place(t, row) * spec_.input;
}

float* Backward::layer_gradient(int64_t layer, int64_t t, int64_t row) const {
  const int64_t width = spec_.directions * spec_.hidden;
  return layers_[layer % 2] + (t * max_batch_ + row) * width;
}

const float* Backward::output_gradient(int64_t layer, int64_t t, int64_t row) const {
  if (layer < spec_.layers - 1 || spec_.outputs > 0) return layer_gradient(layer, t, row);
  if (g_.dy == nullptr) return zeros_;
  return g_.dy + batch_.place(t, row) * spec_.directions * spec_.hidden;
}

// Rows me.in[i] [columns], i < count, as the weights of a product. By groups.
void Backward::pack_rows(const Member& me, Pack& pack, int count, int64_t columns) const {
  const int64_t group_lanes = static_cast<int64_t>(pack.width) * kernels_.lanes;
  const Range groups = part(me, pack.groups);
  for (int64_t group = groups.begin; group < groups.end; ++group) {
    float* to = pack.weight + group * count * group_lanes;
    const int64_t first = group * group_lanes;
    const int64_t there = std::min(group_lanes, columns - first);
    for (int k = 0; k < count; ++k, to += group_lanes) {
      std::memcpy(to, me.in[k] + first, there * sizeof(float));
      std::fill(to + there, to + group_lanes, 0.0f);
    }
  }
}

// Rows me.in[i] [columns], i < count, into transposed_ [columns, count], and their sum. By columns.
void Backward::transpose(const Member& me, int count, int64_t columns, double* sums) const {
  const int64_t lanes = kernels_.lanes;
  const Range vectors = part(me, divide_up(columns, lanes));
  const int64_t begin = vectors.begin * lanes;
  const int64_t end = std::min(columns, vectors.end * lanes);
  if (begin >= end) return;
  kernels_.transpose(count, me.in, begin, end, transposed_ + begin * count, sums);
}

// sums += transposed_ . factor for the rows begin .. end - 1. By rows.
void Backward::add_products(const Member& me, const Pack& factor, int64_t begin, int64_t end,
                            const Sums& sums) const {
  const Range rows = part(me, end - begin);
  const int count = static_cast<int>(rows.end - rows.begin);
  for (int i = 0; i < count; ++i) {
    const int64_t row = begin + rows.begin + i;
    me.in[i] = transposed_ + row * factor.k;
    me.out[i] = sums.values + row * sums.stride;
    me.add[i] = me.out[i];
  }
  kernels_.project(factor, count, me.in, me.add, me.out, nullptr, 0, factor.groups);
}

// ---- The head ---------------------------------------------------------------------------------

void Backward::run_head(const Member& me) {
  const int64_t lanes = kernels_.lanes;
  const int64_t width = spec_.directions * spec_.hidden;
  if (me.index == 0) {
    input_.width = best_width(divide_up(width, lanes));
    input_.groups = divide_up(divide_up(width, lanes), input_.width);
    head_.stride = input_.row() * lanes;
  }
  barrier_.wait();
  const Range rows = part(me, spec_.outputs);
  std::fill(head_.values + rows.begin * head_.stride, head_.values + rows.end * head_.stride, 0.0f);
  std::fill(head_bias_ + rows.begin, head_bias_ + rows.end, 0.0);
  barrier_.wait();
  const int64_t steps = std::max<int64_t>(1, chunk_rows_ / io_.batch);
  for (int64_t first = 0; first < batch_.longest(); first += steps) {
    head_chunk(me, chunk(me, spec_.layers - 1, 0, first,
                         std::min<int64_t>(steps, batch_.longest() - first)));
  }
  store_head(me);
  barrier_.wait();
}

void Backward::head_chunk(const Member& me, const Chunk& chunk) {
  const int64_t layer = spec_.layers - 1;
  const int64_t width = spec_.directions * spec_.hidden;
  const int total = chunk.total();
  const auto logits = [&] {
    for_rows(chunk, [&](int64_t t, int64_t row, int64_t i) {
      me.in[i] = g_.dlogits == nullptr ? zeros_ : g_.dlogits + batch_.place(t, row) * spec_.outputs;
    });
  };
  if (g_.parameters != nullptr && g_.dlogits != nullptr) {
    for_rows(chunk,
             [&](int64_t t, int64_t row, int64_t i) { me.in[i] = tape_.between(layer, t, row); });
    if (me.index == 0) input_.k = total;
    pack_rows(me, input_, total, width);
    logits();
    transpose(me, total, spec_.outputs, head_bias_);
    barrier_.wait();
    add_products(me, input_, 0, spec_.outputs, head_);
  }
  logits();
  for_rows(chunk, [&](int64_t, int64_t, int64_t i) { me.out[i] = dx_ + i * dx_stride_; });
  const Pack& back = model_.head_back();
  const Range groups = part(me, back.groups);
  kernels_.project(back, total, me.in, nullptr, me.out, nullptr, groups.begin, groups.end);
  const int64_t group_lanes = static_cast<int64_t>(back.width) * kernels_.lanes;
  const int64_t begin = groups.begin * group_lanes;
  const int64_t end = std::min(groups.end * group_lanes, width);
  for_rows(chunk, [&](int64_t t, int64_t row, int64_t i) {
    float* to = layer_gradient(layer, t, row);
    const float* dy = g_.dy == nullptr ? zeros_ : g_.dy + batch_.place(t, row) * width;
    for (int64_t k = begin; k < end; ++k) to[k] = dx_[i * dx_stride_ + k] + dy[k];
  });
  barrier_.wait();
}

// ---- A layer in one direction -----------------------------------------------------------------

void Backward::run_slot(const Member& me, int64_t layer, int64_t direction) {
  const int64_t slot = layer * spec_.directions + direction;
  load_slot(me, slot);
  barrier_.wait();
  const int64_t steps = std::max<int64_t>(1, chunk_rows_ / io_.batch);
  const int64_t chunks = divide_up(batch_.longest(), steps);
  for (int64_t i = chunks - 1; i >= 0; --i) {
    const int64_t first = i * steps;
    const Chunk part_of_it =
        chunk(me, layer, direction, first, std::min<int64_t>(steps, batch_.longest() - first));
    prepare(me, part_of_it);
    for (int64_t s = first + part_of_it.steps - 1; s >= first; --s) step(me, part_of_it, s);
    barrier_.wait();
    chunk_products(me, part_of_it);
    barrier_.wait();
  }
  store_slot(me, slot);
  if (g_.parameters != nullptr) store_weights(me, slot);
  barrier_.wait();
}

void Backward::load_slot(const Member& me, int64_t slot) {
  const int64_t lanes = kernels_.lanes;
  const int64_t padded = tape_.padded();
  const int64_t width = spec_.layer_input(slot / spec_.directions);
  if (me.index == 0) {
    input_.width = best_width(divide_up(width, lanes));
    input_.groups = divide_up(divide_up(width, lanes), input_.width);
    weight_ih_.stride = input_.row() * lanes;
    weight_hh_.stride = hidden_.row() * lanes;
  }
  const Range rows = part(me, io_.batch);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t from = (slot * io_.batch + batch_.callers_row(row)) * spec_.hidden;
    const auto load = [&](const float* gradient, float* to, int64_t size) {
      std::fill_n(to, size, 0.0f);
      if (gradient != nullptr) std::copy_n(gradient + from, spec_.hidden, to);
    };
    load(g_.dhn, dh_ + row * stride_, stride_);
    if (dc_ != nullptr) load(g_.dcn, dc_ + row * padded, padded);
  }
  barrier_.wait();
  const Range sums = part(me, places_.size());
  const auto clear = [&](const Sums& matrix) {
    std::fill(matrix.values + sums.begin * matrix.stride, matrix.values + sums.end * matrix.stride,
              0.0f);
  };
  clear(weight_ih_);
  clear(weight_hh_);
  std::fill(bias_ + sums.begin, bias_ + sums.end, 0.0);
}

void Backward::store_slot(const Member& me, int64_t slot) {
  const Range rows = part(me, io_.batch);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const int64_t to = (slot * io_.batch + batch_.callers_row(row)) * spec_.hidden;
    if (g_.dh0 != nullptr) std::copy_n(dh_ + row * stride_, spec_.hidden, g_.dh0 + to);
    if (g_.dc0 != nullptr) std::copy_n(dc_ + row * tape_.padded(), spec_.hidden, g_.dc0 + to);
  }
}

const float* Backward::kept(const Chunk& chunk, int64_t s) const {
  return tape_.keeps_pre_activations() ? tape_.kept(chunk.slot, s)
                                       : kept_ + chunk.offset(s) * tape_.kept_row();
}

const float* Backward::kept_scan(const Chunk& chunk, int64_t s) const {
  return tape_.keeps_pre_activations() ? tape_.kept_scan(chunk.slot, s)
                                       : kept_scan_ + chunk.offset(s) * tape_.scan_row();
}

// Pre-activations and gates of all steps of a chunk.
void Backward::prepare(const Member& me, const Chunk& chunk) {
  const bool recomputed = !tape_.keeps_pre_activations();
  if (recomputed) {
    gather_states(me, chunk);
    barrier_.wait();
    if (scan_ != nullptr) recompute_scans(me, chunk);
  }
  if (scan_ != nullptr) {
    const int64_t size = spec_.cell->scans() * 2 * tape_.padded();
    const Range own = part(me, chunk.total());
    for_rows(chunk, [&](int64_t s, int64_t row, int64_t i) {
      if (i < own.begin || i >= own.end) return;
      kernels_.scan(model_.layer(chunk.slot), kept_scan(chunk, s) + row * tape_.scan_row(),
                    scan_ + i * size);
    });
    barrier_.wait();
  }
  if (recomputed) {
    recompute(me, chunk);
    barrier_.wait();
  }
}

// States before the steps, row by row, and projections of the inputs.
void Backward::gather_states(const Member& me, const Chunk& chunk) {
  const int64_t padded = tape_.padded();
  const Range own = part(me, chunk.total());
  for_rows(chunk, [&](int64_t s, int64_t row, int64_t i) {
    me.in[i] = input_row(chunk.layer, time(chunk, s, row), row);
    me.out[i] = projected_ + i * model_.layer(0).input.row() * kernels_.lanes;
    if (i < own.begin || i >= own.end) return;
    std::copy_n(tape_.hidden(chunk.slot, s) + row * padded, padded, h_ + i * padded);
    if (c_ != nullptr) {
      std::copy_n(tape_.cell(chunk.slot, s) + row * padded, padded, c_ + i * padded);
    }
  });
  const Pack& pack = model_.layer(chunk.slot).input;
  const Range groups = part(me, pack.groups);
  kernels_.project(pack, chunk.total(), me.in, nullptr, me.out, nullptr, groups.begin, groups.end);
}

void Backward::recompute_scans(const Member& me, const Chunk& chunk) {
  const LayerWeights& weights = model_.layer(chunk.slot);
  const int total = chunk.total();
  const Range groups = part(me, weights.scan_input.groups);
  for_rows(chunk, [&](int64_t s, int64_t row, int64_t i) {
    me.in[i] = input_row(chunk.layer, time(chunk, s, row), row);
    me.out[i] = projected_scan_ + i * tape_.scan_row();
  });
  kernels_.project(weights.scan_input, total, me.in, nullptr, me.out, nullptr, groups.begin,
                   groups.end);
  for (int i = 0; i < total; ++i) {
    me.in[i] = h_ + i * tape_.padded();
    me.add[i] = projected_scan_ + i * tape_.scan_row();
    me.out[i] = kept_scan_ + i * tape_.scan_row();
  }
  kernels_.project(weights.scan_recurrent, total, me.in, me.add, me.out, nullptr, groups.begin,
                   groups.end);
  barrier_.wait();
}

// The step of all rows of the chunk at once: none waits for another, since all states are known.
// Without masks: they have no part in what is kept.
void Backward::recompute(const Member& me, const Chunk& chunk) {
  const LayerWeights& weights = model_.layer(chunk.slot);
  for (int i = 0; i < chunk.total(); ++i) {
    me.in[i] = projected_ + i * model_.layer(0).input.row() * kernels_.lanes;
  }
  Step step = {};
  step.rows = chunk.total();
  step.h = h_;
  step.h_next = spare_h_;
  step.c = c_;
  step.c_next = spare_c_;
  step.kept = kept_;
  step.x = me.in;
  step.x_group = weights.input.width * kernels_.lanes;
  step.reset = reset_;
  step.scan = scan_;
  step.scratch = me.scratch;
  step.words = nullptr;
  const Range groups = part(me, weights.input.groups);
  if (cell_.reset != nullptr) {
    cell_.reset(weights, step, groups.begin, groups.end);
    barrier_.wait();
  }
  cell_.step(weights, step, groups.begin, groups.end);
}

// One step backwards. A member goes on to the step before without waiting: of the gradients by h it
// needs only those of its own units.
void Backward::step(const Member& me, const Chunk& chunk, int64_t s) {
  const LayerWeights& weights = model_.layer(chunk.slot);
  const int64_t index = chunk.offset(s);
  const int64_t padded = tape_.padded();
  const Pack& recurrent = model_.back(chunk.slot).recurrent;
  const Range groups = part(me, recurrent.groups);
  const int64_t back = recurrent.width;
  const int64_t begin = groups.begin * back;
  const int64_t end = std::min(groups.end * back, weights.input.groups);

  BackwardStep step = {};
  step.rows = chunk.rows(s);
  step.kept = kept(chunk, s);
  step.h = tape_.hidden(chunk.slot, s);
  step.c = tape_.cell(chunk.slot, s);
  step.c_next = tape_.cell(chunk.slot, s + 1);
  step.scan = scan_ == nullptr ? nullptr : scan_ + index * places_.scans * 2 * padded;
  for (int64_t row = 0; row < step.rows; ++row) {
    me.in[row] =
        output_gradient(chunk.layer, time(chunk, s, row), row) + chunk.direction * spec_.hidden;
  }
  step.dy = me.in;
  StepMasks masks;
  if (masks_.any()) {
    masks = masks_.make(chunk.slot, s, step.rows, begin * kernels_.lanes, end * kernels_.lanes);
    step.masks = &masks;
  }
  step.dh = dh_;
  step.dc = dc_;
  step.da = da_ + index * places_.size();
  step.places = &places_;
  step.dscan = dscan_;
  step.gated = gated_ == nullptr ? nullptr : gated_ + index * padded;
  step.d_gated = d_gated_;
  step.stride = stride_;
  cell_.backward(weights, step, begin, end);
  for (int block = 0; block < places_.plain; ++block) {
    clear_padding(step, end, places_.block(block));
  }
  if (places_.apart) clear_padding(step, end, places_.part());
  barrier_.wait();
  if (scan_ != nullptr) {
    const Range rows = part(me, step.rows);
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      kernels_.scan_backward(weights, kept_scan(chunk, s) + row * tape_.scan_row(),
                             dscan_ + row * places_.scans * padded,
                             step.da + row * places_.size() + places_.scan(0));
    }
    barrier_.wait();
  }
  if (cell_.reset_backward != nullptr) through_reset(me, chunk, s, step);
  for (int row = 0; row < step.rows; ++row) {
    me.in[row] = step.da + row * places_.size() + places_.recurrent();
    me.out[row] = dh_ + row * stride_;
    me.add[row] = me.out[row];
  }
  const bool adds = step.masks != nullptr || !spec_.cell->cell_state;
  kernels_.project(recurrent, step.rows, me.in, adds ? me.add : nullptr, me.out, nullptr,
                   groups.begin, groups.end);
}

// Zeros for the lanes past the last unit, by the member that has them: an infinite input makes NaN
// of their weights of zero, and products would make NaN of all with it.
void Backward::clear_padding(const BackwardStep& step, int64_t end_group, int64_t place) const {
  const int64_t padding = tape_.padded() - spec_.hidden;
  if (padding == 0 || end_group * kernels_.lanes != tape_.padded()) return;
  for (int row = 0; row < step.rows; ++row) {
    std::fill_n(step.da + row * places_.size() + place + spec_.hidden, padding, 0.0f);
  }
}

// From the candidate's gradients to those of the reset gate.
void Backward::through_reset(const Member& me, const Chunk& chunk, int64_t,
                             const BackwardStep& step) {
  const LayerWeights& weights = model_.layer(chunk.slot);
  const Pack& back = model_.back(chunk.slot).candidate;
  const Range groups = part(me, back.groups);
  for (int row = 0; row < step.rows; ++row) {
    me.in[row] = step.da + row * places_.size() + places_.block(places_.candidate);
    me.out[row] = d_gated_ + row * stride_;
  }
  kernels_.project(back, step.rows, me.in, nullptr, me.out, nullptr, groups.begin, groups.end);
  const int64_t end = std::min(groups.end * back.width, weights.input.groups);
  cell_.reset_backward(weights, step, groups.begin * back.width, end);
  // Of that gate alone: others still read the candidate's.
  clear_padding(step, end, places_.block(spec_.cell->reset_block));
  barrier_.wait();
}

// ---- Products over the rows of a chunk --------------------------------------------------------

bool Backward::wants_input_gradient(int64_t layer) const {
  if (layer > 0) return true;
  return spec_.vocabulary > 0 ? g_.parameters != nullptr : g_.dx != nullptr;
}

void Backward::chunk_products(const Member& me, const Chunk& chunk) {
  const int total = chunk.total();
  if (g_.parameters != nullptr) {
    if (me.index == 0) input_.k = hidden_.k = gated_pack_.k = total;
    for_rows(chunk, [&](int64_t s, int64_t row, int64_t i) {
      me.in[i] = input_row(chunk.layer, time(chunk, s, row), row);
    });
    pack_rows(me, input_, total, spec_.layer_input(chunk.layer));
    for_rows(chunk, [&](int64_t s, int64_t row, int64_t i) {
      me.in[i] = tape_.hidden(chunk.slot, s) + row * tape_.padded();
    });
    pack_rows(me, hidden_, total, spec_.hidden);
    if (gated_ != nullptr) {
      for (int i = 0; i < total; ++i) me.in[i] = gated_ + i * tape_.padded();
      pack_rows(me, gated_pack_, total, spec_.hidden);
    }
    for (int i = 0; i < total; ++i) me.in[i] = da_ + i * places_.size();
    transpose(me, total, places_.size(), bias_);
    barrier_.wait();
    add_products(me, input_, places_.input(), places_.input() + places_.part(), weight_ih_);
    add_products(me, hidden_, places_.recurrent(), places_.recurrent() + places_.recurrent_size(),
                 weight_hh_);
    if (gated_ != nullptr) add_products(me, gated_pack_, 0, places_.padded, weight_hh_);
  }
  if (wants_input_gradient(chunk.layer)) input_gradient(me, chunk);
}

// By columns.
void Backward::input_gradient(const Member& me, const Chunk& chunk) {
  const Pack& back = model_.back(chunk.slot).input;
  const Range groups = part(me, back.groups);
  for (int i = 0; i < chunk.total(); ++i) {
    me.in[i] = da_ + i * places_.size() + places_.input();
    me.out[i] = dx_ + i * dx_stride_;
  }
  kernels_.project(back, chunk.total(), me.in, nullptr, me.out, nullptr, groups.begin, groups.end);
  const int64_t group_lanes = static_cast<int64_t>(back.width) * kernels_.lanes;
  add_input_gradient(chunk, {groups.begin * group_lanes,
                             std::min(groups.end * group_lanes, spec_.layer_input(chunk.layer))});
}

void Backward::add_input_gradient(const Chunk& chunk, const Range& columns) {
  const bool tokens = chunk.layer == 0 && io_.tokens != nullptr;
  const bool first = chunk.direction == 0 && !tokens;
  float* embedding = tokens ? g_.parameters + tensors_[spec_.slots() * 4] : nullptr;
  for_rows(chunk, [&](int64_t s, int64_t row, int64_t i) {
    const int64_t t = time(chunk, s, row);
    float* to = chunk.layer > 0 ? layer_gradient(chunk.layer - 1, t, row)
                : tokens        ? embedding + io_.tokens[batch_.place(t, row)] * spec_.input
                                : g_.dx + batch_.place(t, row) * spec_.input;
    const float* from = dx_ + i * dx_stride_;
    for (int64_t k = columns.begin; k < columns.end; ++k) {
      to[k] = first ? from[k] : to[k] + from[k];
    }
  });
}

// ---- Gradients by parameters ------------------------------------------------------------------

void Backward::store_weights(const Member& me, int64_t slot) {
  const int32_t tensor = static_cast<int32_t>(slot * 4);
  store_matrix(me, tensor, weight_ih_, false);
  store_matrix(me, tensor + 1, weight_hh_, true);
  if (me.index != 0) return;
  store_bias(tensor + 2, false);
  store_bias(tensor + 3, true);
}

// Where the rows of a block of the cell are among the gradients, in the order of the blocks.
template <class F>
static void for_blocks(const Spec& spec, const GradientRow& places, bool recurrent, F f) {
  int numbers[2] = {};
  for (const auto& block : spec.cell->blocks) {
    const int number = numbers[block.chunked]++;
    f(block.chunked ? places.scan(number)
      : recurrent   ? places.recurrent_block(number)
                    : places.block(number),
      spec.block_rows(block));
  }
}

void Backward::store_matrix(const Member& me, int32_t tensor, const Sums& sums, bool recurrent) {
  const int64_t columns = spec_.tensor(tensor).columns;
  float* to = g_.parameters + tensors_[tensor];
  for_blocks(spec_, places_, recurrent, [&](int64_t place, int64_t rows) {
    const Range own = part(me, rows);
    for (int64_t row = own.begin; row < own.end; ++row) {
      const float* from = sums.values + (place + row) * sums.stride;
      for (int64_t k = 0; k < columns; ++k) {
        float& value = to[row * columns + k];
        value = g_.accumulate != 0 ? value + from[k] : from[k];
      }
    }
    to += rows * columns;
  });
}

void Backward::store_bias(int32_t tensor, bool recurrent) {
  float* to = g_.parameters + tensors_[tensor];
  for_blocks(spec_, places_, recurrent, [&](int64_t place, int64_t rows) {
    for (int64_t row = 0; row < rows; ++row, ++to) {
      const float sum = static_cast<float>(bias_[place + row]);
      *to = g_.accumulate != 0 ? *to + sum : sum;
    }
  });
}

void Backward::store_head(const Member& me) {
  if (g_.parameters == nullptr) return;
  const int32_t tensor = spec_.tensor_count() - 2;
  const int64_t columns = spec_.directions * spec_.hidden;
  float* weight = g_.parameters + tensors_[tensor];
  float* bias = g_.parameters + tensors_[tensor + 1];
  const Range rows = part(me, spec_.outputs);
  const auto store = [&](float& to, float value) { to = g_.accumulate != 0 ? to + value : value; };
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    for (int64_t k = 0; k < columns; ++k) {
      store(weight[row * columns + k], head_.values[row * head_.stride + k]);
    }
    store(bias[row], static_cast<float>(head_bias_[row]));
  }
}

}  // namespace gatefuse::cpu
