// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.Loss;
import io.github.gatefuse.training.Trainer;
import io.github.gatefuse.training.TrainingOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.Random;

/**
 * Steps of training, for {@code scripts/bench-training}: forward, mean squared error of a linear
 * head at all steps, backward, clipping, Adam. For each line of standard input that holds a number
 * it takes so many steps and prints the median time of one in milliseconds.
 */
public final class TrainingStep {
  private TrainingStep() {}

  /**
   * Runs.
   *
   * @param args cell, B, T, H, threads
   */
  public static void main(String[] args) throws IOException {
    Cell cell = Cell.of(args[0]);
    int sequences = Integer.parseInt(args[1]);
    int steps = Integer.parseInt(args[2]);
    int hidden = Integer.parseInt(args[3]);
    RnnSpec spec = RnnSpec.of(cell, hidden, hidden).withOutputs(1);
    TrainingOptions options =
        TrainingOptions.of(steps, sequences, Loss.MEAN_SQUARED_ERROR)
            .withNetwork(RnnOptions.of(Backend.CPU))
            .withThreads(Integer.parseInt(args[4]));
    Random random = new Random(1);
    Batch batch =
        Batch.of(
            steps,
            sequences,
            values(random, steps * sequences * hidden),
            values(random, steps * sequences));
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    try (Trainer trainer = Trainer.create(spec, WeightInit.standard(0).weights(spec, 1), options)) {
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        double[] times = new double[Integer.parseInt(line.strip())];
        for (int i = 0; i < times.length; i++) {
          long begun = System.nanoTime();
          trainer.step(batch);
          times[i] = (System.nanoTime() - begun) / 1e6;
        }
        Arrays.sort(times);
        System.out.println(times[times.length / 2]);
      }
    }
  }

  private static float[] values(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = random.nextFloat() * 2 - 1;
    }
    return values;
  }
}
