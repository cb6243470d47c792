// SPDX-License-Identifier: Apache-2.0
#include "cpu/model.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "batch.hpp"
#include "cpu/machine.hpp"
#include "cpu/operands.hpp"

namespace gatefuse::cpu {
namespace {

// Vectors of a group in the packs of the backward pass: few, so that small layers can be shared
// out.
constexpr int kBackWidth = 2;
// A table of projected tokens larger than this costs more cache than it saves work.
constexpr int64_t kLargestTokenTable = 64 << 20;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

const Kernels* kernels_of(int32_t instruction_set) {
  switch (instruction_set) {
#if defined(__x86_64__)
    case GF_ISA_BASELINE:
      return baseline::kernels();
    case GF_ISA_AVX2:
      return avx2::kernels();
    case GF_ISA_AVX512:
      return avx512::kernels();
#else
    case GF_ISA_GENERIC:
      return generic::kernels();
#endif
    default:
      return nullptr;
  }
}

// So many products of two numbers up to 127 have a sum that fits into 32 bits.
constexpr int64_t kLongestInt8 = 131072;

int32_t checked_precision(const Spec& spec, int32_t precision) {
  if (precision == GF_INT8) {
    in_range("input_size of a network in int8", spec.input, 1, kLongestInt8);
    in_range("directions x hidden_size of a network in int8", spec.directions * spec.hidden, 1,
             kLongestInt8);
  }
  if (precision == GF_FLOAT32 || precision == GF_BFLOAT16 || precision == GF_INT8) return precision;
  throw Error(GF_INVALID_ARGUMENT,
              "precision: expected GF_FLOAT32, GF_BFLOAT16 or GF_INT8 on the CPU, got %d",
              precision);
}

// ---- A row of weights, as a column of a pack: `to` and then every stride-th word ----------------

void set_bfloat16(const float* data, int64_t k, uint32_t* to, int64_t stride) {
  for (int64_t i = 0; i < k; i += 2) {
    const uint32_t second = i + 1 < k ? round_to_bfloat16(data[i + 1]) : 0;
    to[i / 2 * stride] = round_to_bfloat16(data[i]) >> 16 | second;
  }
}

// Gives the scale, and adds up the numbers.
float set_int8(const float* data, int64_t k, uint32_t* to, int64_t stride, int32_t* sum) {
  const Quantized quantized = Quantized::of(data, k);
  *sum = 0;
  for (int64_t i = 0; i < k; i += 4) {
    uint32_t word = 0;
    for (int64_t j = 0; j < 4 && i + j < k; ++j) {
      const uint32_t byte = Quantized::number(data[i + j], quantized.inverse, 0) & 0xff;
      *sum += static_cast<int8_t>(byte);
      word |= byte << (8 * j);
    }
    to[i / 4 * stride] = word;
  }
  return quantized.scale;
}

bool multiplies_words([[maybe_unused]] const Kernels& kernels, [[maybe_unused]] int32_t precision) {
#if defined(__x86_64__)
  if (precision == GF_BFLOAT16) {
    return kernels.multiplies_bfloat16 && __builtin_cpu_supports("avx512bf16");
  }
  if (precision == GF_INT8 && kernels.multiplies_int8) {
    return kernels.instruction_set == GF_ISA_AVX512 ? __builtin_cpu_supports("avx512vnni")
                                                    : has_avx_vnni();
  }
#endif
  return false;
}

// The gap of weights that every step reads, often for one row. Where they come from the L2 cache, a
// step of one row is up to 1.2 times as fast with a line left out after every three or four, on
// processors that foresee whole regions; larger ones would outgrow the cache, smaller ones that
// before it.
int64_t gap_of(const Pack& pack, int64_t lanes) {
  constexpr int64_t kLeast = int64_t{96} << 10;
  const int64_t bytes = pack.bytes(lanes);
  const bool in_l2 = bytes >= kLeast && bytes <= l2_cache_bytes() / 3;
  return in_l2 && may_have_gap(pack.width, lanes) && foresees_regions() ? kGap : 0;
}

}  // namespace

std::vector<Multiplier> multipliers(const Kernels& kernels, int32_t precision) {
  std::vector<Multiplier> all;
  if (precision != GF_FLOAT32 && kernels.multiplies_tiles && has_amx()) {
    all.push_back(Multiplier::kTiles);
  }
  if (multiplies_words(kernels, precision)) all.push_back(Multiplier::kWords);
  all.push_back(Multiplier::kLanes);
  return all;
}

void set_row(Pack& pack, int64_t lanes, int64_t group, int64_t position, const float* data) {
  const int64_t step = pack.step(lanes);
  const int64_t first = group * pack.group_size(lanes) + position;
  if (pack.precision == GF_FLOAT32) {
    float* to = pack.weight + first;
    for (int64_t k = 0; k < pack.k; ++k) to[k * step] = data[k];
    return;
  }
  uint32_t* to = pack.words + first;
  if (pack.precision == GF_BFLOAT16) {
    set_bfloat16(data, pack.k, to, step);
    return;
  }
  const int64_t output = group * pack.width * lanes + position;
  int32_t sum = 0;
  pack.scale[output] = set_int8(data, pack.k, to, step, &sum);
  pack.offset[output] = -128 * sum;
}

int32_t instruction_sets() {
#if defined(__x86_64__)
  int32_t sets = GF_ISA_BASELINE;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) sets |= GF_ISA_AVX2;
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
      (sets & GF_ISA_AVX2) != 0) {
    sets |= GF_ISA_AVX512;
  }
  return sets;
