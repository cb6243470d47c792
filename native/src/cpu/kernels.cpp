// SPDX-License-Identifier: Apache-2.0
//
// The CPU kernels, compiled once for each instruction set (GF_ISA_IS_* and GF_ISA_NAMESPACE name
// it). Nothing here has external linkage but the one function at the end: see cpu/simd.hpp. For the
// same reason no standard library templates are used.
#include "cpu/kernels.hpp"

#include "cells/cells.hpp"
#include "cells/regularized.hpp"
#include "cpu/operands.hpp"
#include "cpu/simd.hpp"
#include "cpu/tiles.hpp"
#include "gatefuse.h"
#include "random.hpp"

// libm's, plain C: the C++ headers would bring inline functions along.
extern "C" double log(double);

namespace gatefuse {
namespace {

using cpu::BackwardStep;
using cpu::LayerWeights;
using cpu::Pack;
using cpu::Step;

constexpr int W = V::kLanes;
constexpr int kHeadWidth = 4;
#include "cpu/products.hpp"

// ---- The step of a cell
// ---------------------------------------------------------------------------

template <class Cell>
constexpr int count_blocks(bool chunked) {
  int count = 0;
  for (const Block& block : Cell::kBlocks) count += block.chunked == chunked;
  return count;
}

// One group of units in one row: an item of a tile. Items are numbered as a tile's sums lie.
struct Item {
  int64_t group;
  int64_t row;
};

// What value(i) gives for the items of a T: one for a V, two for a Pair.
template <class T, class F>
GF_INLINE T gather(F value) {
  if constexpr (sizeof(T) == sizeof(V)) {
    return value(0);
  } else {
    return {value(0), value(1)};
  }
}

// Calls f(i, vector) for the items of all.
template <class F>
GF_INLINE void scatter(const V& all, F f) {
  f(0, all);
}
template <class F>
GF_INLINE void scatter(const Pair& all, F f) {
  f(0, all.a);
  f(1, all.b);
}

template <class T>
struct Type {
  using type = T;
};

// Calls f(Type<T>, items, the first one's number) for the items of a tile, two at a time and a last
// one alone.
template <class F>
GF_INLINE void for_items(const Tile& tile, F f) {
  Item items[2] = {{tile.group, 0}, {tile.group, 0}};
  const auto after = [&](const Item& item) {
    return item.row + 1 < tile.rows ? Item{item.group, item.row + 1} : Item{item.group + 1, 0};
  };
  const int64_t count = int64_t{tile.groups} * tile.rows;
  int64_t i = 0;
  for (; i + 2 <= count; i += 2) {
    items[1] = after(items[0]);
    f(Type<Pair>(), items, i);
    items[0] = after(items[1]);
  }
  if (i < count) f(Type<V>(), items, i);
}

// The values of a mask, `neutral` where there is none. at(i) is the place of an item's state.
template <class T, class F>
GF_INLINE T mask_values(const float* mask, float neutral, F at) {
  if (mask == nullptr) return T::set(neutral);
  return gather<T>([&](int i) { return load(mask + at(i)); });
}

template <class T, class F>
GF_INLINE Masks<T> masks_of(const cpu::StepMasks& step, F at) {
  return {mask_values<T>(step.candidate, 1, at), mask_values<T>(step.zoneout_h, 0, at),
          mask_values<T>(step.zoneout_c, 0, at)};
}

// Kept of a step are the pre-activations of the plain blocks; where the candidate's parts are
// apart, its input part is in its place and the recurrent part behind all.
template <class Cell>
constexpr int kept_blocks() {
  return count_blocks<Cell>(false) + (Cell::kCandidateApart ? 1 : 0);
}

template <class Cell>
struct CellStep {
  static constexpr int kPlain = count_blocks<Cell>(false);
  static constexpr int kScans = count_blocks<Cell>(true);
  static constexpr int kKept = kept_blocks<Cell>();

  const LayerWeights& weights;
  const Step& step;

  Rows hidden() const { return {step.rows, nullptr, step.h, weights.padded}; }
  Scratch scratch() const { return {step.scratch, step.words}; }

  GF_INLINE const float* input(const Item& item, int block) const {
    return step.x[item.row] + item.group * step.x_group + block * W;
  }
  GF_INLINE int64_t state(const Item& item) const {
    return item.row * weights.padded + item.group * W;
  }

