// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Where samples lie. Immutable.
 *
 * @param median half are below it
 * @param lower a quarter are below it
 * @param upper a quarter are above it
 * @param least the smallest
 * @param count how many there are
 */
record Spread(double median, double lower, double upper, double least, int count) {
  static Spread of(double[] samples) {
    double[] sorted = samples.clone();
    Arrays.sort(sorted);
    return new Spread(
        quantile(sorted, 0.5),
        quantile(sorted, 0.25),
        quantile(sorted, 0.75),
        sorted[0],
        sorted.length);
  }

  /** Of a quotient, sample by sample: both were taken in the same round. */
  static Spread ofRatio(double[] dividends, double[] divisors) {
    double[] ratios = new double[dividends.length];
    for (int i = 0; i < ratios.length; i++) {
      ratios[i] = dividends[i] / divisors[i];
    }
    return of(ratios);
  }

  private static double quantile(double[] sorted, double part) {
    double position = part * (sorted.length - 1);
    int below = (int) position;
    int above = Math.min(below + 1, sorted.length - 1);
    return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
  }

  /** For JSON. */
  Map<String, Object> facts() {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("median", median);
    facts.put("lower_quartile", lower);
    facts.put("upper_quartile", upper);
    facts.put("minimum", least);
    facts.put("samples", count);
    return facts;
  }
}
