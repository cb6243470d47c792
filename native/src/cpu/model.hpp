// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "cpu/kernels.hpp"
#include "cpu/memory.hpp"
#include "gatefuse.h"
#include "spec.hpp"

namespace gatefuse::cpu {

// Packed weights of a network for one instruction set.
class Model {
 public:
  Model(const gf_spec* spec, const gf_model_options* options);

  void set_tensor(int32_t index, const float* data, int64_t count);

  // Sets all tensors, one after another in `parameters`, also after sessions exist.
  void update(const float* parameters, int64_t count);

  // How often update has been called.
  int64_t updates() const { return updates_; }

  // Checks that all weights are set and makes what follows from them, for backward passes too if
  // asked. Idempotent, thread-safe.
  void finish(bool backward);

  const Spec& spec() const { return spec_; }
  const Kernels& kernels() const { return *kernels_; }
  int32_t precision() const { return precision_; }
  // What multiplies words of that precision: an instruction, or "".
  const char* instruction() const;
  const LayerWeights& layer(int64_t slot) const { return layers_[slot]; }
  const Pack& head() const { return head_; }
  // For a model that was finished for a backward pass.
  const BackWeights& back(int64_t slot) const { return back_.slots[slot]; }
  const Pack& head_back() const { return back_.head; }
  const GradientRow& gradient_row() const { return gradient_row_; }
  int64_t bytes() const;

  // Row `token` of the embedding, [I].
  const float* embedding(int64_t token) const { return embedding_ + token * spec_.input; }

  // The first layer's projections of every embedding row, made once where they are small enough:
  // [V, row] by direction, else null. One for the plain blocks and one for the chunked.
  const float* token_table(int64_t direction) const { return token_tables_[direction]; }
  const float* token_scan_table(int64_t direction) const { return token_scan_tables_[direction]; }

 private:
  // Where the rows of a block of the cell are packed.
  struct Place {
    Pack* pack;
    int block;  // within a group of that pack
  };

  Pack make_pack(Arena& arena, const char* what, int64_t k, int width, int64_t groups,
                 int32_t precision, bool recurrent = false) const;

  void make_layer(LayerWeights& weights, int64_t input);
  Place place(int64_t slot, bool recurrent, size_t block);
  void pack_tensor(const Spec::Tensor& tensor, const float* data);
  void pack_head(const Spec::Tensor& tensor, const float* data);
  void derive();  // what follows from the tensors, but for the backward pass
  // Rows of a pack: so many, of which `contiguous` lie side by side in each of its groups, from
  // `offset` on.
  struct PackedRows {
    int64_t count;
    int64_t contiguous;
    int64_t offset;
  };
  void turn(const Pack& from, const PackedRows& rows, Pack& to, int64_t place) const;
  // What a backward pass takes besides; all of it or nothing.
  struct Back {
    std::unique_ptr<Arena> arena;  // null until it is asked for
    std::vector<BackWeights> slots;
    Pack head;
  };
  Back make_back() const;
  void fill(Back& back);
  void project_tokens(const Pack& pack, float*& table);

  Spec spec_;
  const Kernels* kernels_;
  int32_t precision_;
  Multiplier multiplier_;
  Arena arena_;
  LayerWeights* layers_ = nullptr;  // [slots]
  Pack head_;
  GradientRow gradient_row_ = {};
  float* embedding_ = nullptr;
  float* token_tables_[2] = {};
  float* token_scan_tables_[2] = {};
  uint32_t* words_ = nullptr;  // for the products that make them
  std::vector<bool> given_;
  int64_t updates_ = 0;
  mutable std::mutex finishing_;  // guards what follows, which sessions read once it is there
  bool finished_ = false;
  Back back_;
};

// GF_ISA_ bits of what this build holds and this processor runs.
int32_t instruction_sets();

// The kernels of that set, the widest for GF_ISA_AUTO; an Error says what there is.
const Kernels& find_kernels(int32_t instruction_set);

// What multiplies weights of that precision on this processor with those kernels, the fastest
// first.
std::vector<Multiplier> multipliers(const Kernels& kernels, int32_t precision);

// Packs the weights [k] of one output, rounded to the pack's precision. The position is that within
// a group's vectors.
void set_row(Pack& pack, int64_t lanes, int64_t group, int64_t position, const float* data);

}  // namespace gatefuse::cpu
