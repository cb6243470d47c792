// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "error.hpp"
#include "gatefuse.h"
#include "spec.hpp"

namespace gatefuse {

// The checked rates of a session: see gf_session_options.
struct Regularization {
  double dropout = 0, zoneout_h = 0, zoneout_c = 0, recurrent_dropout = 0;
  uint64_t seed = 0;

  Regularization(const Spec& spec, const gf_session_options& options)
      : dropout(rate("dropout", options.dropout)),
        zoneout_h(rate("zoneout_h", options.zoneout_h)),
        zoneout_c(rate("zoneout_c", options.zoneout_c)),
        recurrent_dropout(rate("recurrent_dropout", options.recurrent_dropout)),
        seed(options.seed) {
    if (zoneout_c > 0 && !spec.cell->cell_state) {
      throw Error(GF_INVALID_ARGUMENT,
                  "zoneout_c: expected 0 (this cell has no cell state), got %g", zoneout_c);
    }
  }

  bool zones_out() const { return zoneout_h > 0 || zoneout_c > 0; }
  bool any() const { return dropout > 0 || zones_out() || recurrent_dropout > 0; }

 private:
  static double rate(const char* name, double value) {
    // Written so that NaN is refused.
    if (!(value >= 0 && value < 1)) {
      throw Error(GF_INVALID_ARGUMENT, "%s: expected a rate from 0 to below 1, got %g", name,
                  value);
    }
    return value;
  }
};

}  // namespace gatefuse
