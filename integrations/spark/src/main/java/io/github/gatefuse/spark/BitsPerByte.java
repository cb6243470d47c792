// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

/** How surprising a line is to a byte model, as the command line's {@code score} says it. */
public final class BitsPerByte {
  private static final double NATS_PER_BIT = Math.log(2);

  private BitsPerByte() {}

  /**
   * The mean surprise of a line's bytes and of its end.
   *
   * @param logProbabilities the natural logarithms of their probabilities, at least one, as {@link
   *     io.github.gatefuse.serving.Output#TARGET_LOG_PROBABILITIES} gives them
   * @return the mean of -log2 p
   */
  public static double of(float[] logProbabilities) {
    double bits = 0;
    for (float logProbability : logProbabilities) {
      bits -= logProbability / NATS_PER_BIT;
    }
    return bits / logProbabilities.length;
  }
}
