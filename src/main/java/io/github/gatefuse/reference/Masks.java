// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnSpec;
import java.util.Arrays;

/**
 * What a {@link Regularization} does to one run; {@code gatefuse.h} says how masks are drawn.
 *
 * <p>Immutable and thread-safe.
 *
 * @param rates how much of it
 * @param training whether masks are drawn
 * @param draw the number of the draw
 */
record Masks(Regularization rates, boolean training, long draw) {
  private static final int DROPOUT = 0;
  private static final int ZONEOUT_HIDDEN = 1;
  private static final int ZONEOUT_CELL = 2;
  private static final int RECURRENT_DROPOUT = 3;

  /**
   * Those of one step of one sequence, for each unit; null where nothing is done.
   *
   * @param candidate what the candidate is multiplied by
   * @param hidden the share of the hidden state before the step that stays
   * @param cell that of the cell state
   */
  record OfStep(double[] candidate, double[] hidden, double[] cell) {}

  /** The masks of a step at a time of a sequence, in a layer and direction. */
  OfStep step(int slot, int time, int sequence, int units) {
    return new OfStep(
        factors(RECURRENT_DROPOUT, rates.recurrentDropout(), slot, time, sequence, units),
        shares(ZONEOUT_HIDDEN, rates.zoneoutHidden(), slot, time, sequence, units),
        shares(ZONEOUT_CELL, rates.zoneoutCell(), slot, time, sequence, units));
  }

  /**
   * What a layer gives to the next one, of what came out of it; or the gradient by that, of the one
   * by what the next layer read.
   *
   * @param y [T, B, D*H]
   */
  double[] dropped(
      RnnSpec spec, Rounding rounding, int layer, double[] y, int batch, int[] lengths) {
    if (rates.dropout() == 0 || !training) {
      return y;
    }
    int units = spec.hiddenSize();
    double[] dropped = new double[y.length];
    for (int place = 0; place * units < y.length; place++) {
      int slot = layer * spec.directions() + place % spec.directions();
      int time = place / spec.directions() / batch;
      int sequence = place / spec.directions() % batch;
      if (time < lengths[sequence]) {
        double[] mask = factors(DROPOUT, rates.dropout(), slot, time, sequence, units);
        for (int j = 0; j < units; j++) {
          dropped[place * units + j] = rounding.value(mask[j] * y[place * units + j]);
        }
      }
    }
    return dropped;
  }

  private double[] factors(int kind, double rate, int slot, int time, int sequence, int units) {
    return rate == 0 || !training
        ? null
        : drawn(kind, rate, slot, time, sequence, new double[units], 0, 1 / (1 - rate));
  }

  private double[] shares(int kind, double rate, int slot, int time, int sequence, int units) {
    if (rate == 0) {
      return null;
    }
    double[] shares = new double[units];
    if (training) {
      return drawn(kind, rate, slot, time, sequence, shares, 1, 0);
    }
    Arrays.fill(shares, rate);
    return shares;
  }

  /** Fills an array with one value where the word of a unit is below the rate, else the other. */
  private double[] drawn(
      int kind,
      double rate,
      int slot,
      int time,
      int sequence,
      double[] values,
      double below,
      double above) {
    int[] key =
        Philox.words(
            new int[] {(int) draw, (int) (draw >>> 32), kind, slot},
            new int[] {(int) rates.seed(), (int) (rates.seed() >>> 32)});
    long threshold = (long) (rate * 0x1p32);
    int[] words = null;
    for (int unit = 0; unit < values.length; unit++) {
      if (unit % 4 == 0) {
        words = Philox.words(new int[] {unit / 4, time, sequence, 0}, key);
      }
      values[unit] = Integer.toUnsignedLong(words[unit % 4]) < threshold ? below : above;
    }
    return values;
  }
}
