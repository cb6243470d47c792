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
    double largest = Double.NEGATIVE_INFINITY;
    for (int k = 0; k < slots; k++) {
      largest = Math.max(largest, a[start + k]);
    }
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
