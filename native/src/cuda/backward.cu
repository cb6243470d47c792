// SPDX-License-Identifier: Apache-2.0
#include "cuda/backward.hpp"

#include <algorithm>

#include "cuda/around.hpp"
#include "cuda/launch.hpp"
#include "cuda/products.hpp"

namespace gatefuse::cuda {
namespace {

// Rows of a chunk: many enough for its products to fill the device, and for the launches of its
// steps to cost little beside them.
constexpr int64_t kMostChunkRows = 4096;

}  // namespace

Backward::Backward(const Model& model, const Tape& tape, const Batch& batch, const Draws& draws,
                   DeviceArena& arena, cudaStream_t stream, const gf_session_options& options,
                   const Waits& waits, const Shared& shared)
    : model_(model),
      spec_(model.spec()),
      tape_(tape),
      batch_(batch),
      draws_(draws),
      tier_(choose_backward_tier(spec_, model.precision(), model.device(), options.tier,
                                 options.max_batch)),
      waits_(waits),
      chunk_rows_(std::max<int64_t>(options.max_batch, std::min(kMostChunkRows, shared.rows))),
      rows_(spec_.rows()),
      width_(spec_.directions * spec_.hidden) {
  const CellInfo& cell = *spec_.cell;
  const int64_t max_batch = options.max_batch;
  const auto take = [&](int64_t a, int64_t b, int64_t c = 1) {
    return arena.take<float>(stream, "session gradients", a, b, c);
  };
  const auto take_sums = [&](int64_t outputs, int64_t columns) {
    Sums sums;
    sums.values = take(outputs, columns);
    sums.bias = arena.take<double>(stream, "session gradients", outputs);
    return sums;
  };
  dh_ = take(spec_.slots(), max_batch, spec_.hidden);
  if (cell.cell_state) dc_ = take(spec_.slots(), max_batch, spec_.hidden);
  const int64_t between = spec_.layers - 1 + (spec_.outputs > 0);
  for (int64_t turn = 0; turn < std::min<int64_t>(2, between); ++turn) {
    layers_[turn] = take(options.max_steps, max_batch, width_);
  }
  const int64_t recurrent = rows_ - (cell.reset_before ? spec_.hidden : 0);
  da_ = take(chunk_rows_, rows_);
  if (cell.candidate_apart || cell.reset_before) da_recurrent_ = take(chunk_rows_, recurrent);
  if (cell.reset_before) {
    da_candidate_ = take(chunk_rows_, spec_.hidden);
    reset_ = take(chunk_rows_, spec_.hidden);
    d_reset_ = take(max_batch, spec_.hidden);
    candidate_sums_ = take_sums(spec_.hidden, spec_.hidden);
  }
  if (const int scans = cell.scans()) {
    gates_ = take(chunk_rows_, 2 * scans, spec_.hidden);
    if (tier_.persistent()) {
      make_by_unit(arena, stream);
    } else {
      d_gates_ = take(max_batch, scans, spec_.hidden);
    }
  }
  if (spec_.vocabulary > 0) dx_ = take(chunk_rows_, spec_.input);
  input_ = take_sums(rows_, std::max(spec_.input, spec_.layers > 1 ? width_ : 0));
  recurrent_ = take_sums(recurrent, spec_.hidden);
  if (spec_.outputs > 0) head_ = take_sums(spec_.outputs, width_);
  if (options.backward == GF_BACKWARD_RECOMPUTE) {
    make_recompute_buffers(arena, stream, shared.projections);
  }
  masks_ = shared.masks;
  if (tier_.exchange == Exchange::kGrid) make_exchange(arena, stream, max_batch);
}

void Backward::make_recompute_buffers(DeviceArena& arena, cudaStream_t stream, float* projections) {
  const CellInfo& cell = *spec_.cell;
  const auto take = [&](int64_t row) {
    return arena.take<float>(stream, "session pre-activations", chunk_rows_, row);
  };
  kept_ = projections;
  products_ = take(rows_ - (cell.reset_before ? spec_.hidden : 0));
  if (cell.candidate_apart || cell.reset_before) candidate_ = take(spec_.hidden);
}

// Gaps are zeros, which nobody writes.
void Backward::make_by_unit(DeviceArena& arena, cudaStream_t stream) {
  const CellInfo& cell = *spec_.cell;
  const int64_t width = spec_.hidden * (cell.plain_blocks() + cell.scans());
  by_unit_.outputs = static_cast<int32_t>(spec_.hidden);
  by_unit_.k = static_cast<int32_t>(width);
  by_unit_.stride = static_cast<int32_t>((width + kTileK - 1) / kTileK * kTileK);
  with_precision(model_.precision(), [&](auto p) {
    by_unit_.weight = arena.take<typename decltype(p)::Storage>(stream, "session weights",
                                                                spec_.hidden, by_unit_.stride);
  });
}

void Backward::make_exchange(DeviceArena& arena, cudaStream_t stream, int64_t max_batch) {
  const PersistentShape& shape = tier_.shape;
  const int64_t slices = (max_batch + kSliceRows - 1) / kSliceRows;
  const int64_t parts = std::min<int64_t>(slices, tier_.slices_at_once) * 2 * shape.parts;
  const int64_t units = int64_t{shape.blocks} * shape.units();
  exchange_ = arena.take<float>(stream, "session exchange", parts, units, kSliceRows);
  arrived_ = arena.take<unsigned>(stream, "session exchange", slices);
}

// ---- A call -------------------------------------------------------------------------------------

void Backward::propagate(const gf_gradients& gradients, cudaStream_t stream) {
  g_ = gradients;
  stream_ = stream;
  clear();
  load_states();
  if (spec_.outputs > 0) run_head();
  for (int64_t layer = spec_.layers - 1; layer >= 0; --layer) {
    for (int64_t direction = 0; direction < spec_.directions; ++direction) {
      run_slot(layer, direction);
    }
  }
  store_states();
}

// What is added to, and what no step writes.
void Backward::clear() {
  const auto zero = [&](float* values, int64_t count) {
    check(cudaMemsetAsync(values, 0, static_cast<size_t>(count) * sizeof(float), stream_),
          "gradients");
  };
  const Sequences& sequences = tape_.call().sequences;
  if (g_.dx != nullptr && batch_.ragged()) {
    zero(g_.dx, int64_t{sequences.steps} * sequences.batch * spec_.input);
  }
  if (spec_.vocabulary > 0 && g_.parameters != nullptr && g_.accumulate == 0) {
    zero(tensor(static_cast<int32_t>(spec_.slots() * 4)), spec_.vocabulary * spec_.input);
  }
}

void Backward::load_states() {
  const StateArguments state = {tape_.call().sequences, spec_.slots(),
                                static_cast<int32_t>(spec_.hidden)};
  load_state(state, g_.dhn, dh_, stream_);
  if (dc_ != nullptr) load_state(state, g_.dcn, dc_, stream_);
}

void Backward::store_states() {
  const StateArguments state = {tape_.call().sequences, spec_.slots(),
                                static_cast<int32_t>(spec_.hidden)};
  if (g_.dh0 != nullptr) store_state(state, dh_, g_.dh0, stream_);
  if (g_.dc0 != nullptr) store_state(state, dc_, g_.dc0, stream_);
}

Pass Backward::pass_of(int64_t direction, int32_t first, int32_t steps) const {
  return {tape_.call().sequences, first, steps, direction == 1};
}

int32_t Backward::chunk_steps() const {
  return static_cast<int32_t>(std::max<int64_t>(1, chunk_rows_ / batch_.size()));
}

// Rows of a pass that lie step by step.
Rows Backward::rows_of(const Pass& pass, const float* base, int64_t stride) const {
  Rows rows = {};
  rows.kind = Rows::kSteps;
  rows.count = pass.steps * batch_.size();
  rows.pass = pass;
  rows.base = base;
  rows.stride = stride;
  return rows;
}

// Rows of a pass that lie at the caller's places.
Rows Backward::placed_rows(const Pass& pass, const float* base, int64_t stride) const {
  Rows rows = rows_of(pass, base, stride);
  rows.kind = Rows::kInputs;
  return rows;
}

// Of all that is given, where its values begin among the gradients by the parameters.
float* Backward::tensor(int32_t index) const {
  float* to = g_.parameters;
  for (int32_t i = 0; i < index; ++i) to += spec_.tensor(i).count();
  return to;
}

// By the results of a layer in one direction, by the caller's place; null: zeros.
const float* Backward::output_gradient(int64_t slot) const {
  const int64_t layer = slot / spec_.directions;
  const bool own = layer < spec_.layers - 1 || g_.dlogits != nullptr;
  const float* of_both = own ? layers_[layer % 2] : g_.dy;
  return of_both == nullptr ? nullptr : of_both + slot % spec_.directions * spec_.hidden;
}

float* Backward::hidden_gradient(int64_t slot) const {
  return dh_ + slot * batch_.size() * spec_.hidden;
}

float* Backward::cell_gradient(int64_t slot) const {
  return dc_ == nullptr ? nullptr : dc_ + slot * batch_.size() * spec_.hidden;
}

void Backward::multiply_rows(const Product& product) const {
  multiply(model_.precision(), product, stream_);
}

// ---- The head -----------------------------------------------------------------------------------

void Backward::run_head() {
  if (g_.dlogits != nullptr) {
    const Sequences& sequences = tape_.call().sequences;
    const int64_t places = int64_t{sequences.steps} * sequences.batch;
    float* to = layers_[(spec_.layers - 1) % 2];
    for (int64_t first = 0; first < places; first += chunk_rows_) {
      Rows rows = {};
      rows.kind = Rows::kPlaces;
      rows.count = static_cast<int32_t>(std::min(chunk_rows_, places - first));
      rows.base = g_.dlogits;
      rows.stride = spec_.outputs;
      rows.pass.sequences = sequences;
      rows.offset = first;
      const float* add = g_.dy == nullptr ? nullptr : g_.dy + first * width_;
      multiply_rows({model_.head_back(), rows, to + first * width_, width_, add, 0});
    }
  }
  if (g_.parameters != nullptr) head_gradients();
}

// A direction's results are its states after each step.
void Backward::head_gradients() {
  const int64_t top = (spec_.layers - 1) * spec_.directions;
  const int32_t outputs = static_cast<int32_t>(spec_.outputs);
  const auto clear = [&](void* sums, size_t bytes) {
    check(cudaMemsetAsync(sums, 0, bytes, stream_), "gradients");
  };
  clear(head_.values, static_cast<size_t>(spec_.outputs * width_) * sizeof(float));
  clear(head_.bias, static_cast<size_t>(spec_.outputs) * sizeof(double));
  for (int32_t first = 0; first < batch_.longest() && g_.dlogits != nullptr;
       first += chunk_steps()) {
    const int32_t steps = std::min(chunk_steps(), batch_.longest() - first);
    for (int64_t direction = 0; direction < spec_.directions; ++direction) {
      const Pass pass = pass_of(direction, first, steps);
      const Rows logits = placed_rows(pass, g_.dlogits, spec_.outputs);
      const Rows states = rows_of(pass, tape_.hidden(top + direction, first + 1), spec_.hidden);
      add_products(model_.precision(),
                   {logits, outputs, states, static_cast<int32_t>(spec_.hidden),
                    head_.values + direction * spec_.hidden, width_, 1},
                   stream_);
      if (direction == 0) add_rows({logits, outputs, head_.bias, 1}, stream_);
    }
  }
  store_head();
}

void Backward::store_head() {
  const int32_t weight = spec_.tensor_count() - 2;
  const Placement all = {static_cast<int32_t>(spec_.outputs), 0, 1};
  unpack(head_.values, width_, {all, static_cast<int32_t>(width_), tensor(weight), g_.accumulate},
         stream_);
  unpack(head_.bias, {all, 1, tensor(weight + 1), g_.accumulate}, stream_);
}

// ---- A layer in one direction -------------------------------------------------------------------

void Backward::run_slot(int64_t layer, int64_t direction) {
  const int64_t slot = layer * spec_.directions + direction;
  const LayerWeights& weights = model_.layer(slot);
  input_.matrix = &weights.input;
  input_.stride = weights.input.k;
  recurrent_.matrix = &weights.recurrent;
  recurrent_.stride = spec_.hidden;
  candidate_sums_.matrix = &weights.candidate;
  candidate_sums_.stride = spec_.hidden;
  if (draws_.drops(layer)) {
    drop({tape_.call().sequences, static_cast<int32_t>(spec_.hidden),
          layers_[layer % 2] + direction * spec_.hidden, width_, draws_.of_results(slot)},
         stream_);
  }
  if (by_unit_.weight != nullptr) {
    const CellInfo& cell = *spec_.cell;
    transpose_by_unit(model_.precision(), weights.recurrent, by_unit_,
                      {static_cast<int32_t>(spec_.hidden), cell.plain_blocks(), cell.scans(),
                       static_cast<int32_t>(spec_.hidden / spec_.chunk)},
                      stream_);
  }
  const int32_t steps = chunk_steps();
  const int32_t chunks = (batch_.longest() + steps - 1) / steps;
  for (int32_t i = chunks - 1; i >= 0; --i) {
    const int32_t first = i * steps;
    const Chunk chunk =
        prepare(slot, pass_of(direction, first, std::min(steps, batch_.longest() - first)));
    run_steps(chunk);
    if (g_.parameters != nullptr) parameter_sums(chunk);
    input_gradient(chunk);
  }
  if (g_.parameters != nullptr) store_parameters(slot);
}

// Pre-activations and gates of all steps of a chunk.
Backward::Chunk Backward::prepare(int64_t slot, const Pass& pass) {
  const bool recomputed = !tape_.keeps_pre_activations();
  Chunk chunk = {};
  chunk.slot = slot;
  chunk.layer = slot / spec_.directions;
  chunk.pass = pass;
  chunk.last = pass.first + pass.steps == batch_.longest();
  chunk.kept = recomputed ? kept_ : tape_.pre_activations(slot, pass.first);
  chunk.candidate = recomputed ? candidate_ : tape_.candidate(slot, pass.first);
  if (recomputed) recompute(chunk);
  if (gates_ != nullptr) make_gates(spec_.cell_id, chunk_arguments(chunk), stream_);
  return chunk;
}

ChunkArguments Backward::chunk_arguments(const Chunk& chunk) const {
  ChunkArguments arguments = {};
  arguments.pass = chunk.pass;
  arguments.hidden = static_cast<int32_t>(spec_.hidden);
  arguments.slots = static_cast<int32_t>(spec_.hidden / spec_.chunk);
  arguments.chunk = static_cast<int32_t>(spec_.chunk);
  arguments.kept = const_cast<float*>(chunk.kept);
  arguments.kept_stride = rows_;
  arguments.recurrent = products_;
  arguments.recurrent_stride = model_.layer(chunk.slot).recurrent.outputs;
  arguments.candidate = candidate_;
  arguments.h = tape_.hidden(chunk.slot, chunk.pass.first);
  arguments.reset = reset_;
  arguments.gates = gates_;
  arguments.terms = da_;
  return arguments;
}

// All states are known, so none of the chunk's steps waits for another.
void Backward::recompute(const Chunk& chunk) {
  const LayerWeights& weights = model_.layer(chunk.slot);
  const ChunkArguments arguments = chunk_arguments(chunk);
  multiply_rows({weights.input, tape_.input_rows(chunk.layer, chunk.pass), kept_, rows_});
  multiply_rows({weights.recurrent, rows_of(chunk.pass, arguments.h, spec_.hidden), products_,
                 arguments.recurrent_stride});
  add_recurrent(spec_.cell_id, arguments, stream_);
  if (!spec_.cell->reset_before) return;
  make_reset(spec_.cell_id, arguments, stream_);
  multiply_rows(
      {weights.candidate, rows_of(chunk.pass, reset_, spec_.hidden), candidate_, spec_.hidden});
  add_candidate(spec_.cell_id, arguments, stream_);
}

// ---- Steps --------------------------------------------------------------------------------------

void Backward::run_steps(const Chunk& chunk) {
  if (tier_.persistent()) {
    run_persistent(chunk);
    return;
  }
  for (int32_t s = chunk.pass.first + chunk.pass.steps - 1; s >= chunk.pass.first; --s) {
    run_step(chunk, s, batch_.active(s, batch_.size()));
  }
}

// Tiers S, C and G.
void Backward::run_persistent(const Chunk& chunk) {
  launch_slices("backward", tier_, persistent_arguments(chunk), stream_);
}

PersistentBackwardArguments Backward::persistent_arguments(const Chunk& chunk) {
  PersistentBackwardArguments arguments = {};
  arguments.pass = chunk.pass;
  arguments.shape = tier_.shape;
  arguments.recurrent =
      by_unit_.weight != nullptr ? by_unit_ : model_.layer(chunk.slot).recurrent_back;
  arguments.hidden = static_cast<int32_t>(spec_.hidden);
  arguments.rows = batch_.active(chunk.pass.first, batch_.size());
  arguments.slots = static_cast<int32_t>(spec_.hidden / spec_.chunk);
  arguments.chunk = static_cast<int32_t>(spec_.chunk);
  arguments.gates = gates_;
  arguments.kept = chunk.kept;
  arguments.kept_stride = rows_;
  arguments.candidate = chunk.candidate;
  arguments.h = tape_.hidden(chunk.slot, chunk.pass.first);
  arguments.c = tape_.cell(chunk.slot, chunk.pass.first);
  arguments.dy = output_gradient(chunk.slot);
  arguments.dy_stride = width_;
  arguments.dh = hidden_gradient(chunk.slot);
  arguments.dc = cell_gradient(chunk.slot);
  arguments.da = da_;
  arguments.da_recurrent = da_recurrent_;
  arguments.masks =
      store_masks(draws_.of_steps(chunk.slot), chunk.pass, arguments.hidden, masks_, stream_);
  arguments.exchange = exchange_;
  arguments.arrived = arrived_;
  arguments.timed_out = waits_.timed_out;
  arguments.patience = waits_.patience;
  return arguments;
}

// Tier A: the pointwise mathematics, then the product with R.
void Backward::run_step(const Chunk& chunk, int32_t s, int32_t rows) {
  const LayerWeights& weights = model_.layer(chunk.slot);
  const BackwardStepArguments step = step_arguments(chunk, s, rows);
  const auto matrix_rows = [&](const float* base, int64_t stride) {
    Rows of = {};
    of.kind = Rows::kMatrix;
    of.count = rows;
    of.base = base;
    of.stride = stride;
    return of;
  };
  run_backward(spec_.cell_id, step, stream_);
  if (d_gates_ != nullptr) run_scan_backward(spec_.cell_id, step, stream_);
  if (d_reset_ != nullptr) {
    multiply_rows({weights.candidate_back, matrix_rows(step.da_candidate, spec_.hidden), d_reset_,
                   spec_.hidden});
    run_reset_backward(spec_.cell_id, step, stream_);
  }
  const float* gradients = step.da_recurrent != nullptr ? step.da_recurrent : step.da;
  const bool adds = step.masks.any || !spec_.cell->cell_state;
  multiply_rows({weights.recurrent_back, matrix_rows(gradients, step.recurrent_stride), step.dh,
                 spec_.hidden, adds ? step.dh : nullptr, 0});
}

BackwardStepArguments Backward::step_arguments(const Chunk& chunk, int32_t s, int32_t rows) const {
  const int64_t row = int64_t{s - chunk.pass.first} * batch_.size();
  const auto at = [&](auto* base, int64_t stride) {
    return base == nullptr ? nullptr : base + row * stride;
  };
  BackwardStepArguments step = {};
  step.pass = chunk.pass;
  step.s = s;
  step.rows = rows;
  step.hidden = static_cast<int32_t>(spec_.hidden);
  step.slots = static_cast<int32_t>(spec_.hidden / spec_.chunk);
  step.chunk = static_cast<int32_t>(spec_.chunk);
  step.kept = at(chunk.kept, rows_);
  step.kept_stride = rows_;
  step.candidate = at(chunk.candidate, spec_.hidden);
  step.h = tape_.hidden(chunk.slot, s);
  step.c = tape_.cell(chunk.slot, s);
  step.c_next = tape_.cell(chunk.slot, s + 1);
  step.gates = at(gates_, spec_.cell->scans() * 2 * spec_.hidden);
  step.dy = output_gradient(chunk.slot);
  step.dy_stride = width_;
  step.dh = hidden_gradient(chunk.slot);
  step.dc = cell_gradient(chunk.slot);
  step.da = at(da_, rows_);
  step.recurrent_stride = model_.layer(chunk.slot).recurrent.outputs;
  step.da_recurrent = at(da_recurrent_, step.recurrent_stride);
  step.da_candidate = at(da_candidate_, spec_.hidden);
  step.reset = at(reset_, spec_.hidden);
  step.d_reset = d_reset_;
  step.d_gates = d_gates_;
  step.masks = draws_.of_steps(chunk.slot);
  return step;
}

// ---- All rows of a chunk ------------------------------------------------------------------------

void Backward::parameter_sums(const Chunk& chunk) {
  const int32_t accumulate = !chunk.last;
  const auto add = [&](const Sums& to, const float* gradients, const Rows& factors) {
    const Rows rows = rows_of(chunk.pass, gradients, to.matrix->outputs);
    add_products(
        model_.precision(),
        {rows, to.matrix->outputs, factors, to.matrix->k, to.values, to.stride, accumulate},
        stream_);
    add_rows({rows, to.matrix->outputs, to.bias, accumulate}, stream_);
  };
  const float* h = tape_.hidden(chunk.slot, chunk.pass.first);
  add(input_, da_, tape_.input_rows(chunk.layer, chunk.pass));
  add(recurrent_, recurrent_gradients(), rows_of(chunk.pass, h, spec_.hidden));
  if (reset_ != nullptr) {
    add(candidate_sums_, da_candidate_, rows_of(chunk.pass, reset_, spec_.hidden));
  }
}

void Backward::input_gradient(const Chunk& chunk) {
  const Matrix& back = model_.layer(chunk.slot).input_back;
  const Rows rows = rows_of(chunk.pass, da_, rows_);
  const bool tokens = chunk.layer == 0 && spec_.vocabulary > 0;
  if (tokens) {
    if (g_.parameters == nullptr) return;
    multiply_rows({back, rows, dx_, spec_.input});
    add_to_tokens({tape_.input_rows(0, chunk.pass), dx_, static_cast<int32_t>(spec_.input),
                   tensor(static_cast<int32_t>(spec_.slots() * 4))},
                  stream_);
    return;
  }
  float* to = chunk.layer > 0 ? layers_[(chunk.layer - 1) % 2] : g_.dx;
  if (to == nullptr) return;
  const bool second = chunk.slot % spec_.directions == 1;
  multiply_rows({back, rows, to, spec_.layer_input(chunk.layer), second ? to : nullptr, 1});
}

// ---- Gradients by parameters --------------------------------------------------------------------

void Backward::store_parameters(int64_t slot) {
  for (int32_t index = static_cast<int32_t>(slot * 4); index < slot * 4 + 4; ++index) {
    const Spec::Tensor of = spec_.tensor(index);
    float* to = tensor(index);
    for (size_t block = 0; block < spec_.cell->blocks.size(); ++block) {
      const Matrix* matrix = &model_.matrix(of, block);
      const Sums& sums = matrix == input_.matrix       ? input_
                         : matrix == recurrent_.matrix ? recurrent_
                                                       : candidate_sums_;
      const Unpacking unpacking = {model_.placement(of, block), static_cast<int32_t>(of.columns),
                                   to, g_.accumulate};
      if (of.is_bias()) {
        unpack(sums.bias, unpacking, stream_);
      } else {
        unpack(sums.values, sums.stride, unpacking, stream_);
      }
      to += unpacking.at.rows * of.columns;
    }
  }
}

}  // namespace gatefuse::cuda