  GF_INLINE float* kept(const Item& item, int block) const {
    return step.kept + ((item.row * weights.input.groups + item.group) * kKept + block) * W;
  }

  template <class T>
  GF_INLINE void keep(const Item* items, const T& all, int block) const {
    scatter(all, [&](int i, const V& one) { store(kept(items[i], block), one); });
  }

  template <class T>
  GF_INLINE void keep(const Item* items, const T (&x_parts)[kPlain],
                      const T (&h_parts)[kPlain]) const {
#pragma GCC unroll 8
    for (int b = 0; b < kPlain; ++b) {
      if constexpr (Cell::kResetBefore) {
        if (b == Cell::kReset) continue;  // kept in reset()
      }
      const bool apart = Cell::kCandidateApart && b == Cell::kCandidate;
      keep(items, apart ? x_parts[b] : x_parts[b] + h_parts[b], b);
    }
    if constexpr (Cell::kCandidateApart) keep(items, h_parts[Cell::kCandidate], kPlain);
  }

  template <class T>
  GF_INLINE T x_part(const Item* items, int block) const {
    return gather<T>([&](int i) { return load(input(items[i], block)); });
  }

  template <class T>
  GF_INLINE T read_state(const float* states, const Item* items) const {
    return gather<T>([&](int i) { return load(states + state(items[i])); });
  }

  template <bool Masked, class T>
  GF_INLINE void write_h(const Item* items, const T& h) const {
    scatter(h, [&](int i, const V& one) {
      store(step.h_next + state(items[i]), one);
      if (step.y != nullptr) {
        const int64_t unit = items[i].group * W;
        V result = one;
        if constexpr (Masked) {
          const auto here = [&](int) { return state(items[i]); };
          result = one * mask_values<V>(step.masks->output, 1, here);
        }
        store_first(step.y[items[i].row] + unit, result, static_cast<int>(weights.hidden - unit));
      }
    });
  }

  // Cells with a cell state go through a tile twice, for c and then for h: h has to wait for c, and
  // the processor does not look far enough ahead to make the next c meanwhile.
  template <bool Masked>
  static constexpr bool kTwice = Cell::kCellState && !Masked;

  // The pointwise mathematics of the items of a T; h_parts are the recurrent products. Where the
  // tile is gone through twice h is not used here, and so not compiled.
  template <bool Masked, class T>
  GF_INLINE void forward(const Item* items, const T (&h_parts)[kPlain]) const {
    T x_parts[kPlain];
#pragma GCC unroll 8
    for (int b = 0; b < kPlain; ++b) x_parts[b] = x_part<T>(items, b);
    Gate<T> scan[kScans + 1];
#pragma GCC unroll 8
    for (int s = 0; s < kScans; ++s) {
      const auto gate = [&](int i) {
        return step.scan + (items[i].row * kScans + s) * 2 * weights.padded + items[i].group * W;
      };
      scan[s] = {gather<T>([&](int i) { return load(gate(i)); }),
                 gather<T>([&](int i) { return load(gate(i) + weights.padded); })};
    }
    T h = read_state<T>(step.h, items);
    T c = h;
    if constexpr (Cell::kCellState) c = read_state<T>(step.c, items);
    if (step.kept != nullptr) keep(items, x_parts, h_parts);
    const PreActivations<T> a{x_parts, h_parts};
    if constexpr (Masked) {
      const auto at = [&](int i) { return state(items[i]); };
      Regularized<Cell>::forward(a, scan, masks_of<T>(*step.masks, at), c, h);
    } else {
      Cell::forward(a, scan, c, h);
    }
    if constexpr (Cell::kCellState) {
      scatter(c, [&](int i, const V& one) { store(step.c_next + state(items[i]), one); });
    }
    if constexpr (!kTwice<Masked>) write_h<Masked>(items, h);
  }

  template <class T>
  GF_INLINE void forward_h(const Item* items, const T& h_part) const {
    const T a = x_part<T>(items, Cell::kOutput) + h_part;
    write_h<false>(items, output(a, read_state<T>(step.c_next, items)));
  }

  template <class T>
  static GF_INLINE T h_part(const Tile& tile, int64_t first, int block) {
    return gather<T>([&](int i) { return load(tile.sums + ((first + i) * kPlain + block) * W); });
  }