#else
  return GF_ISA_GENERIC;
#endif
}

const Kernels& find_kernels(int32_t instruction_set) {
  const int32_t present = instruction_sets();
  std::string names;
  for (const int32_t set : {GF_ISA_AVX512, GF_ISA_AVX2, GF_ISA_BASELINE, GF_ISA_GENERIC}) {
    if ((present & set) == 0) continue;
    if (instruction_set == GF_ISA_AUTO || instruction_set == set) return *kernels_of(set);
    names += std::string(names.empty() ? "" : ", ") + kernels_of(set)->name;
  }
  if (instruction_set != GF_ISA_GENERIC && instruction_set != GF_ISA_BASELINE &&
      instruction_set != GF_ISA_AVX2 && instruction_set != GF_ISA_AVX512) {
    throw Error(GF_INVALID_ARGUMENT, "instruction_set: expected a GF_ISA_ value, got %d",
                instruction_set);
  }
  const Kernels* asked = kernels_of(instruction_set);
  throw Error(GF_BACKEND_UNAVAILABLE, "instruction set %s: expected one that runs here (%s)",
              asked != nullptr ? asked->name : "that this build does not hold", names.c_str());
}

Model::Model(const gf_spec* spec, const gf_model_options* options)
    : spec_(spec),
      kernels_(&find_kernels(options->instruction_set)),
      precision_(checked_precision(spec_, options->precision)),
      multiplier_(multipliers(*kernels_, precision_).front()),
      given_(spec_.tensor_count()) {
  if (options->device != 0) {
    throw Error(GF_INVALID_ARGUMENT, "device: expected 0 on the CPU, got %d", options->device);
  }
  layers_ = arena_.take<LayerWeights>("layers", spec_.slots());
  for (int64_t slot = 0; slot < spec_.slots(); ++slot) {
    make_layer(layers_[slot], spec_.layer_input(slot / spec_.directions));
  }
  const CellInfo& cell = *spec_.cell;
  gradient_row_ = {cell.plain_blocks(),
                   cell.scans(),
                   cell.candidate_block,
                   cell.candidate_apart,
                   cell.reset_before,
                   layers_[0].padded,
                   layers_[0].scan_input.groups * kernels_->lanes};
  if (spec_.vocabulary > 0) {
    embedding_ = arena_.take<float>("embedding", spec_.vocabulary, spec_.input);
  }
  if (spec_.outputs > 0) {
    const int64_t vectors = divide_up(spec_.outputs, kernels_->lanes);
    head_ = make_pack(arena_, "head", spec_.directions * spec_.hidden, kernels_->head_width,
                      divide_up(vectors, kernels_->head_width), precision_);
    // Lanes past the last output must not count in a softmax.
    std::fill(head_.bias + spec_.outputs, head_.bias + head_.row() * kernels_->lanes,
              kMinusInfinity);
  }
}

