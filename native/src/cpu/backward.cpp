// SPDX-License-Identifier: Apache-2.0
#include "cpu/session.hpp"

namespace gatefuse::cpu {

void Session::backward(const gf_gradients&) {
  throw Error(GF_INVALID_STATE, "backward: expected a session that keeps what it needs");
}

}  // namespace gatefuse::cpu
