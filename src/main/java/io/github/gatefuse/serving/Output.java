// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.RnnSpec;

/** What a request or a step is answered with. */
public enum Output {
  /** The hidden states of the last layer at every step, [T, D*H]; forward direction first. */
  HIDDEN,
  /**
   * The final hidden state of the last layer, [D*H]: the forward direction's after the last step,
   * the reverse direction's after the first.
   */
  LAST_HIDDEN,
  /** The head's outputs at every step, [T, O]. */
  LOGITS,
  /** The head's outputs at the last step, [O]. */
  LAST_LOGITS,
  /** The log-softmax of the head's outputs at every step, [T, O]; natural logarithms. */
  LOG_PROBABILITIES,
  /** The natural logarithm of each target's probability, [T]. */
  TARGET_LOG_PROBABILITIES;

  /** The values of one step, or of the one that is given. */
  int width(RnnSpec spec) {
    return switch (this) {
      case HIDDEN, LAST_HIDDEN -> spec.outputSize();
      case LOGITS, LAST_LOGITS, LOG_PROBABILITIES -> spec.outputs();
      case TARGET_LOG_PROBABILITIES -> 1;
    };
  }

  /** The values of an answer; {@link Request#check} has held them against what there can be. */
  int size(RnnSpec spec, int steps) {
    return (last() ? 1 : steps) * width(spec);
  }

  /** Whether there is one answer for a sequence and not one for each step. */
  boolean last() {
    return this == LAST_HIDDEN || this == LAST_LOGITS;
  }

  boolean needsTargets() {
    return this == TARGET_LOG_PROBABILITIES;
  }

  /** Holds it against a network. */
  void check(RnnSpec spec) {
    if (this != HIDDEN && this != LAST_HIDDEN && spec.outputs() == 0) {
      throw new IllegalArgumentException(
          "output: expected HIDDEN or LAST_HIDDEN, since the network has no head; got " + this);
    }
  }
}
