// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import io.github.gatefuse.RnnSpec;

/** What the network gives for an event. */
public enum Output {
  /** y of the last layer, [H]. */
  HIDDEN,
  /** What the linear head gives, [O]. */
  LOGITS,
  /** The natural logarithms of the softmax of the head's outputs, [O]. */
  LOG_PROBABILITIES;

  int width(RnnSpec spec) {
    return this == HIDDEN ? spec.outputSize() : spec.outputs();
  }
}