Pack Model::make_pack(Arena& arena, const char* what, int64_t k, int width, int64_t groups,
                      int32_t precision, bool recurrent) const {
  Pack pack;
  pack.k = k;
  pack.width = width;
  pack.groups = groups;
  pack.precision = precision;
  pack.multiplier = multiplier_;
  const int64_t lanes = kernels_->lanes;
  if (recurrent) pack.gap = gap_of(pack, lanes);
  // The largest first: where a model cannot be had, nothing has been taken and zeroed in vain.
  if (precision == GF_FLOAT32) {
    pack.weight = arena.take<float>(what, groups, k, pack.step(lanes));
  } else {
    pack.words = arena.take<uint32_t>(what, groups, pack.words_of_column(), pack.step(lanes));
  }
  pack.bias = arena.take<float>(what, pack.row(), lanes);
  if (precision == GF_INT8) {
    pack.scale = arena.take<float>(what, pack.row(), lanes);
    pack.offset = arena.take<int32_t>(what, pack.row(), lanes);
  }
  return pack;
}

const char* Model::instruction() const {
  const bool int8 = precision_ == GF_INT8;
  switch (multiplier_) {
    case Multiplier::kWords:
      return int8 ? "vpdpbusd" : "vdpbf16ps";
    case Multiplier::kTiles:
      return int8 ? "tdpbusd" : "tdpbf16ps";
    default:
      return "";
  }
}

void Model::make_layer(LayerWeights& weights, int64_t input) {
  const CellInfo& cell = *spec_.cell;
  const int64_t lanes = kernels_->lanes;
  const int64_t groups = divide_up(spec_.hidden, lanes);
  weights.hidden = spec_.hidden;
  weights.padded = groups * lanes;
  weights.chunk = spec_.chunk;
  weights.slots = spec_.hidden / spec_.chunk;
  weights.input = make_pack(arena_, "weight_ih", input, cell.plain_blocks(), groups, precision_);
  const int own = cell.reset_before ? 2 : 0;
  weights.recurrent = make_pack(arena_, "weight_hh", spec_.hidden, cell.plain_blocks() - own,
                                groups, precision_, true);
  if (cell.reset_before) {
    weights.reset = make_pack(arena_, "weight_hh", spec_.hidden, 1, groups, precision_);
    weights.candidate = make_pack(arena_, "weight_hh", spec_.hidden, 1, groups, precision_);
  }
  if (const int scans = cell.scans()) {
    const int64_t slot_groups = divide_up(weights.slots, lanes);
    weights.scan_input = make_pack(arena_, "weight_ih", input, scans, slot_groups, precision_);
    weights.scan_recurrent =
        make_pack(arena_, "weight_hh", spec_.hidden, scans, slot_groups, precision_);
    for (int64_t slot = weights.slots; slot < slot_groups * lanes; ++slot) {
      for (int s = 0; s < scans; ++s) {
        weights.scan_recurrent.bias[((slot / lanes) * scans + s) * lanes + slot % lanes] =
            kMinusInfinity;
      }
    }
  }
}

Model::Place Model::place(int64_t slot, bool recurrent, size_t block) {
  const CellInfo& cell = *spec_.cell;
  const auto& blocks = cell.blocks;
  LayerWeights& weights = layers_[slot];
  int index = 0;  // among the blocks of its kind
  for (size_t b = 0; b < block; ++b) index += blocks[b].chunked == blocks[block].chunked;
  if (blocks[block].chunked) {
    return {recurrent ? &weights.scan_recurrent : &weights.scan_input, index};
  }
  if (!recurrent) return {&weights.input, index};
  if (!cell.reset_before) return {&weights.recurrent, index};
  if (index == cell.reset_block) return {&weights.reset, 0};
  if (index == cell.candidate_block) return {&weights.candidate, 0};
  return {&weights.recurrent, index - (index > cell.reset_block) - (index > cell.candidate_block)};
}

