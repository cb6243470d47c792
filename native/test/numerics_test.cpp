// SPDX-License-Identifier: Apache-2.0
//
// What surrounds the cells: log-softmax of large logits, a caller whose thread has other
// floating-point modes, a process that forks.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "cpu/team.hpp"
#include "support.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace gatefuse::test;

namespace {

gf_spec with_head(int hidden, int outputs) {
  gf_spec spec = make_spec(GF_LSTM_REFINE, 3, hidden);
  spec.outputs = outputs;
  return spec;
}

// What is small beside the logits must not be lost with them.
void check_large_logits() {
  Network network(with_head(2, 3), 1);
  const std::vector<float> weight(3 * 2, 0.0f);
  const std::vector<float> bias = {1000, 990, -1000};
  CHECK_EQ(gf_model_set_tensor(network.model, 4, weight.data(), 6), GF_OK);
  CHECK_EQ(gf_model_set_tensor(network.model, 5, bias.data(), 3), GF_OK);
  Runner runner(network, 1, 1);
  const Result result = forward(runner, random_call(network.spec, 1, 1, false, false, 2));
  const double rest = std::log1p(std::exp(-10.0));
  CHECK_CLOSE(result.log_probs[0] / -rest, 1, 1e-5);
  CHECK_CLOSE(result.log_probs[1], -10 - rest, 1e-5);
  CHECK_CLOSE(result.log_probs[2], -2000 - rest, 1e-3);
}

// Flushing of subnormals, another rounding and traps, as some libraries leave them behind.
void check_foreign_modes() {
#if defined(__x86_64__)
  Network network(make_spec(GF_LSTM_REFINE, 3, 40), 3);
  Call call = random_call(network.spec, 4, 3, true, true, 4);
  for (float& value : call.h0) value *= 1e-39f;  // subnormal
  for (float& value : call.c0) value *= 1e-39f;
  for (float& value : call.x) value *= 1e-38f;
  Runner runner(network, 4, 3, 2);
  const Result expected = forward(runner, call);
  const unsigned before = _mm_getcsr();
  const unsigned foreign = (before & 0x1fbfu) | 0x8040u | 0x6000u;  // flush both ways, to zero
  _mm_setcsr(foreign);
  const Result actual = forward(runner, call);
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  CHECK(same_bits(actual, expected));
  CHECK_EQ(after & ~0x3fu, foreign & ~0x3fu);  // less the sticky flags
#endif
}

// The workers stay with the parent; the child must not wait for them.
void check_fork() {
  Network network(make_spec(GF_GRU, 64, 64), 5);
  const Call call = random_call(network.spec, 3, 16, false, false, 6);
  Runner runner(network, 3, 16, 2);
  const Result expected = forward(runner, call);
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(same_bits(forward(runner, call), expected) ? 0 : 1);
  }
  int status = -1;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK_EQ(status, 0);
}

}  // namespace

int main() {
  gatefuse::cpu::team::set_limit_for_tests(2);
  check_large_logits();
  check_foreign_modes();
  if (!kSanitized) check_fork();  // sanitizers have threads and locks of their own
  return result();
}
