// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "gatefuse.h"
#include "spec.hpp"

namespace gatefuse {

// Says what a field was expected to be. `expected` and `got` end the sentence.
[[noreturn]] void wrong(const char* name, const char* expected, const char* got);
void in_range(const char* name, int64_t value, int64_t least, int64_t most);

// Checks the sizes of a call, and which pointers are there and which are null.
void check_call(const Spec& spec, const gf_io& io, int64_t max_steps, int64_t max_batch);

// Only a session that keeps nothing for a way back picks states by row.
void check_state_rows(const gf_io& io, bool keeps_way_back);

// Checks which pointers of a way back are there and which are null.
void check_gradients(const Spec& spec, const gf_gradients& gradients);

// Whether the last forward pass of a session may be gone back over.
class LastForward {
 public:
  // It has failed, or is not complete yet.
  void forget() { there_ = false; }
  // It has been made with a model after so many updates.
  void remember(int64_t updates) {
    there_ = true;
    updates_ = updates;
  }
  // An Error says why not.
  void check(int64_t updates) const;

 private:
  bool there_ = false;
  int64_t updates_ = 0;
};

// What a session without a way back says.
[[noreturn]] void no_way_back();

// Which rows of pools of states a call reads and writes (gf_io.state_rows).
class StateRows {
 public:
  // The values of memory that a largest batch needs.
  static int64_t size(int64_t max_batch) { return max_batch + table_size(max_batch); }
  // The memory is the owner's.
  void use(int32_t* memory, int64_t max_batch) {
    rows_ = memory;
    table_ = memory + max_batch;
  }

  // Takes over the rows of a call whose sizes have been checked, a copy as of the lengths.
  void take(const gf_io& io);
  // By the caller's row; of a call that has any.
  const int32_t* rows() const { return rows_; }

  // The index of a slot's state of the caller's row b, among [L*D, B] or [L*D, state_capacity].
  int64_t place(int64_t slot, int32_t b) const {
    return slot * capacity_ + (pooled_ ? rows_[b] : b);
  }

 private:
  // A power of two, twice the batch at least: rows are looked up in a few steps.
  static int64_t table_size(int64_t batch);
  void check_once(int32_t batch);

  int32_t* rows_ = nullptr;   // by the caller's row
  int32_t* table_ = nullptr;  // the caller's rows, by a hash of their state's row
  int64_t capacity_ = 0;
  bool pooled_ = false;
};

// The rows of a call's batch, sorted by length, longest first and in the caller's order among
// equals: the rows still running are always the first ones, and ended rows cost nothing. A "row" is
// a place in that order. The arrays are the owner's, of the session's largest batch each.
class Batch {
 public:
  void use(int32_t* order, int32_t* lengths, int32_t* given) {
    order_ = order;
    lengths_ = lengths;
    given_ = given;
  }

  // Takes over the sizes and lengths of a call whose sizes have been checked. A copy, so that what
  // has been checked is what is used, whatever another thread may write.
  void take(const gf_io& io);

  // Narrows it to the places first .. first + count - 1 of the whole batch, until the next focus or
  // take.
  void focus(int32_t first, int32_t count) {
    first_ = first;
    count_ = count;
  }

  // Checks tokens or targets in host memory: 0 .. most - 1. Past a sequence's end anything may be.
  void check_values(const char* name, const int32_t* values, int64_t most) const;

  // Rows count from the first of the focus, which is at first the whole batch.
  int32_t size() const { return count_; }
  bool ragged() const { return ragged_; }
  const int32_t* order() const { return order_ + first_; }
  const int32_t* lengths() const { return lengths_ + first_; }
  int32_t callers_row(int64_t row) const { return order()[row]; }
  int32_t length(int64_t row) const { return lengths()[row]; }
  int32_t longest() const { return lengths()[0]; }

  // Rows whose sequences are longer than step s, at most `rows`.
  int active(int64_t s, int rows) const {
    while (rows > 0 && lengths()[rows - 1] <= s) --rows;
    return rows;
  }
  // The index of (t, row) among the [T, B] or [B, T] places of a caller's tensor.
  int64_t place(int64_t t, int64_t row) const {
    const int64_t b = callers_row(row);
    return batch_major_ ? b * steps_ + t : t * batch_ + b;
  }

 private:
  int32_t* order_ = nullptr;    // the caller's row at each place
  int32_t* lengths_ = nullptr;  // by place
  int32_t* given_ = nullptr;    // by the caller's row
  int32_t steps_ = 0;
  int32_t batch_ = 0;
  int32_t first_ = 0;
  int32_t count_ = 0;
  bool batch_major_ = false;
  bool ragged_ = false;
};

}  // namespace gatefuse
