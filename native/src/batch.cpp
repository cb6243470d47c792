// SPDX-License-Identifier: Apache-2.0
#include "batch.hpp"

#include <algorithm>

namespace gatefuse {
namespace {

void needs(const char* name, const void* pointer, bool wanted, const char* why) {
  if (wanted && pointer == nullptr) wrong(name, why, "null");
  if (!wanted && pointer != nullptr) wrong(name, why, "a pointer");
}

}  // namespace

void wrong(const char* name, const char* expected, const char* got) {
  throw Error(GF_INVALID_ARGUMENT, "%s: expected %s, got %s", name, expected, got);
}

void in_range(const char* name, int64_t value, int64_t least, int64_t most) {
  if (value < least || value > most) {
    throw Error(GF_INVALID_ARGUMENT, "%s: expected %lld .. %lld, got %lld", name,
                static_cast<long long>(least), static_cast<long long>(most),
                static_cast<long long>(value));
  }
}

void check_call(const Spec& spec, const gf_io& io, int64_t max_steps, int64_t max_batch) {
  in_range("layout", io.layout, GF_TIME_MAJOR, GF_BATCH_MAJOR);
  in_range("memory", io.memory, GF_MEMORY_HOST, GF_MEMORY_DEVICE);
  in_range("state_memory", io.state_memory, GF_MEMORY_HOST, GF_MEMORY_DEVICE);
  in_range("reserved", io.reserved, 0, 0);
  in_range("completion", io.completion, GF_ON_RETURN, GF_ON_STREAM);
  in_range("training", io.training, 0, 1);
  in_range("steps", io.steps, 1, max_steps);
  in_range("batch", io.batch, 1, max_batch);
  const bool tokens = spec.vocabulary > 0;
  needs("x", io.x, !tokens, tokens ? "null (this network takes tokens)" : "[T, B, I] values");
  needs("tokens", io.tokens, tokens, tokens ? "[T, B] tokens" : "null (this network takes x)");
  if (!spec.cell->cell_state) {
    needs("c0", io.c0, false, "null (this cell has no cell state)");
    needs("cn", io.cn, false, "null (this cell has no cell state)");
  }
  if (spec.outputs == 0) {
    needs("logits", io.logits, false, "null (this network has no head)");
    needs("log_probs", io.log_probs, false, "null (this network has no head)");
    needs("target_log_probs", io.target_log_probs, false, "null (this network has no head)");
  }
  if (io.target_log_probs != nullptr) needs("targets", io.targets, true, "[T, B] targets");
  if (io.state_rows != nullptr) in_range("state_capacity", io.state_capacity, 1, INT64_MAX);
}

void check_state_rows(const gf_io& io, bool keeps_way_back) {
  if (keeps_way_back) {
    needs("state_rows", io.state_rows, false, "null in a session with a backward pass");
  }
}

void check_gradients(const Spec& spec, const gf_gradients& gradients) {
  in_range("accumulate", gradients.accumulate, 0, 1);
  in_range("completion", gradients.completion, GF_ON_RETURN, GF_ON_STREAM);
  if (!spec.cell->cell_state) {
    needs("dcn", gradients.dcn, false, "null (this cell has no cell state)");
    needs("dc0", gradients.dc0, false, "null (this cell has no cell state)");
  }
  if (spec.outputs == 0) {
    needs("dlogits", gradients.dlogits, false, "null (this network has no head)");
  }
  if (spec.vocabulary > 0) {
    needs("dx", gradients.dx, false, "null (this network takes tokens)");
  }
}

void LastForward::check(int64_t updates) const {
  if (!there_) {
    throw Error(GF_INVALID_STATE,
                "backward: expected a forward pass before, got none that succeeded");
  }
  if (updates_ != updates) {
    throw Error(
        GF_INVALID_STATE,
        "backward: expected a forward pass with the model's present weights, got one before "
        "their last update");
  }
}

void no_way_back() {
  throw Error(GF_INVALID_STATE,
              "backward: expected a session with GF_BACKWARD_STORE or GF_BACKWARD_RECOMPUTE, got "
              "one with GF_BACKWARD_NONE");
}

int64_t StateRows::table_size(int64_t batch) {
  int64_t size = 2;
  while (size < 2 * batch) size *= 2;
  return size;
}

void StateRows::take(const gf_io& io) {
  pooled_ = io.state_rows != nullptr;
  capacity_ = pooled_ ? io.state_capacity : io.batch;
  if (!pooled_) return;
  std::copy_n(io.state_rows, io.batch, rows_);
  for (int32_t b = 0; b < io.batch; ++b) {
    if (rows_[b] < 0 || rows_[b] >= capacity_) {
      throw Error(GF_INVALID_ARGUMENT, "state_rows[%d]: expected 0 .. %lld, got %d", b,
                  static_cast<long long>(capacity_ - 1), rows_[b]);
    }
  }
  check_once(io.batch);
}

// A table with open addresses, since the pools may be much larger than a batch.
void StateRows::check_once(int32_t batch) {
  const int64_t size = table_size(batch);
  std::fill_n(table_, size, -1);
  for (int32_t b = 0; b < batch; ++b) {
    uint64_t at = (static_cast<uint32_t>(rows_[b]) * 0x9e3779b97f4a7c15u >> 32) & (size - 1);
    for (; table_[at] >= 0; at = (at + 1) & (size - 1)) {
      if (rows_[table_[at]] == rows_[b]) {
        throw Error(GF_INVALID_ARGUMENT,
                    "state_rows[%d]: expected a row that no other sequence has, got %d as in "
                    "state_rows[%d]",
                    b, rows_[b], table_[at]);
      }
    }
    table_[at] = b;
  }
}

void Batch::take(const gf_io& io) {
  steps_ = io.steps;
  batch_ = io.batch;
  focus(0, batch_);
  batch_major_ = io.layout == GF_BATCH_MAJOR;
  ragged_ = io.lengths != nullptr;
  if (ragged_) std::copy_n(io.lengths, batch_, given_);
  for (int32_t b = 0; ragged_ && b < batch_; ++b) {
    if (given_[b] < 1 || given_[b] > steps_) {
      throw Error(GF_INVALID_ARGUMENT, "lengths[%d]: expected 1 .. T=%d, got %d", b, steps_,
                  given_[b]);
    }
  }
  const auto length = [this](int32_t b) { return ragged_ ? given_[b] : steps_; };
  for (int32_t b = 0; b < batch_; ++b) order_[b] = b;
  if (ragged_) {
    std::sort(order_, order_ + batch_, [&](int32_t a, int32_t b) {
      return length(a) != length(b) ? length(a) > length(b) : a < b;
    });
  }
  for (int32_t row = 0; row < batch_; ++row) lengths_[row] = length(order_[row]);
}

void Batch::check_values(const char* name, const int32_t* values, int64_t most) const {
  for (int64_t row = 0; row < batch_; ++row) {
    for (int64_t t = 0; t < lengths_[row]; ++t) {
      const int32_t value = values[place(t, row)];
      if (value < 0 || value >= most) {
        throw Error(GF_INVALID_ARGUMENT, "%s[t=%lld, b=%d]: expected 0 .. %lld, got %d", name,
                    static_cast<long long>(t), order_[row], static_cast<long long>(most - 1),
                    value);
      }
    }
  }
}

}  // namespace gatefuse
