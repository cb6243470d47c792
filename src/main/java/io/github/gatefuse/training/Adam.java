// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import io.github.gatefuse.RnnSpec;
import java.util.function.Predicate;

/**
 * The settings of the optimiser: Adam (Kingma and Ba 2015) with bias correction, and with weight
 * decay that is decoupled from the gradient (AdamW, Loshchilov and Hutter 2019) or, as in Adam with
 * an L2 penalty, part of it.
 *
 * <p>Immutable and thread-safe.
 *
 * @param beta1 how much of the mean gradient stays at each step, 0 to below 1
 * @param beta2 the same of its mean square
 * @param epsilon added to the root of the mean square, above 0
 * @param decay of the weights, at least 0: times the learning rate if decoupled
 * @param decoupled whether the decay is AdamW's
 * @param decayed which tensors decay
 */
public record Adam(
    double beta1,
    double beta2,
    double epsilon,
    double decay,
    boolean decoupled,
    Predicate<RnnSpec.Parameter> decayed) {

  /**
   * Checks the ranges.
   *
   * @param beta1 how much of the mean gradient stays at each step, 0 to below 1
   * @param beta2 the same of its mean square
   * @param epsilon added to the root of the mean square, above 0
   * @param decay of the weights, at least 0: times the learning rate if decoupled
   * @param decoupled whether the decay is AdamW's
   * @param decayed which tensors decay
   * @throws IllegalArgumentException in words, if one does not fit
   */
  public Adam {
    range("beta1", beta1, beta1 >= 0 && beta1 < 1, "0 to below 1");
    range("beta2", beta2, beta2 >= 0 && beta2 < 1, "0 to below 1");
    range("epsilon", epsilon, epsilon > 0 && epsilon < 1, "above 0 and below 1");
    range("decay", decay, decay >= 0 && decay < Double.POSITIVE_INFINITY, "at least 0");
  }

  private static void range(String name, double value, boolean good, String expected) {
    if (!good) {
      throw new IllegalArgumentException(name + ": expected " + expected + ", got " + value);
    }
  }

  /**
   * The usual settings, without decay.
   *
   * @return beta1 0.9, beta2 0.999, epsilon 1e-8
   */
  public static Adam standard() {
    return new Adam(0.9, 0.999, 1e-8, 0, true, parameter -> !parameter.bias());
  }

  /**
   * The same with other means.
   *
   * @param first beta1
   * @param second beta2
   * @return new settings
   */
  public Adam withBetas(double first, double second) {
    return new Adam(first, second, epsilon, decay, decoupled, decayed);
  }

  /**
   * The same with decoupled decay, AdamW, of all tensors but biases.
   *
   * @param value such as 0.01
   * @return new settings
   */
  public Adam withDecay(double value) {
    return new Adam(beta1, beta2, epsilon, value, true, decayed);
  }

  /**
   * The same with decay as an L2 penalty in the gradient.
   *
   * @param value such as 1e-5
   * @return new settings
   */
  public Adam withPenalty(double value) {
    return new Adam(beta1, beta2, epsilon, value, false, decayed);
  }

  /**
   * The same with another choice of what decays.
   *
   * @param value true for a tensor that decays
   * @return new settings
   */
  public Adam withDecayOf(Predicate<RnnSpec.Parameter> value) {
    return new Adam(beta1, beta2, epsilon, decay, decoupled, value);
  }
}
