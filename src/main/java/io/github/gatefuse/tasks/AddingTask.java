// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.BatchSource;
import io.github.gatefuse.training.Loss;

/**
 * The adding problem of Hochreiter and Schmidhuber: a sequence of numbers, two of which are marked,
 * and at its end their sum.
 *
 * <p>Each step has a number, uniform in [0, 1), and a marker, which is 1 at one place of the first
 * half and at one of the second, else 0. Who always says 1 has a mean squared error of 1/6.
 *
 * <p>Immutable and thread-safe.
 */
public final class AddingTask implements SupervisedTask {
  private static final int INPUTS = 2;
  private static final int HELD_OUT = 1000;

  private final int length;

  /**
   * Makes the task.
   *
   * @param length T, at least 2
   * @throws IllegalArgumentException if it is less
   */
  public AddingTask(int length) {
    if (length < 2) {
      throw new IllegalArgumentException("adding: expected a length of at least 2, got " + length);
    }
    this.length = length;
  }

  @Override
  public String id() {
    return "adding";
  }

  @Override
  public String description() {
    return "Adding: the sum of the two marked of %d numbers in [0, 1), told at the last step."
        .formatted(length);
  }

  @Override
  public RnnSpec network(Cell cell, int hiddenSize) {
    return RnnSpec.of(cell, INPUTS, hiddenSize).withOutputs(1);
  }

  @Override
  public int steps() {
    return length;
  }

  @Override
  public Loss loss() {
    return Loss.MEAN_SQUARED_ERROR;
  }

  @Override
  public Goal goal() {
    return Goal.of(Metric.LOSS, 1.0 / 6, 0.01);
  }

  @Override
  public BatchSource training(long seed, int sequences) {
    return index -> batch(seed, index * sequences, sequences);
  }

  @Override
  public HeldOut heldOut(int sequences) {
    return Parts.of(HELD_OUT, sequences, (first, count) -> batch(Draw.HELD_OUT, first, count));
  }

  private Batch batch(long seed, long first, int sequences) {
    float[] inputs = new float[length * sequences * INPUTS];
    float[] values = new float[length * sequences];
    for (int b = 0; b < sequences; b++) {
      Draw draw = Draw.of(seed, first + b);
      int early = draw.below(length / 2);
      int late = draw.between(length / 2, length - 1);
      float sum = 0;
      for (int t = 0; t < length; t++) {
        int at = (t * sequences + b) * INPUTS;
        inputs[at] = draw.unitFloat();
        if (t == early || t == late) {
          inputs[at + 1] = 1;
          sum += inputs[at];
        }
      }
      values[(length - 1) * sequences + b] = sum;
    }
    return Batch.of(length, sequences, inputs, values).withLastStepOnly();
  }
}