  template <bool Masked>
  static void finish(const void* context, const Tile& tile) {
    const CellStep& given = *static_cast<const CellStep*>(context);
    const LayerWeights weights = given.weights;  // copies, which no store below can change
    const Step step = given.step;
    const CellStep self{weights, step};
    for_items(
        tile, [&](auto type, const Item* items, int64_t first) __attribute__((always_inline)) {
          using T = typename decltype(type)::type;
          T h_parts[kPlain];
#pragma GCC unroll 8
          for (int b = 0; b < kPlain; ++b) h_parts[b] = h_part<T>(tile, first, b);
          self.template forward<Masked>(items, h_parts);
        });
    if constexpr (kTwice<Masked>) {
      for_items(
          tile, [&](auto type, const Item* items, int64_t first) __attribute__((always_inline)) {
            using T = typename decltype(type)::type;
            self.forward_h(items, h_part<T>(tile, first, Cell::kOutput));
          });
    }
  }

  static void run(const LayerWeights& weights, const Step& step, int64_t begin, int64_t end) {
    const CellStep self{weights, step};
    const Finish to_cell = {step.masks == nullptr ? finish<false> : finish<true>, &self};
    if (step.in == nullptr) {
      product<kPlain>(weights.recurrent, self.hidden(), self.scratch(), begin, end, step.downwards,
                      to_cell);
      return;
    }
    // The sums over a group's input wait in the L1 cache for those over h.
    const Rows inputs = {step.rows, step.in, nullptr, 0};
    const Pack& from_x = weights.input;
    const Pack& from_h = weights.recurrent;
    sweep(begin, end, step.downwards, [&](int64_t g, int64_t following) {
      float_group_product<kPlain>(from_x, inputs, step.x_sums, g, group_weights<kPlain>(from_h, g),
                                  {});
      float_group_product<kPlain>(from_h, self.hidden(), step.scratch, g,
                                  group_weights<kPlain>(from_x, following), to_cell);
    });
  }
};

// Reset before: the reset block has a product of its own, then the candidate has one over
// reset * h, and the other blocks one over h.
template <class Cell>
struct ResetBeforeStep {
  static constexpr int kPlain = CellStep<Cell>::kPlain;
  static constexpr int kOthers = kPlain - 2;

  CellStep<Cell> cell;
  int64_t from;    // the first of the groups whose candidate sums wait
  float* waiting;  // [groups][rows][W]

  GF_INLINE float* candidate(const Item& item) const {
    return waiting + ((item.group - from) * cell.step.rows + item.row) * W;
  }

  static void keep_candidate(const void* context, const Tile& tile) {
    const auto& self = *static_cast<const ResetBeforeStep*>(context);
    for_items(tile, [&](auto type, const Item* items, int64_t first) {
      using T = typename decltype(type)::type;
      scatter(gather<T>([&](int i) { return load(tile.sums + (first + i) * W); }),
              [&](int i, const V& one) { store(self.candidate(items[i]), one); });
    });
  }

  // Where the sums of a block lie that is neither reset nor candidate.
  static constexpr int other(int block) {
    return block - (block > Cell::kReset) - (block > Cell::kCandidate);
  }

  template <bool Masked>
  static void finish(const void* context, const Tile& tile) {
    const auto& given = *static_cast<const ResetBeforeStep*>(context);
    const LayerWeights weights = given.cell.weights;  // copies, as in CellStep
    const Step step = given.cell.step;
    const ResetBeforeStep self{{weights, step}, given.from, given.waiting};
    for_items(
        tile, [&](auto type, const Item* items, int64_t first) __attribute__((always_inline)) {
          using T = typename decltype(type)::type;
          T h_parts[kPlain];
#pragma GCC unroll 8
          for (int b = 0; b < kPlain; ++b) {
            h_parts[b] = gather<T>([&](int i) {
              if (b == Cell::kReset) return V::set(0.0f);  // used up in reset()
              if (b == Cell::kCandidate) return load(self.candidate(items[i]));
              return load(tile.sums + ((first + i) * kOthers + other(b)) * W);
            });
          }
          self.cell.template forward<Masked>(items, h_parts);
        });
  }

