// SPDX-License-Identifier: Apache-2.0
#include "cuda/tape.hpp"

#include <algorithm>

namespace gatefuse::cuda {

Tape::Tape(const Model& model, DeviceArena& arena, cudaStream_t stream,
           const gf_session_options& options)
    : model_(model),
      mode_(options.backward),
      max_steps_(options.max_steps),
      max_batch_(options.max_batch),
      hidden_(model.spec().hidden),
      width_(model.spec().directions * model.spec().hidden),
      rows_(model.spec().rows()) {
  const Spec& spec = model.spec();
  between_depth_ = keeps_states() ? spec.layers - 1 : std::min<int64_t>(2, spec.layers - 1);
  const auto take = [&](const char* what, int64_t steps, int64_t row) {
    return arena.take<float>(stream, what, steps, max_batch_, row);
  };
  if (between_depth_ > 0) {
    between_ = take("session results between layers", between_depth_ * max_steps_, width_);
  }
  if (!keeps_states()) return;
  h_ = take("session states", spec.slots() * (max_steps_ + 1), hidden_);
  if (spec.cell->cell_state) c_ = take("session states", spec.slots() * (max_steps_ + 1), hidden_);
  if (!keeps_pre_activations()) return;
  kept_ = take("session pre-activations", spec.slots() * max_steps_, rows_);
  if (spec.cell->candidate_apart) {
    candidate_ = take("session pre-activations", spec.slots() * max_steps_, hidden_);
  }
}

Rows Tape::input_rows(int64_t layer, const Pass& pass) const {
  Rows rows = {};
  rows.count = pass.steps * call_.sequences.batch;
  rows.pass = pass;
  rows.stride = model_.spec().layer_input(layer);
  rows.kind = Rows::kInputs;
  if (layer > 0) {
    rows.base = between(layer - 1);
  } else if (call_.tokens == nullptr) {
    rows.base = call_.x;
  } else {
    rows.kind = Rows::kTokens;
    rows.base = model_.embedding();
    rows.tokens = call_.tokens;
    rows.vocabulary = static_cast<int32_t>(model_.spec().vocabulary);
    rows.unknown = model_.unknown();
  }
  return rows;
}

}  // namespace gatefuse::cuda
