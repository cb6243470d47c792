// SPDX-License-Identifier: Apache-2.0
#include "cpu/tape.hpp"

#include <algorithm>

namespace gatefuse::cpu {

Tape::Tape(const Model& model, Arena& arena, const gf_session_options& options, int64_t segment)
    : mode_(options.backward),
      max_steps_(options.max_steps),
      max_batch_(options.max_batch),
      segment_(segment) {
  const Spec& spec = model.spec();
  const Kernels& kernels = model.kernels();
  const LayerWeights& layer = model.layer(0);
  padded_ = layer.padded;
  width_ = spec.directions * spec.hidden;
  hidden_depth_ = keeps_all() ? max_steps_ + 1 : 2;
  cell_depth_ = keeps_all() ? max_steps_ + 1 : 1;
  between_layers_ = spec.layers - (spec.outputs > 0 ? 0 : 1);
  between_depth_ =
      std::max<int64_t>(1, keeps_all() ? between_layers_ : std::min<int64_t>(2, between_layers_));
  kept_row_ = layer.input.groups * kernels.cells[spec.cell_id].kept * kernels.lanes;
  scan_row_ = layer.scan_recurrent.row() * kernels.lanes;

  const auto take = [&](const char* what, int64_t depth, int64_t row) {
    return arena.take<float>(what, spec.slots() * depth, max_batch_, row);
  };
  h_ = take("session state", hidden_depth_, padded_);
  if (spec.cell->cell_state) c_ = take("session state", cell_depth_, padded_);
  if (between_layers_ > 0) {
    between_ = arena.take<float>("session results between layers", between_depth_ * segment_,
                                 max_batch_, width_);
  }
  if (mode_ == GF_BACKWARD_STORE) {
    kept_ = take("session pre-activations", max_steps_, kept_row_);
    if (scan_row_ > 0) kept_scan_ = take("session pre-activations", max_steps_, scan_row_);
  }
}

}  // namespace gatefuse::cpu
