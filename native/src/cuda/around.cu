// SPDX-License-Identifier: Apache-2.0
//
// What is around the steps of a network: the order of the rows, states in and out, dropout between
// layers, the softmax.
#include "cuda/around.hpp"

#include <algorithm>

#include "cuda/draws.cuh"
#include "cuda/lane.cuh"
#include "cuda/launch.hpp"

namespace gatefuse::cuda {
namespace {

// ---- The order of the rows ----------------------------------------------------------------------

// So many rows of the order travel in the parameters of one launch: no host memory has to outlive
// the call, and a captured graph keeps its own copy.
constexpr int kOrderRows = 480;

struct OrderPart {
  int32_t first;
  int32_t count;
  int32_t order[kOrderRows];
  int32_t lengths[kOrderRows];
};

__global__ void order_kernel(const OrderPart part, int32_t* order, int32_t* lengths,
                             int32_t* given) {
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < part.count;
       i += static_cast<int32_t>(blockDim.x)) {
    order[part.first + i] = part.order[i];
    lengths[part.first + i] = part.lengths[i];
    given[part.order[i]] = part.lengths[i];
  }
}

// ---- States -------------------------------------------------------------------------------------

// They travel as the order does.
constexpr int kStateRows = 2 * kOrderRows;

struct StateRowsPart {
  int32_t first;
  int32_t count;
  int32_t rows[kStateRows];
};

__global__ void state_rows_kernel(const StateRowsPart part, int32_t* to) {
  for (int32_t i = static_cast<int32_t>(threadIdx.x); i < part.count;
       i += static_cast<int32_t>(blockDim.x)) {
    to[part.first + i] = part.rows[i];
  }
}

__global__ void load_state_kernel(const StateArguments state, const float* from, float* to) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= state.slots * state.sequences.batch * state.hidden) return;
  to[i] = from == nullptr ? 0.0f : from[state.given(i)];
}

__global__ void store_state_kernel(const StateArguments state, const float* from, float* to) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= state.slots * state.sequences.batch * state.hidden) return;
  to[state.given(i)] = from[i];
}

// ---- Masks --------------------------------------------------------------------------------------

// Sets the bit of each unit whose word is below the threshold.
GF_DEVICE void add_bits(const MaskDraw& draw, const Words& words, int bit,
                        unsigned (&bits)[kUnitsOfWords]) {
#pragma unroll
  for (int k = 0; k < kUnitsOfWords; ++k) {
    if (words.word[k] < draw.threshold) bits[k] |= 1u << bit;
  }
}

// A thread for the units of one draw of a row in a step.
__global__ void store_masks_kernel(const StepMasks masks, const Pass pass, int32_t hidden,
                                   uint8_t* to) {
  const int32_t blocks = (hidden + kUnitsOfWords - 1) / kUnitsOfWords;
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t m = i / blocks;
  const int32_t s = pass.first + static_cast<int32_t>(m / pass.sequences.batch);
  const int32_t row = static_cast<int32_t>(m % pass.sequences.batch);
  if (m >= int64_t{pass.steps} * pass.sequences.batch || !pass.runs(s, row)) return;
  const int32_t block = static_cast<int32_t>(i % blocks);
  unsigned bits[kUnitsOfWords] = {};
  const auto add = [&](const MaskDraw& draw, int bit) {
    if (draw.below == draw.above) return;
    add_bits(draw, draw_words(draw, block, pass.time(s, row), pass.sequences.callers_row(row)), bit,
             bits);
  };
  add(masks.candidate, kCandidateBit);
  add(masks.zoneout_h, kZoneoutHBit);
  add(masks.zoneout_c, kZoneoutCBit);
#pragma unroll
  for (int k = 0; k < kUnitsOfWords; ++k) {
    const int32_t unit = block * kUnitsOfWords + k;
    if (unit < hidden) to[m * hidden + unit] = static_cast<uint8_t>(bits[k]);
  }
}

// ---- Dropout ------------------------------------------------------------------------------------

// A thread for the units of one draw at each place.
__global__ void drop_kernel(const ResultArguments results) {
  const int32_t blocks = (results.hidden + kUnitsOfWords - 1) / kUnitsOfWords;
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t place = i / blocks;
  const Sequences& sequences = results.sequences;
  if (place >= int64_t{sequences.steps} * sequences.batch || !sequences.within(place)) return;
  const int32_t block = static_cast<int32_t>(i % blocks);
  const Words words =
      draw_words(results.mask, block, sequences.time_of(place), sequences.callers_row_of(place));
  float* values = results.values + place * results.stride;
#pragma unroll
  for (int k = 0; k < kUnitsOfWords; ++k) {
    const int32_t unit = block * kUnitsOfWords + k;
    if (unit < results.hidden) values[unit] *= mask_value(results.mask, words.word[k]);
  }
}

// ---- The caller's integers ----------------------------------------------------------------------

// The least place where integers within sequences are out of range goes into *wrong.
__global__ void check_range_kernel(const Sequences sequences, const int32_t* values, int32_t most,
                                   unsigned long long* wrong) {
  const int64_t place = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (place >= int64_t{sequences.steps} * sequences.batch || !sequences.within(place)) return;
  if (values[place] < 0 || values[place] >= most) {
    ptx::red_min(wrong, static_cast<unsigned long long>(place));
  }
}

