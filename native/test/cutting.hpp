// SPDX-License-Identifier: Apache-2.0
//
// Parts of calls and of their results, for tests that hold one call against others.
#pragma once

#include <algorithm>
#include <numeric>

#include "support.hpp"

namespace gatefuse::test {

// The rows `rows` and the steps first .. first + steps - 1 of a tensor [T, B, size].
template <class T>
std::vector<T> cut(const std::vector<T>& from, const Call& call, const std::vector<int>& rows,
                   int first, int steps, int64_t size) {
  std::vector<T> out;
  for (int t = first; !from.empty() && t < first + steps; ++t) {
    for (const int row : rows) {
      const auto begin = from.begin() + (int64_t{t} * call.batch + row) * size;
      out.insert(out.end(), begin, begin + size);
    }
  }
  return out;
}

inline std::vector<float> cut_state(const gf_spec& spec, const std::vector<float>& from, int batch,
                                    const std::vector<int>& rows) {
  std::vector<float> out;
  for (int slot = 0; !from.empty() && slot < spec.layers * spec.directions; ++slot) {
    for (const int row : rows) {
      const auto begin = from.begin() + (int64_t{slot} * batch + row) * spec.hidden_size;
      out.insert(out.end(), begin, begin + spec.hidden_size);
    }
  }
  return out;
}

inline Call cut_call(const gf_spec& spec, const Call& call, const std::vector<int>& rows, int first,
                     int steps) {
  Call out{steps, static_cast<int>(rows.size())};
  out.x = cut(call.x, call, rows, first, steps, spec.input_size);
  out.tokens = cut(call.tokens, call, rows, first, steps, 1);
  out.targets = cut(call.targets, call, rows, first, steps, 1);
  out.h0 = cut_state(spec, call.h0, call.batch, rows);
  out.c0 = cut_state(spec, call.c0, call.batch, rows);
  return out;
}

inline Result cut_result(const gf_spec& spec, const Result& result, const Call& call,
                         const std::vector<int>& rows, int first, int steps) {
  Result out;
  out.y = cut(result.y, call, rows, first, steps, spec.directions * spec.hidden_size);
  out.hn = cut_state(spec, result.hn, call.batch, rows);
  out.cn = cut_state(spec, result.cn, call.batch, rows);
  out.logits = cut(result.logits, call, rows, first, steps, spec.outputs);
  out.log_probs = cut(result.log_probs, call, rows, first, steps, spec.outputs);
  out.target_log_probs = cut(result.target_log_probs, call, rows, first, steps, 1);
  return out;
}

inline std::vector<int> all_rows(const Call& call) {
  std::vector<int> rows(call.batch);
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

inline bool all_zero(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
}

inline bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

inline bool all_finite(const Result& r) {
  return all_finite(r.y) && all_finite(r.hn) && all_finite(r.cn) && all_finite(r.logits) &&
         all_finite(r.log_probs) && all_finite(r.target_log_probs);
}

template <class T>
std::vector<T> transposed(const std::vector<T>& from, const Call& call, int64_t size) {
  std::vector<T> out;
  for (int row = 0; !from.empty() && row < call.batch; ++row) {
    const std::vector<T> one = cut(from, call, {row}, 0, call.steps, size);
    out.insert(out.end(), one.begin(), one.end());
  }
  return out;
}

// The whole call with the first two indices of its tensors exchanged.
inline Call batch_major(const gf_spec& spec, const Call& call) {
  Call other = call;
  other.layout = GF_BATCH_MAJOR;
  other.x = transposed(call.x, call, spec.input_size);
  other.tokens = transposed(call.tokens, call, 1);
  other.targets = transposed(call.targets, call, 1);
  return other;
}

inline Result batch_major(const gf_spec& spec, const Call& call, const Result& result) {
  Result other = result;
  other.y = transposed(result.y, call, spec.directions * spec.hidden_size);
  other.logits = transposed(result.logits, call, spec.outputs);
  other.log_probs = transposed(result.log_probs, call, spec.outputs);
  other.target_log_probs = transposed(result.target_log_probs, call, 1);
  return other;
}

// The same call with whatever is bad past its sequences' ends.
inline Call spoil_past_ends(const gf_spec& spec, Call call) {
  for (int row = 0; row < call.batch; ++row) {
    for (int t = call.length(row); t < call.steps; ++t) {
      const int64_t place = call.place(t, row);
      if (!call.x.empty()) {
        std::fill_n(call.x.begin() + place * spec.input_size, spec.input_size,
                    std::numeric_limits<float>::quiet_NaN());
      }
      if (!call.tokens.empty()) call.tokens[place] = INT32_MIN;
      if (!call.targets.empty()) call.targets[place] = INT32_MAX;
    }
  }
  return call;
}

// Whether a time-major result is 0 past its call's sequences' ends.
inline bool is_zero_past_ends(const gf_spec& spec, const Call& call, const Result& result) {
  bool zero = true;
  for (int row = 0; row < call.batch; ++row) {
    const int length = call.length(row);
    const Result tail = cut_result(spec, result, call, {row}, length, call.steps - length);
    zero = zero && all_zero(tail.y) && all_zero(tail.logits) && all_zero(tail.log_probs) &&
           all_zero(tail.target_log_probs);
  }
  return zero;
}

}  // namespace gatefuse::test
