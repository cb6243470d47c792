// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.example;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.Weights;

/**
 * Runs a small network on the backend that its argument names and on the reference, and prints
 * which backend ran and whether both agree.
 */
public final class Consumer {
  private static final int STEPS = 4;
  private static final int BATCH = 2;

  private Consumer() {}

  /**
   * Runs.
   *
   * @param args the backend
   */
  public static void main(String[] args) {
    System.out.println(describe(Backend.of(args[0])));
  }

  private static String describe(Backend backend) {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 3, 5);
    float[] x = wave(STEPS * BATCH * 3);
    float[] expected = new float[0];
    try (Rnn rnn = Rnn.create(spec, weights(spec), Backend.REFERENCE);
        Session session = rnn.session(STEPS, BATCH)) {
      expected = session.forward(STEPS, BATCH, x);
    }
    try (Rnn rnn = Rnn.create(spec, weights(spec), backend);
        Session session = rnn.session(STEPS, BATCH)) {
      float difference = largestDifference(expected, session.forward(STEPS, BATCH, x));
      return session.path().backend().id()
          + (difference < 1e-5f ? " agrees" : " differs by " + difference);
    }
  }

  private static Weights weights(RnnSpec spec) {
    Weights.Builder weights = Weights.builder();
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      weights.add(parameter.name(), wave(Math.toIntExact(parameter.count())), parameter.shape());
    }
    return weights.build();
  }

  private static float[] wave(int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) Math.sin(1 + 0.7 * i);
    }
    return values;
  }

  /** NaN where the values are no numbers or their counts differ. */
  private static float largestDifference(float[] expected, float[] actual) {
    float largest = expected.length == actual.length && expected.length > 0 ? 0 : Float.NaN;
    for (int i = 0; i < Math.min(expected.length, actual.length); i++) {
      largest = Math.max(largest, Math.abs(expected[i] - actual[i]));
    }
    return largest;
  }
}
