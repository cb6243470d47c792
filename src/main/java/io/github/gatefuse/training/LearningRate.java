// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

/**
 * The learning rate of each step.
 *
 * <p>Implementations are pure functions, and so thread-safe.
 */
@FunctionalInterface
public interface LearningRate {
  /**
   * The rate of a step.
   *
   * @param step 0 for the first
   * @return at least 0
   */
  double at(long step);

  /**
   * The same rate at every step.
   *
   * @param rate at least 0
   * @return the schedule
   */
  static LearningRate constant(double rate) {
    if (!(rate >= 0) || Double.isInfinite(rate)) {
      throw new IllegalArgumentException("learning rate: expected at least 0, got " + rate);
    }
    return step -> rate;
  }

  /**
   * This schedule after a linear rise from near zero to its first rates.
   *
   * @param steps of the rise; 0 for none
   * @return a new schedule, in which this one runs from the beginning
   * @throws IllegalArgumentException if the steps are negative
   */
  default LearningRate withWarmup(long steps) {
    atLeast("warmup", steps, 0);
    return step -> step < steps ? at(step) * (step + 1) / steps : at(step);
  }

  /**
   * This schedule times a half cosine, from one down to a share.
   *
   * @param steps after which the share is reached and kept; at least 1
   * @param last the share, 0 to 1
   * @return a new schedule
   * @throws IllegalArgumentException if one is out of range
   */
  default LearningRate withCosineDecay(long steps, double last) {
    atLeast("cosine decay", steps, 1);
    if (!(last >= 0 && last <= 1)) {
      throw new IllegalArgumentException("cosine decay: expected a share from 0 to 1, got " + last);
    }
    return step -> {
      double done = Math.min(1, (double) step / steps);
      return at(step) * (last + (1 - last) * (1 + Math.cos(Math.PI * done)) / 2);
    };
  }

  /**
   * This schedule times a factor at every so many steps.
   *
   * @param steps between one factor and the next; at least 1
   * @param factor such as 0.5, at least 0
   * @return a new schedule
   * @throws IllegalArgumentException if one is out of range
   */
  default LearningRate withStepDecay(long steps, double factor) {
    atLeast("step decay", steps, 1);
    if (!(factor >= 0) || Double.isInfinite(factor)) {
      throw new IllegalArgumentException(
          "step decay: expected a factor of at least 0, got " + factor);
    }
    return step -> at(step) * Math.pow(factor, step / steps);
  }

  private static void atLeast(String name, long steps, long least) {
    if (steps < least) {
      throw new IllegalArgumentException(
          "%s: expected at least %d step%s, got %d"
              .formatted(name, least, least == 1 ? "" : "s", steps));
    }
  }
}
