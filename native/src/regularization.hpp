// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

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
  // Whether a step may be another one for them. Dropout comes after the steps of a layer.
  bool in_steps() const { return zones_out() || recurrent_dropout > 0; }
  bool any() const { return dropout > 0 || in_steps(); }

  // Lines of gf_session_path: the rates that are not 0.
  std::string lines() const {
    std::string text;
    const auto add = [&](const char* name, double rate) {
      char line[64];
      std::snprintf(line, sizeof line, "%s=%g\n", name, rate);
      if (rate > 0) text += line;
    };
    add("dropout", dropout);
    add("zoneout_h", zoneout_h);
    add("zoneout_c", zoneout_c);
    add("recurrent_dropout", recurrent_dropout);
    return text;
  }

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