void Model::pack_tensor(const Spec::Tensor& tensor, const float* data) {
  const int64_t lanes = kernels_->lanes;
  const bool recurrent = tensor.role == Spec::Role::kWeightHh || tensor.role == Spec::Role::kBiasHh;
  for (size_t b = 0; b < spec_.cell->blocks.size(); ++b) {
    const Place at = place(tensor.slot, recurrent, b);
    const int64_t rows = spec_.block_rows(spec_.cell->blocks[b]);
    for (int64_t row = 0; row < rows; ++row, data += tensor.columns) {
      const int64_t group = row / lanes;
      const int64_t lane = row % lanes;
      if (tensor.is_bias()) {
        at.pack->bias[(group * at.pack->width + at.block) * lanes + lane] = *data;
        continue;
      }
      set_row(*at.pack, lanes, group, at.block * lanes + lane, data);
    }
  }
}

void Model::pack_head(const Spec::Tensor& tensor, const float* data) {
  if (tensor.is_bias()) {
    std::copy_n(data, tensor.rows, head_.bias);
    return;
  }
  const int64_t group_lanes = static_cast<int64_t>(head_.width) * kernels_->lanes;
  for (int64_t row = 0; row < tensor.rows; ++row, data += tensor.columns) {
    set_row(head_, kernels_->lanes, row / group_lanes, row % group_lanes, data);
  }
}

void Model::set_tensor(int32_t index, const float* data, int64_t count) {
  const StandardFloatingPoint standard;  // numbers are rounded here
  const Spec::Tensor tensor = spec_.tensor(index);
  if (count != tensor.count()) {
    throw Error(GF_INVALID_ARGUMENT, "tensor %d: expected %lld x %lld = %lld values, got %lld",
                index, static_cast<long long>(tensor.rows), static_cast<long long>(tensor.columns),
                static_cast<long long>(tensor.count()), static_cast<long long>(count));
  }
  switch (tensor.role) {
    case Spec::Role::kEmbedding:
      std::copy_n(data, count, embedding_);
      break;
    case Spec::Role::kHeadWeight:
    case Spec::Role::kHeadBias:
      pack_head(tensor, data);
      break;
    default:
      pack_tensor(tensor, data);
  }
  given_[index] = true;
}

void Model::update(const float* parameters, int64_t count) {
  spec_.for_each_tensor(parameters, count, [&](int32_t index, const float* data, int64_t values) {
    set_tensor(index, data, values);
  });
  ++updates_;
  const std::lock_guard<std::mutex> lock(finishing_);
  if (finished_) derive();
  if (back_.arena != nullptr) fill(back_);
}

int64_t Model::bytes() const {
  const std::lock_guard<std::mutex> lock(finishing_);
  return arena_.bytes() + (back_.arena == nullptr ? 0 : back_.arena->bytes());
}

void Model::finish(bool backward) {
  const std::lock_guard<std::mutex> lock(finishing_);
  for (int32_t index = 0; index < spec_.tensor_count(); ++index) {
    if (!given_[index] && !spec_.tensor(index).is_bias()) {
      throw Error(GF_INVALID_STATE,
                  "model: expected all weights to be set before a session, got none for tensor %d",
                  index);
    }
  }
  // First what may not be had: then the tensors may still change.
  Back made;
  const bool makes = backward && back_.arena == nullptr;
  if (makes) made = make_back();
  if (!finished_) derive();  // once: sessions that run read it
  finished_ = true;
  if (makes) {
    fill(made);
    back_ = std::move(made);
  }
}

void Model::derive() {
  const StandardFloatingPoint standard;
  const int64_t table_row =
      (layers_[0].input.row() + layers_[0].scan_input.row()) * kernels_->lanes;
  if (spec_.vocabulary > 0 &&
      spec_.vocabulary <= kLargestTokenTable / static_cast<int64_t>(sizeof(float)) / table_row) {
    for (int64_t direction = 0; direction < spec_.directions; ++direction) {
      project_tokens(layers_[direction].input, token_tables_[direction]);
      project_tokens(layers_[direction].scan_input, token_scan_tables_[direction]);
    }
  }
}

