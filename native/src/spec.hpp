// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "error.hpp"
#include "gatefuse.h"

namespace gatefuse {

// What the host code knows of a cell: the table of cells, for code that is not a template.
struct CellInfo {
  struct BlockInfo {
    bool chunked;
  };
  std::vector<BlockInfo> blocks;
  bool cell_state;
  bool reset_before;
  int reset_block;      // among the plain blocks, where it resets before
  int candidate_block;  // among the plain blocks
  bool candidate_apart;

  int plain_blocks() const;
  int scans() const;
};

// The cell of that number; an Error names the numbers that there are.
const CellInfo& cell_info(int32_t cell);

// A checked network.
struct Spec {
  const CellInfo* cell;
  int32_t cell_id;
  int64_t input, hidden, layers, directions, chunk, vocabulary, outputs;

  // Reads a caller's struct of any size and checks every field.
  explicit Spec(const gf_spec* spec);

  int64_t slots() const { return layers * directions; }
  int64_t layer_input(int64_t layer) const { return layer == 0 ? input : directions * hidden; }
  int64_t block_rows(const CellInfo::BlockInfo& block) const {
    return block.chunked ? hidden / chunk : hidden;
  }
  int64_t rows() const;  // of the parameter matrices

  // What a tensor of the list in gatefuse.h is.
  enum class Role { kWeightIh, kWeightHh, kBiasIh, kBiasHh, kEmbedding, kHeadWeight, kHeadBias };
  struct Tensor {
    Role role;
    int64_t slot;  // layer * directions + direction, for the cell's own tensors
    int64_t rows, columns;
    int64_t count() const { return rows * columns; }
    bool is_bias() const {
      return role == Role::kBiasIh || role == Role::kBiasHh || role == Role::kHeadBias;
    }
  };
  int32_t tensor_count() const;
  Tensor tensor(int32_t index) const;

  // Calls f(index, values, count) for all tensors of an array that holds them one after another; an
  // Error says how many values they have, if it is not `count`.
  template <class T, class F>
  void for_each_tensor(T* values, int64_t count, F f) const;
  int64_t parameters() const;  // values of all tensors
};

template <class T, class F>
void Spec::for_each_tensor(T* values, int64_t count, F f) const {
  if (count != parameters()) {
    throw Error(GF_INVALID_ARGUMENT, "parameters: expected %lld values, got %lld",
                static_cast<long long>(parameters()), static_cast<long long>(count));
  }
  for (int32_t index = 0; index < tensor_count(); ++index) {
    f(index, values, tensor(index).count());
    values += tensor(index).count();
  }
}

// Copies a caller's struct, which may be older and shorter than ours, over a zeroed one.
template <class Struct>
Struct read_struct(const Struct* from, const char* name) {
  if (from == nullptr) throw Error(GF_INVALID_ARGUMENT, "%s: expected a struct, got null", name);
  const uint32_t size = from->struct_size;
  if (size < sizeof size || size > (1u << 16)) {
    throw Error(GF_INVALID_ARGUMENT, "%s.struct_size: expected sizeof(*%s) = %zu, got %u", name,
                name, sizeof(Struct), size);
  }
  Struct copy = {};
  std::memcpy(&copy, from, std::min<size_t>(size, sizeof(Struct)));
  copy.struct_size = sizeof(Struct);
  return copy;
}

}  // namespace gatefuse
