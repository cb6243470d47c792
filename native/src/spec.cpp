// SPDX-License-Identifier: Apache-2.0
#include "spec.hpp"

#include <iterator>
#include <limits>

#include "cells/cells.hpp"

namespace gatefuse {
namespace {

template <class Cell>
CellInfo info_of() {
  CellInfo info = {{}, Cell::kCellState, Cell::kResetBefore,
                   -1, Cell::kCandidate, Cell::kCandidateApart};
  for (const Block& block : Cell::kBlocks) info.blocks.push_back({block.chunked});
  if constexpr (Cell::kResetBefore) info.reset_block = Cell::kReset;
  return info;
}

const std::vector<CellInfo>& table() {
#define GF_CELL_INFO(Cell) info_of<Cell>(),
  static const std::vector<CellInfo> cells = {GF_FOR_EACH_CELL(GF_CELL_INFO)};
#undef GF_CELL_INFO
  return cells;
}

void at_least(const char* field, int64_t value, int64_t least) {
  if (value < least) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected at least %lld, got %lld", field,
                static_cast<long long>(least), static_cast<long long>(value));
  }
}

}  // namespace

int CellInfo::scans() const {
  int count = 0;
  for (const BlockInfo& block : blocks) count += block.chunked;
  return count;
}

int CellInfo::plain_blocks() const { return static_cast<int>(blocks.size()) - scans(); }

const CellInfo& cell_info(int32_t cell) {
  const auto& cells = table();
  if (cell < 0 || cell >= static_cast<int32_t>(cells.size())) {
    throw Error(GF_INVALID_ARGUMENT, "cell: expected 0 .. %zu, got %d", cells.size() - 1, cell);
  }
  return cells[cell];
}

Spec::Spec(const gf_spec* from) {
  const gf_spec given = read_struct(from, "spec");
  cell = &cell_info(given.cell);
  cell_id = given.cell;
  input = given.input_size;
  hidden = given.hidden_size;
  layers = given.layers;
  directions = given.directions;
  chunk = given.chunk;
  vocabulary = given.vocabulary;
  outputs = given.outputs;
  at_least("input_size", input, 1);
  at_least("hidden_size", hidden, 1);
  at_least("layers", layers, 1);
  at_least("chunk", chunk, 1);
  at_least("vocabulary", vocabulary, 0);
  at_least("outputs", outputs, 0);
  if (directions != 1 && directions != 2) {
    throw Error(GF_INVALID_ARGUMENT, "directions: expected 1 or 2, got %lld",
                static_cast<long long>(directions));
  }
  if (hidden % chunk != 0 || (chunk != 1 && cell->scans() == 0)) {
    throw Error(GF_INVALID_ARGUMENT,
                "chunk: expected a divisor of hidden_size %lld (1 for a cell without a cumulative "
                "softmax), got %lld",
                static_cast<long long>(hidden), static_cast<long long>(chunk));
  }
  if (tensor_count() < 0 || rows() > std::numeric_limits<int32_t>::max()) {
    throw Error(GF_INVALID_ARGUMENT,
                "spec: %lld layers of hidden_size %lld are more than this interface can number",
                static_cast<long long>(layers), static_cast<long long>(hidden));
  }
}

int64_t Spec::rows() const {
  int64_t sum = 0;
  for (const auto& block : cell->blocks) sum += block_rows(block);
  return sum;
}

int32_t Spec::tensor_count() const {
  const int64_t count = slots() * 4 + (vocabulary > 0) + (outputs > 0 ? 2 : 0);
  return count > std::numeric_limits<int32_t>::max() ? -1 : static_cast<int32_t>(count);
}

Spec::Tensor Spec::tensor(int32_t index) const {
  if (index < 0 || index >= tensor_count()) {
    throw Error(GF_INVALID_ARGUMENT, "tensor index: expected 0 .. %d, got %d", tensor_count() - 1,
                index);
  }
  const int64_t slot = index / 4;
  if (slot < slots()) {
    switch (index % 4) {
      case 0:
        return {Role::kWeightIh, slot, rows(), layer_input(slot / directions)};
      case 1:
        return {Role::kWeightHh, slot, rows(), hidden};
      case 2:
        return {Role::kBiasIh, slot, rows(), 1};
      default:
        return {Role::kBiasHh, slot, rows(), 1};
    }
  }
  const int64_t extra = index - slots() * 4 + (vocabulary > 0 ? 0 : 1);
  if (extra == 0) return {Role::kEmbedding, 0, vocabulary, input};
  if (extra == 1) return {Role::kHeadWeight, 0, outputs, directions * hidden};
  return {Role::kHeadBias, 0, outputs, 1};
}

int64_t Spec::parameters() const {
  int64_t sum = 0;
  for (int32_t index = 0; index < tensor_count(); ++index) sum += tensor(index).count();
  return sum;
}

}  // namespace gatefuse