// ---- For the backward pass --------------------------------------------------------------------

Model::Back Model::make_back() const {
  Back back;
  back.arena = std::make_unique<Arena>();
  const auto make = [&](int64_t outputs, int64_t k) {
    const int64_t vectors = divide_up(outputs, kernels_->lanes);
    return make_pack(*back.arena, "weights of the backward pass", k, kBackWidth,
                     divide_up(vectors, kBackWidth), GF_FLOAT32);
  };
  for (int64_t slot = 0; slot < spec_.slots(); ++slot) {
    BackWeights weights;
    weights.input = make(layers_[slot].input.k, gradient_row_.part());
    weights.recurrent = make(spec_.hidden, gradient_row_.recurrent_size());
    if (gradient_row_.reset_before) weights.candidate = make(spec_.hidden, gradient_row_.padded);
    back.slots.push_back(weights);
  }
  if (spec_.outputs > 0) back.head = make(head_.k, spec_.outputs);
  return back;
}

// Columns of `from` become lanes of `to`, its rows of a block the k from `place` on.
void Model::turn(const Pack& from, const PackedRows& rows, Pack& to, int64_t place) const {
  const int64_t stride = from.step(kernels_->lanes);
  const int64_t group_lanes = static_cast<int64_t>(to.width) * kernels_->lanes;
  for (int64_t first = 0; first < rows.count; first += rows.contiguous) {
    const float* source = from.weight + first / rows.contiguous * from.k * stride + rows.offset;
    const int64_t count = std::min(rows.contiguous, rows.count - first);
    for (int64_t column = 0; column < from.k; ++column) {
      float* target = to.weight + (column / group_lanes * to.k + place + first) * group_lanes +
                      column % group_lanes;
      for (int64_t i = 0; i < count; ++i) target[i * group_lanes] = source[column * stride + i];
    }
  }
}

void Model::fill(Back& back) {
  const CellInfo& cell = *spec_.cell;
  const int64_t lanes = kernels_->lanes;
  for (int64_t slot = 0; slot < spec_.slots(); ++slot) {
    BackWeights& weights = back.slots[slot];
    int numbers[2] = {};  // of the next plain block and scan
    for (size_t b = 0; b < cell.blocks.size(); ++b) {
      const bool scan = cell.blocks[b].chunked;
      const int number = numbers[scan]++;
      const auto rows = [&](const Place& at) {
        return PackedRows{spec_.block_rows(cell.blocks[b]), lanes, at.block * lanes};
      };
      const Place input = place(slot, false, b);
      turn(*input.pack, rows(input), weights.input,
           scan ? gradient_row_.scan(number) : gradient_row_.block(number));
      const Place recurrent = place(slot, true, b);
      if (cell.reset_before && number == cell.candidate_block) {
        turn(*recurrent.pack, rows(recurrent), weights.candidate, 0);
        continue;
      }
      const int64_t at = scan ? gradient_row_.scan(number) : gradient_row_.recurrent_block(number);
      turn(*recurrent.pack, rows(recurrent), weights.recurrent, at - gradient_row_.recurrent());
    }
  }
  if (spec_.outputs > 0) {
    turn(head_, {spec_.outputs, head_.width * lanes, 0}, back.head, 0);
  }
}

void Model::project_tokens(const Pack& pack, float*& table) {
  const int64_t row = pack.row() * kernels_->lanes;
  if (row == 0) return;
  // The table may be there already: then a session failed, and tensors may have changed since.
  if (table == nullptr) table = arena_.take<float>("token table", spec_.vocabulary, row);
  if (words_ == nullptr && precision_ != GF_FLOAT32) {
    words_ = arena_.take<uint32_t>("token table", words_of_row(spec_.input));
  }
  for (int64_t token = 0; token < spec_.vocabulary; ++token) {
    const float* in = embedding(token);
    float* out = table + token * row;
    kernels_->project(pack, 1, &in, nullptr, &out, words_, 0, pack.groups);
  }
}

}  // namespace gatefuse::cpu
