// SPDX-License-Identifier: Apache-2.0
//
// The cumulative softmax of one row by one warp, and the way back through it.
#pragma once

#include <cstdint>

#include "cuda/lane.cuh"

namespace gatefuse::cuda {
namespace {

constexpr unsigned kAllLanes = 0xffffffffu;

GF_DEVICE float warp_max(float v) {
#pragma unroll
  for (int offset = 16; offset > 0; offset /= 2) {
    v = max(Lane{__shfl_xor_sync(kAllLanes, v, offset)}, Lane{v}).v;
  }
  return v;
}

// The sum of the lanes before this one.
GF_DEVICE double warp_sum_before(double v, int lane) {
  double sum = v;
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const double other = __shfl_up_sync(kAllLanes, sum, offset);
    if (lane >= offset) sum += other;
  }
  const double before = __shfl_up_sync(kAllLanes, sum, 1);
  return lane == 0 ? 0.0 : before;
}

// The sum of the lanes behind this one, added up from the end.
GF_DEVICE double warp_sum_after(double v, int lane) {
  double sum = v;
#pragma unroll
  for (int offset = 1; offset < 32; offset *= 2) {
    const double other = __shfl_down_sync(kAllLanes, sum, offset);
    if (lane + offset < 32) sum += other;
  }
  const double after = __shfl_down_sync(kAllLanes, sum, 1);
  return lane == 31 ? 0.0 : after;
}

// Where the gates of some units of a row go.
struct GateRow {
  float* gate;        // [count]
  float* complement;  // [count]
  int32_t first;      // the first unit
  int32_t count;
};

// Turns pre-activations pre(0) .. pre(slots - 1) into gates and their complements, each lane a
// stretch of them. The sums are in double, since they are as long as H and a gate next to one has
// its meaning in what its complement still holds; the complement is a sum of its own, from the end.
// terms [slots] receives the exponentials; it may be where pre() reads.
template <class Pre>
GF_DEVICE void scan_row(int lane, int32_t slots, int32_t chunk, Pre pre, float* terms,
                        const GateRow& out) {
  const int32_t each = (slots + 31) / 32 | 1;  // odd: the lanes' slots lie in different banks
  const int32_t begin = lane * each < slots ? lane * each : slots;
  const int32_t end = begin + each < slots ? begin + each : slots;
  float most = -INFINITY;
  for (int32_t k = begin; k < end; ++k) most = max(Lane{most}, Lane{pre(k)}).v;
  most = warp_max(most);
  double sum = 0;
  for (int32_t k = begin; k < end; ++k) {
    const float term = exp_nonpositive(Lane{pre(k) - most}).v;
    terms[k] = term;
    sum += term;
  }
  double before = warp_sum_before(sum, lane);
  double after = warp_sum_after(sum, lane);
  // The whole, the same for all: what lies before the last lane and its own.
  const double scale = 1 / __shfl_sync(kAllLanes, before + sum, 31);
  // To those units of slot k that are wanted.
  const auto put = [&](float* to, int32_t k, double value) {
    int32_t unit = k * chunk - out.first;
    const int32_t behind = unit + chunk < out.count ? unit + chunk : out.count;
    for (unit = unit > 0 ? unit : 0; unit < behind; ++unit) {
      to[unit] = static_cast<float>(value * scale);
    }
  };
  for (int32_t k = begin; k < end; ++k) {
    before += terms[k];
    put(out.gate, k, before);
  }
  for (int32_t k = end - 1; k >= begin; --k) {
    put(out.complement, k, after);
    after += terms[k];
  }
}

// The exponentials of pre-activations, each lane a stretch of them; gives their sum.
template <class Pre>
GF_DEVICE double scan_terms(int lane, int32_t slots, Pre pre, float* terms) {
  const int32_t each = (slots + 31) / 32 | 1;
  const int32_t begin = lane * each < slots ? lane * each : slots;
  const int32_t end = begin + each < slots ? begin + each : slots;
  float most = -INFINITY;
  for (int32_t k = begin; k < end; ++k) most = max(Lane{most}, Lane{pre(k)}).v;
  most = warp_max(most);
  double total = 0;
  for (int32_t k = begin; k < end; ++k) {
    const float term = exp_nonpositive(Lane{pre(k) - most}).v;
    terms[k] = term;
    total += term;
  }
  return __shfl_sync(kAllLanes, warp_sum_before(total, lane) + total, 31);
}

// The way back: from the gradients by the values of the gates [slots * chunk] to those by the
// pre-activations [slots], which take the place of scan_terms' exponentials. A gate is the sum of
// the probabilities up to its slot, so a slot has the sum of the gradients by the gates from it on,
// less the mean of these sums.
GF_DEVICE void scan_row_backward(int lane, int32_t slots, int32_t chunk, double total,
                                 const float* by_gate, float* by_slot) {
  const int32_t each = (slots + 31) / 32 | 1;
  const int32_t begin = lane * each < slots ? lane * each : slots;
  const int32_t end = begin + each < slots ? begin + each : slots;
  double gradient = 0;
  for (int32_t k = begin; k < end; ++k) {
    for (int32_t j = 0; j < chunk; ++j) gradient += by_gate[k * chunk + j];
  }
  const double behind = warp_sum_after(gradient, lane);
  // Calls f(k, onwards) for the lane's slots from the last on.
  const auto for_slots = [&](auto f) {
    double onwards = behind;
    for (int32_t k = end - 1; k >= begin; --k) {
      for (int32_t j = 0; j < chunk; ++j) onwards += by_gate[k * chunk + j];
      f(k, onwards);
    }
  };
  double mean = 0;
  for_slots([&](int32_t k, double onwards) { mean += by_slot[k] / total * onwards; });
  mean = __shfl_sync(kAllLanes, warp_sum_before(mean, lane) + mean, 31);
  for_slots([&](int32_t k, double onwards) {
    by_slot[k] = static_cast<float>(by_slot[k] / total * (onwards - mean));
  });
}

}  // namespace
}  // namespace gatefuse::cuda