  // A few groups at a time, so that what waits stays in the cache.
  static void run(const LayerWeights& weights, const Step& step, int64_t begin, int64_t end) {
    float* waiting = step.scratch + static_cast<int64_t>(step.rows) * kPlain * W;
    const Rows reset_hidden = {step.rows, nullptr, step.reset, weights.padded};
    for (int64_t from = begin; from < end; from += cpu::kWaitingGroups) {
      const int64_t to = from + cpu::kWaitingGroups < end ? from + cpu::kWaitingGroups : end;
      const ResetBeforeStep self{{weights, step}, from, waiting};
      product<1>(weights.candidate, reset_hidden, self.cell.scratch(), from, to, false,
                 {keep_candidate, &self});
      product<kOthers>(weights.recurrent, self.cell.hidden(), self.cell.scratch(), from, to, false,
                       {step.masks == nullptr ? finish<false> : finish<true>, &self});
    }
  }

  static void finish_reset(const void* context, const Tile& tile) {
    const CellStep<Cell>& self = *static_cast<const CellStep<Cell>*>(context);
    for_items(tile, [&](auto type, const Item* items, int64_t first) {
      using T = typename decltype(type)::type;
      T x_parts[kPlain];
      T h_parts[kPlain];
      x_parts[Cell::kReset] =
          gather<T>([&](int i) { return load(self.input(items[i], Cell::kReset)); });
      h_parts[Cell::kReset] = gather<T>([&](int i) { return load(tile.sums + (first + i) * W); });
      if (self.step.kept != nullptr) {
        self.keep(items, x_parts[Cell::kReset] + h_parts[Cell::kReset], Cell::kReset);
      }
      const T gated =
          Cell::reset(PreActivations<T>{x_parts, h_parts},
                      gather<T>([&](int i) { return load(self.step.h + self.state(items[i])); }));
      scatter(gated,
              [&](int i, const V& one) { store(self.step.reset + self.state(items[i]), one); });
    });
  }

  static void reset(const LayerWeights& weights, const Step& step, int64_t begin, int64_t end) {
    const CellStep<Cell> self{weights, step};
    product<1>(weights.reset, self.hidden(), self.scratch(), begin, end, step.downwards,
               {finish_reset, &self});
  }
};

#include "cpu/cell_backward.hpp"

template <class Cell>
constexpr cpu::CellKernels cell_kernels() {
  if constexpr (Cell::kResetBefore) {
    return {ResetBeforeStep<Cell>::run, ResetBeforeStep<Cell>::reset, kept_blocks<Cell>(),
            CellBackward<Cell>::run, CellBackward<Cell>::run_reset};
  } else {
    return {CellStep<Cell>::run, nullptr, kept_blocks<Cell>(), CellBackward<Cell>::run, nullptr};
  }
}

// ---- Products by themselves
// -----------------------------------------------------------------------

struct Projection {
  int width;
  const float* const* add;
  float* const* out;

