// SPDX-License-Identifier: Apache-2.0
//
// What the tests of dropout, zoneout and recurrent dropout share.
#pragma once

#include <cstdio>
#include <string>

#include "training.hpp"

namespace gatefuse::test {

struct MaskedCase {
  gf_spec spec;
  int steps, batch;
  bool ragged;
  int layout;
  double dropout, zoneout_h, zoneout_c, recurrent_dropout;
  int training;
};

inline gf_session_options options_of(const MaskedCase& one, int backward, int threads = 1,
                                     int tier = GF_TIER_AUTO) {
  gf_session_options options = session_options(one.steps, one.batch, threads, tier, backward);
  options.seed = 0x123456789abcdefu;
  options.dropout = one.dropout;
  options.zoneout_h = one.zoneout_h;
  options.zoneout_c = has_cell_state(one.spec.cell) ? one.zoneout_c : 0;
  options.recurrent_dropout = one.recurrent_dropout;
  return options;
}

inline Call call_of(const MaskedCase& one) {
  Call call = random_call(one.spec, one.steps, one.batch, one.ragged, true, 5);
  call.layout = one.layout;
  call.training = one.training;
  call.draw = 1ull << 40 | 17;
  return call;
}

inline std::string name_of(const MaskedCase& one, const char* on) {
  char text[200];
  std::snprintf(text, sizeof text, "%s %s H=%d L=%d D=%d T=%d B=%d p=%g z=%g,%g r=%g training=%d",
                on, kCellNames[one.spec.cell], one.spec.hidden_size, one.spec.layers,
                one.spec.directions, one.steps, one.batch, one.dropout, one.zoneout_h,
                one.zoneout_c, one.recurrent_dropout, one.training);
  return text;
}

// Has every unit of a GRU tell its masks: with candidates next to 1 and gates open.
inline void make_telling(const Network& network) {
  std::vector<float> parameters;
  for (size_t i = 0; i < network.tensors.size(); ++i) {
    std::vector<float> tensor(network.tensors[i].size());
    if (i % 4 == 2) {  // bias_ih of reset, update and candidate: z = 0, u = 1
      const auto units = static_cast<int64_t>(tensor.size()) / 3;
      std::fill_n(tensor.begin() + units, units, -200.0f);
      std::fill_n(tensor.begin() + 2 * units, units, 200.0f);
    }
    parameters.insert(parameters.end(), tensor.begin(), tensor.end());
  }
  const auto count = static_cast<int64_t>(parameters.size());
  CHECK_EQ(gf_model_update(network.model, parameters.data(), count), GF_OK);
}

}  // namespace gatefuse::test
