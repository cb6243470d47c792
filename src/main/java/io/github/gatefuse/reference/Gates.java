// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/**
 * The functions that gates are made of, without rounding.
 *
 * <p>A gate's complement is never one minus the gate: near one that difference keeps few right
 * digits or none, and long memory lives there. Each function here gives either side from quantities
 * that are small where the side is small.
 */
final class Gates {
  private Gates() {}

  /** σ(a) = 1 / (1 + exp(-a)); the complement 1 - σ(a) is {@code sigmoid(-a)}. */
  static double sigmoid(double a) {
    return 1 / (1 + Math.exp(-a));
  }

  /** The slope of σ at a: σ(a) σ(-a). */
  static double sigmoidSlope(double a) {
    return sigmoid(a) * sigmoid(-a);
  }

  /**
   * The slope of tanh at a: 1 - tanh² = 4 σ(2a) σ(-2a), which keeps all digits where it is small.
   */
  static double tanhSlope(double a) {
    return 4 * sigmoidSlope(2 * a);
  }

  /**
   * The effective gate of forget gate f and refine gate r: g = r (1 - (1-f)²) + (1-r) f² = f (f + 2
   * r f̄), from Gu et al. 2020.
   *
   * <p>Its complement is the same function of the complements: 1 - g = f̄ (f̄ + 2 r̄ f), which is
   * {@code refine(fBar, f, rBar)}. At the upper end rounding may carry the product past 1, hence
   * the minimum.
   *
   * @param f the forget gate
   * @param fBar 1 - f
   * @param r the refine gate
   */
  static double refine(double f, double fBar, double r) {
    return Math.min(1, f * (f + 2 * r * fBar));
  }

  /**
   * The slope of {@link #refine} by f, with 1 - f going along: 2 (f r̄ + r f̄).
   *
   * @param f the forget gate
   * @param fBar 1 - f
   * @param r the refine gate
   * @param rBar 1 - r
   */
  static double refineByForget(double f, double fBar, double r, double rBar) {
    return 2 * (f * rBar + r * fBar);
  }

  /** The slope of {@link #refine} by r: 2 f f̄. */
  static double refineByRefine(double f, double fBar) {
    return 2 * f * fBar;
  }

  /**
   * cumax = cumsum(softmax(a)) over the slots of one row, and its complement, from Shen et al.
   * 2019.
   *
   * <p>The complement of slot k is the sum over the slots after k, so it is exact where it is
   * small.
   *
   * @param a the pre-activations, read from {@code start}, one for each slot
   * @param cumax receives each slot's value {@code chunk} times [slots · chunk]
   * @param complement receives each slot's 1 - cumax {@code chunk} times [slots · chunk]
   */
  static void cumax(double[] a, int start, int chunk, double[] cumax, double[] complement) {
    int slots = cumax.length / chunk;
    double largest = largest(a, start, slots);
    double before = 0;
    for (int k = 0; k < slots; k++) {
      before += Math.exp(a[start + k] - largest);
      fill(cumax, k, chunk, before);
    }
    double after = 0;
    for (int k = slots - 1; k >= 0; k--) {
      fill(complement, k, chunk, after);
      after += Math.exp(a[start + k] - largest);
    }
    for (int j = 0; j < cumax.length; j++) {
      cumax[j] /= before;
      complement[j] /= after;
    }
  }

  /**
   * The gradient of {@link #cumax} by its pre-activations, from that by its values.
   *
   * <p>With p = softmax(a) every p_k is part of the values from slot k on. So with G_k the sum of
   * their gradients the gradient by p_k is G_k, and that by a_k is p_k (G_k - Σ_i p_i G_i).
   *
   * @param a the pre-activations, read from {@code start}, one for each slot
   * @param byValue the gradient by each value, the complement going along [slots · chunk]
   * @param da receives the gradient by the pre-activations, from {@code start} on
   */
  static void cumaxGradient(double[] a, int start, int chunk, double[] byValue, double[] da) {
    int slots = byValue.length / chunk;
    double largest = largest(a, start, slots);
    double[] p = new double[slots];
    double[] g = new double[slots];
    double total = 0;
    double after = 0;
    double mean = 0;
    for (int k = slots - 1; k >= 0; k--) {
      for (int j = k * chunk; j < (k + 1) * chunk; j++) {
        after += byValue[j];
      }
      g[k] = after;
      p[k] = Math.exp(a[start + k] - largest);
      total += p[k];
      mean += p[k] * after;
    }
    for (int k = 0; k < slots; k++) {
      da[start + k] = p[k] / total * (g[k] - mean / total);
    }
  }

  private static double largest(double[] a, int start, int count) {
    double largest = Double.NEGATIVE_INFINITY;
    for (int k = 0; k < count; k++) {
      largest = Math.max(largest, a[start + k]);
    }
    return largest;
  }

  private static void fill(double[] values, int slot, int chunk, double value) {
    for (int j = slot * chunk; j < (slot + 1) * chunk; j++) {
      values[j] = value;
    }
  }

  /** Moves from one value towards another by a share of the way: from + share (to - from). */
  static double towards(double from, double to, double share) {
    return from + share * (to - from);
  }
}
