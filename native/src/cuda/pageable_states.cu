// SPDX-License-Identifier: Apache-2.0
#include "cuda/pageable_states.hpp"

#include <algorithm>

namespace gatefuse::cuda {

PageableStates::PageableStates(const Spec& spec, int64_t max_batch) : spec_(spec) {
  const size_t count = static_cast<size_t>(spec.slots() * max_batch * spec.hidden);
  h_.reset(new float[count]);
  if (spec.cell->cell_state) c_.reset(new float[count]);
}

// copy(a value of the pool, the same here), for the first values of all rows.
template <class Copy>
void PageableStates::each_row(const gf_io& io, const StateRows& rows, Copy copy) const {
  for (int64_t slot = 0; slot < spec_.slots(); ++slot) {
    for (int32_t b = 0; b < io.batch; ++b) {
      copy(rows.place(slot, b) * spec_.hidden, (slot * io.batch + b) * spec_.hidden);
    }
  }
}

gf_io PageableStates::gather(const gf_io& io, const StateRows& rows) {
  each_row(io, rows, [&](int64_t there, int64_t here) {
    if (io.h0 != nullptr) std::copy_n(io.h0 + there, spec_.hidden, h_.get() + here);
    if (io.c0 != nullptr) std::copy_n(io.c0 + there, spec_.hidden, c_.get() + here);
  });
  gf_io own = io;
  own.state_rows = nullptr;
  if (io.h0 != nullptr) own.h0 = h_.get();
  if (io.c0 != nullptr) own.c0 = c_.get();
  if (io.hn != nullptr) own.hn = h_.get();
  if (io.cn != nullptr) own.cn = c_.get();
  return own;
}

void PageableStates::scatter(const gf_io& io, const StateRows& rows) const {
  each_row(io, rows, [&](int64_t there, int64_t here) {
    if (io.hn != nullptr) std::copy_n(h_.get() + here, spec_.hidden, io.hn + there);
    if (io.cn != nullptr) std::copy_n(c_.get() + here, spec_.hidden, io.cn + there);
  });
}

}  // namespace gatefuse::cuda
