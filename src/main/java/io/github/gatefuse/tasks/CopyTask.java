// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.BatchSource;
import io.github.gatefuse.training.Loss;
import java.util.Arrays;

/**
 * The copy problem: ten symbols, a long delay, and then the ten symbols again.
 *
 * <p>There are ten symbols, one-hot: eight that carry data, a blank, and a sign to begin. A
 * sequence of delay D has 10 random data symbols, D-1 blanks, the sign, 10 blanks; blanks are to be
 * told for the first D+10 steps and then the data. A network learns from all steps; what is
 * reported is the mean over the last ten steps alone, which is log 8 for who remembers nothing.
 *
 * <p>Immutable and thread-safe.
 */
public final class CopyTask implements SupervisedTask {
  private static final int DATA = 10;
  private static final int SYMBOLS = 8;
  private static final int BLANK = 8;
  private static final int SIGN = 9;
  private static final int INPUTS = 10;
  private static final int HELD_OUT = 500;

  private final int delay;

  /**
   * Makes the task.
   *
   * @param delay D, at least 1
   * @throws IllegalArgumentException if it is less
   */
  public CopyTask(int delay) {
    if (delay < 1) {
      throw new IllegalArgumentException("copy: expected a delay of at least 1, got " + delay);
    }
    this.delay = delay;
  }

  @Override
  public String id() {
    return "copy";
  }

  @Override
  public String description() {
    return ("Copy: ten of eight symbols, told again after a delay of %d steps. Loss and accuracy"
            + " on held-out data are those of the ten steps of recall alone.")
        .formatted(delay);
  }

  @Override
  public RnnSpec network(Cell cell, int hiddenSize) {
    return RnnSpec.of(cell, INPUTS, hiddenSize).withOutputs(INPUTS);
  }

  @Override
  public int steps() {
    return delay + 2 * DATA;
  }

  @Override
  public Loss loss() {
    return Loss.CROSS_ENTROPY;
  }

  @Override
  public Goal goal() {
    return Goal.of(Metric.LOSS, Math.log(SYMBOLS), 0.1);
  }

  @Override
  public BatchSource training(long seed, int sequences) {
    return index -> batch(seed, index * sequences, sequences);
  }

  @Override
  public HeldOut heldOut(int sequences) {
    return Parts.of(
        HELD_OUT,
        sequences,
        (first, count) -> batch(Draw.HELD_OUT, first, count).withWeights(recall(count)));
  }

  private Batch batch(long seed, long first, int sequences) {
    float[] inputs = new float[steps() * sequences * INPUTS];
    int[] classes = new int[steps() * sequences];
    Arrays.fill(classes, BLANK);
    for (int b = 0; b < sequences; b++) {
      Draw draw = Draw.of(seed, first + b);
      for (int t = 0; t < steps(); t++) {
        int symbol = t < DATA ? draw.below(SYMBOLS) : t == delay + DATA - 1 ? SIGN : BLANK;
        inputs[(t * sequences + b) * INPUTS + symbol] = 1;
        if (t < DATA) {
          classes[(t + delay + DATA) * sequences + b] = symbol;
        }
      }
    }
    return Batch.of(steps(), sequences, inputs, classes);
  }

  private float[] recall(int sequences) {
    float[] weights = new float[steps() * sequences];
    Arrays.fill(weights, (delay + DATA) * sequences, weights.length, 1);
    return weights;
  }
}