  static void finish(const void* context, const Tile& tile) {
    const Projection& self = *static_cast<const Projection*>(context);
    const float* sums = tile.sums;
    for (int u = 0; u < tile.groups; ++u) {
      for (int m = 0; m < tile.rows; ++m, sums += self.width * W) {
        const int64_t at = (tile.group + u) * self.width * W;
        for (int64_t i = 0; i < self.width * W; i += W) {
          V sum = load(sums + i);
          if (self.add != nullptr) sum = load(self.add[m] + at + i) + sum;
          store(self.out[m] + at + i, sum);
        }
      }
    }
  }
};

template <int N>
void project(const Pack& pack, int rows, const float* const* in, const float* const* add,
             float* const* out, uint32_t* words, int64_t begin, int64_t end) {
  constexpr int kRows = cpu::kProjectedRows;
  float sums[kRows * N * W];
  for (int base = 0; base < rows; base += kRows) {
    const Rows some = {rows - base < kRows ? rows - base : kRows, in + base, nullptr, 0};
    const Projection context = {N, add == nullptr ? nullptr : add + base, out + base};
    const Finish finish = {Projection::finish, &context, add == nullptr ? out + base : nullptr};
    product<N>(pack, some, {sums, words}, begin, end, false, finish);
  }
}

void project(const Pack& pack, int rows, const float* const* in, const float* const* add,
             float* const* out, uint32_t* words, int64_t begin, int64_t end) {
  with_count<4>(pack.width, [&](auto width) {
    project<decltype(width)::value>(pack, rows, in, add, out, words, begin, end);
  });
}

// Squares of W rows and W columns, through the L1 cache.
void transpose(int rows, const float* const* in, int64_t begin, int64_t end, float* out,
               double* sums) {
  for (int64_t i = begin; i < end; i += W) {
    const int64_t columns = end - i < W ? end - i : W;
    float* to = out + (i - begin) * rows;
    V sum = V::set(0.0f);
    for (int n = 0; n < rows; n += W) {
      const int count = rows - n < W ? rows - n : W;
      float square[W][W];
      for (int m = 0; m < count; ++m) {
        const V v = load_first(in[n + m] + i, columns);
        store(square[m], v);
        sum = sum + v;
      }
      for (int64_t c = 0; c < columns; ++c) {
        for (int m = 0; m < count; ++m) to[c * rows + n + m] = square[m][c];
      }
    }
    float lanes[W];
    store(lanes, sum);
    for (int64_t c = 0; c < columns; ++c) sums[i + c] += lanes[c];
  }
}

// ---- Masks
// ------------------------------------------------------------------------------------------------

// So many words at a time that the compiler's vectors are full.
void draw(const MaskDraw& draw, uint32_t time, uint32_t row, int64_t begin, int64_t end,
          float* out) {
  const Key key = {{draw.key[0], draw.key[1]}};
  const int64_t blocks = end / kUnitsOfWords;
  for (int64_t first = begin / kUnitsOfWords; first < blocks; first += W) {
    uint32_t words[W * kUnitsOfWords];
    for (int i = 0; i < W; ++i) {
      const Words some = mask_words(key, static_cast<uint32_t>(first) + i, time, row);
      for (int k = 0; k < kUnitsOfWords; ++k) words[i * kUnitsOfWords + k] = some.word[k];
    }
    const int count = static_cast<int>(blocks - first < W ? blocks - first : W);
    float* to = out + (first * kUnitsOfWords - begin);
    for (int i = 0; i < count * kUnitsOfWords; ++i) {
      to[i] = words[i] < draw.threshold ? draw.below : draw.above;
    }
  }
}

// ---- Scans and softmax
// ----------------------------------------------------------------------------

float largest_lane(V v) {
  float lanes[W];
  store(lanes, v);
  float most = lanes[0];
  for (int i = 1; i < W; ++i) {
    if (lanes[i] > most) most = lanes[i];
  }
  return most;
}

// One cumulative softmax. The sums are in double: they are as long as H, and a gate next to one has
// its meaning in what its complement, the sum of the rest, still holds.
void scan_gate(const float* pre, int64_t stride, int64_t groups, int64_t slots, int64_t chunk,
               float* gate, float* complement) {
  V most = load(pre);
  for (int64_t g = 1; g < groups; ++g) most = max(most, load(pre + g * stride));
  const V shift = V::set(largest_lane(most));
  for (int64_t g = 0; g < groups; ++g) {
    store(complement + g * W, exp_nonpositive(load(pre + g * stride) - shift));
  }
  double total = 0;
  for (int64_t k = 0; k < slots; ++k) total += complement[k];
  const double scale = 1 / total;
  double before = 0;
  for (int64_t k = 0; k < slots; ++k) {
    before += complement[k];
    const float value = static_cast<float>(before * scale);
    for (int64_t j = 0; j < chunk; ++j) gate[k * chunk + j] = value;
  }
  // From the end, so that slot k is read before the units of any slot up to k are written over it.
  double after = 0;
  for (int64_t k = slots - 1; k >= 0; --k) {
    const double own = complement[k];
    const float value = static_cast<float>(after * scale);
    for (int64_t j = 0; j < chunk; ++j) complement[k * chunk + j] = value;
    after += own;
  }
}

void scan(const LayerWeights& weights, const float* pre_activations, float* gates) {
  const int scans = weights.scan_recurrent.width;
  for (int s = 0; s < scans; ++s) {
    float* gate = gates + s * 2 * weights.padded;
    scan_gate(pre_activations + s * W, static_cast<int64_t>(scans) * W,
              weights.scan_recurrent.groups, weights.slots, weights.chunk, gate,
              gate + weights.padded);
  }
}

// One cumulative softmax backwards: a gate is the sum of the probabilities up to its slot, so a
// slot has the sum of the gradients by the gates from it on; then the softmax takes the mean away.
void scan_gate_backward(const float* pre, int64_t stride, int64_t groups, int64_t slots,
                        int64_t chunk, const float* by_gate, float* by_slot) {
  V most = load(pre);
  for (int64_t g = 1; g < groups; ++g) most = max(most, load(pre + g * stride));
  const V shift = V::set(largest_lane(most));
  for (int64_t g = 0; g < groups; ++g) {
    store(by_slot + g * W, exp_nonpositive(load(pre + g * stride) - shift));
  }
  double total = 0;
  for (int64_t k = 0; k < slots; ++k) total += by_slot[k];
  double onwards = 0;
  double mean = 0;
  for (int64_t k = slots - 1; k >= 0; --k) {
    for (int64_t j = 0; j < chunk; ++j) onwards += by_gate[k * chunk + j];
    mean += by_slot[k] / total * onwards;
  }
  onwards = 0;
  for (int64_t k = slots - 1; k >= 0; --k) {
    for (int64_t j = 0; j < chunk; ++j) onwards += by_gate[k * chunk + j];
    by_slot[k] = static_cast<float>(by_slot[k] / total * (onwards - mean));
  }
}

void scan_backward(const LayerWeights& weights, const float* pre_activations, const float* gates,
                   float* gradients) {
  const int scans = weights.scan_recurrent.width;
  const int64_t groups = weights.scan_recurrent.groups;
  for (int s = 0; s < scans; ++s) {
    scan_gate_backward(pre_activations + s * W, static_cast<int64_t>(scans) * W, groups,
                       weights.slots, weights.chunk, gates + s * weights.padded,
                       gradients + s * groups * W);
  }
}

// So many vectors are summed in float32 before their lanes go into the sum in double.
constexpr int64_t kSumVectors = 32;

double log_sum_exp(const float* row, int64_t vectors) {
  V most = load(row);
  for (int64_t v = 1; v < vectors; ++v) most = max(most, load(row + v * W));
  const float shift = largest_lane(most);
  double total = 0;
  for (int64_t begin = 0; begin < vectors; begin += kSumVectors) {
    const int64_t end = begin + kSumVectors < vectors ? begin + kSumVectors : vectors;
    V sum = V::set(0.0f);
    for (int64_t v = begin; v < end; ++v) {
      sum = sum + exp_nonpositive(load(row + v * W) - V::set(shift));
    }
    float lanes[W];
    store(lanes, sum);
    for (int i = 0; i < W; ++i) total += lanes[i];
  }
  return shift + log(total);
}

// ---- Activations by themselves
// --------------------------------------------------------------------

void sigmoid_row(const float* x, float* value, float* complement, int64_t n) {
  for (int64_t i = 0; i < n; i += W) {
    const Gate<V> gate = sigmoid_pair(load(x + i));
    store(value + i, gate.value);
    store(complement + i, gate.complement);
  }
}

void tanh_row(const float* x, float* value, int64_t n) {
  for (int64_t i = 0; i < n; i += W) store(value + i, tanh(load(x + i)));
}

#if GF_ISA_IS_AVX512
constexpr int kInstructionSet = GF_ISA_AVX512;
constexpr const char* kName = "avx512";
#elif GF_ISA_IS_AVX2
constexpr int kInstructionSet = GF_ISA_AVX2;
constexpr const char* kName = "avx2";
#elif GF_ISA_IS_BASELINE
constexpr int kInstructionSet = GF_ISA_BASELINE;
constexpr const char* kName = "baseline";
#else
constexpr int kInstructionSet = GF_ISA_GENERIC;
constexpr const char* kName = "generic";
#endif

#define GF_CELL_KERNELS(Cell) cell_kernels<Cell>(),
constexpr cpu::Kernels kKernels = {
    kInstructionSet,
    kName,
    W,
    kHeadWidth,
    kMultipliesBfloat16,
    kMultipliesInt8,
    kMultipliesTiles,
    {GF_FOR_EACH_CELL(GF_CELL_KERNELS)},
    project,
    scan,
    scan_backward,
    transpose,
    draw,
    log_sum_exp,
    sigmoid_row,
    tanh_row,
};
#undef GF_CELL_KERNELS

}  // namespace

namespace cpu::GF_ISA_NAMESPACE {

const Kernels* kernels() { return &kKernels; }

}  // namespace cpu::GF_ISA_NAMESPACE
}  // namespace gatefuse