// ---- The head -----------------------------------------------------------------------------------

// A warp for each row. The sum is in double: what is left when it is taken from a large logit may
// be small. Every lane adds its own outputs in order, then the lanes are added in order.
__global__ void softmax_kernel(const SoftmaxArguments softmax) {
  const int64_t m = int64_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (m >= softmax.count) return;
  const int64_t place = softmax.first + m;
  const bool within = softmax.sequences.within(place);
  const float* logits = softmax.logits + m * softmax.outputs;
  float most = -INFINITY;
  for (int32_t o = lane; o < softmax.outputs; o += 32) most = max(Lane{logits[o]}, Lane{most}).v;
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    most = max(Lane{__shfl_xor_sync(0xffffffffu, most, offset)}, Lane{most}).v;
  }
  double sum = 0;
  for (int32_t o = lane; o < softmax.outputs; o += 32) {
    sum += exp_nonpositive(Lane{logits[o] - most}).v;
  }
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    sum += __shfl_xor_sync(0xffffffffu, sum, offset);
  }
  const double scale = most + log(sum);
  for (int32_t o = lane; o < softmax.outputs; o += 32) {
    const int64_t at = place * softmax.outputs + o;
    if (softmax.out_logits != nullptr) softmax.out_logits[at] = within ? logits[o] : 0.0f;
    if (softmax.log_probs != nullptr) {
      softmax.log_probs[at] = within ? static_cast<float>(logits[o] - scale) : 0.0f;
    }
  }
  if (softmax.target_log_probs != nullptr && lane == 0) {
    float score = 0.0f;
    if (within) {
      const int32_t target = softmax.targets[place];
      const bool known = target >= 0 && target < softmax.outputs;
      score = known ? static_cast<float>(logits[target] - scale) : NAN;
    }
    softmax.target_log_probs[place] = score;
  }
}

// ---- Launches -----------------------------------------------------------------------------------

constexpr int kThreads = 128;

int64_t values(const StateArguments& state) {
  return state.slots * state.sequences.batch * state.hidden;
}

}  // namespace

void write_order(const Batch& batch, int32_t* order, int32_t* lengths, int32_t* given,
                 cudaStream_t stream) {
  for (int32_t first = 0; first < batch.size(); first += kOrderRows) {
    OrderPart part = {};
    part.first = first;
    part.count = std::min(kOrderRows, batch.size() - first);
    std::copy_n(batch.order() + first, part.count, part.order);
    std::copy_n(batch.lengths() + first, part.count, part.lengths);
    launch("order of rows", order_kernel, dim3(1), dim3(kThreads), stream, part, order, lengths,
           given);
  }
}

void write_state_rows(const int32_t* rows, int32_t count, int32_t* to, cudaStream_t stream) {
  for (int32_t first = 0; first < count; first += kStateRows) {
    StateRowsPart part = {};
    part.first = first;
    part.count = std::min(kStateRows, count - first);
    std::copy_n(rows + first, part.count, part.rows);
    launch("rows of states", state_rows_kernel, dim3(1), dim3(kThreads), stream, part, to);
  }
}

void load_state(const StateArguments& state, const float* from, float* to, cudaStream_t stream) {
  launch("initial state", load_state_kernel, dim3(blocks_for(values(state), kThreads)),
         dim3(kThreads), stream, state, from, to);
}

void store_state(const StateArguments& state, const float* from, float* to, cudaStream_t stream) {
  launch("final state", store_state_kernel, dim3(blocks_for(values(state), kThreads)),
         dim3(kThreads), stream, state, from, to);
}

StoredMasks store_masks(const StepMasks& masks, const Pass& pass, int32_t hidden, uint8_t* to,
                        cudaStream_t stream) {
  if (!masks.any) return {};
  const int64_t blocks = (hidden + kUnitsOfWords - 1) / kUnitsOfWords;
  const int64_t rows = int64_t{pass.steps} * pass.sequences.batch;
  launch("masks", store_masks_kernel, dim3(blocks_for(rows * blocks, kThreads)), dim3(kThreads),
         stream, masks, pass, hidden, to);
  return {to, masks.candidate, masks.zoneout_h, masks.zoneout_c};
}

void drop(const ResultArguments& results, cudaStream_t stream) {
  const int64_t blocks = (results.hidden + kUnitsOfWords - 1) / kUnitsOfWords;
  const int64_t places = int64_t{results.sequences.steps} * results.sequences.batch;
  launch("dropout", drop_kernel, dim3(blocks_for(places * blocks, kThreads)), dim3(kThreads),
         stream, results);
}

void check_range(const Sequences& sequences, const int32_t* values, int32_t most,
                 unsigned long long* wrong, cudaStream_t stream) {
  const int64_t places = int64_t{sequences.steps} * sequences.batch;
  launch("check of integers", check_range_kernel, dim3(blocks_for(places, kThreads)),
         dim3(kThreads), stream, sequences, values, most, wrong);
}

void run_softmax(const SoftmaxArguments& softmax, cudaStream_t stream) {
  launch("softmax", softmax_kernel, dim3(blocks_for(softmax.count, kThreads / 32)), dim3(kThreads),
         stream, softmax);
}

}  // namespace gatefuse::cuda
