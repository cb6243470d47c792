// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "batch.hpp"
#include "spec.hpp"

namespace gatefuse::cuda {

// The states that a call picks by row out of pools in host memory which no kernel reaches: the host
// copies the rows that the call names into a batch's states, and back. So the rest of a pool does
// not cross the bus.
class PageableStates {
 public:
  // Memory that no call uses costs nothing.
  PageableStates(const Spec& spec, int64_t max_batch);

  // The same call with its states here, in the order of the batch.
  gf_io gather(const gf_io& io, const StateRows& rows);
  // Brings the final states of such a call to its pools.
  void scatter(const gf_io& io, const StateRows& rows) const;

 private:
  template <class Copy>
  void each_row(const gf_io& io, const StateRows& rows, Copy copy) const;

  const Spec& spec_;
  std::unique_ptr<float[]> h_;
  std::unique_ptr<float[]> c_;  // null for cells without a cell state
};

}  // namespace gatefuse::cuda
