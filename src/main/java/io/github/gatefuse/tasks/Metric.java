// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.training.Evaluation;

/**
 * The number by which a task is judged.
 *
 * <p>Immutable and thread-safe.
 */
public enum Metric {
  /** The mean loss; for cross-entropy in nats. */
  LOSS("loss", false),
  /** The mean cross-entropy in bits, each symbol being a byte. */
  BITS_PER_BYTE("bits per byte", false),
  /** The share of right predictions. */
  ACCURACY("accuracy", true),
  /** The share of episodes that ended well. */
  SUCCESS("success rate", true);

  private final String label;
  private final boolean larger;

  Metric(String label, boolean larger) {
    this.label = label;
    this.larger = larger;
  }

  /**
   * The name in tables and figures.
   *
   * @return such as {@code accuracy}
   */
  public String label() {
    return label;
  }

  /**
   * Whether a larger value is a better one.
   *
   * @return true for shares of what is right
   */
  public boolean isLargerBetter() {
    return larger;
  }

  /**
   * Reads the number off an evaluation.
   *
   * @param evaluation of a network
   * @return the value
   */
  public double of(Evaluation evaluation) {
    return switch (this) {
      case LOSS -> evaluation.loss();
      case BITS_PER_BYTE -> evaluation.loss() / Math.log(2);
      case ACCURACY, SUCCESS -> evaluation.accuracy();
    };
  }

  /**
   * Whether a value is at least as good as another; NaN is as good as nothing.
   *
   * @param value such as what was reached
   * @param other such as the goal
   * @return true if it is
   */
  public boolean reaches(double value, double other) {
    return larger ? value >= other : value <= other;
  }
}
