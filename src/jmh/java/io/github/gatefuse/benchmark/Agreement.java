// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.Session;
import java.nio.FloatBuffer;
import java.util.EnumMap;
import java.util.Map;

/**
 * Whether contenders of a shape give the same answer: that of our float32 network, which in its
 * turn agrees with the Java reference over the first steps. Not thread-safe.
 */
final class Agreement {
  /** The reference is slow; the first steps of a sequence do not depend on the others. */
  private static final int REFERENCE_STEPS = 2;

  private final Shape shape;
  private final int threads;
  private final Map<Cell, FloatBuffer> answers = new EnumMap<>(Cell.class);

  Agreement(Shape shape, int threads) {
    this.shape = shape;
    this.threads = threads;
  }

  /**
   * Runs a contender once.
   *
   * @return the largest difference to our float32 outputs
   * @throws IllegalStateException if that is larger than the race allows
   */
  double check(Race race, Contender contender) {
    FloatBuffer expected = answers.computeIfAbsent(race.cell(), this::answer);
    contender.run();
    return difference(
        contender.name(), contender.output(), "our float32", expected, race.tolerance());
  }

  private FloatBuffer answer(Cell cell) {
    try (Contender ours = new GateFuseContender(shape, cell, Precision.FLOAT32, threads)) {
      ours.run();
      FloatBuffer reference = reference(cell);
      difference(ours.name(), ours.output(), "the reference", reference, Race.STANDARD.tolerance());
      return ours.output();
    }
  }

  private FloatBuffer reference(Cell cell) {
    int steps = Math.min(shape.steps(), REFERENCE_STEPS);
    float[] x = new float[steps * shape.batch() * shape.size()];
    shape.input().get(0, x);
    try (Rnn rnn = Rnn.create(shape.spec(cell), shape.weights(cell), Backend.REFERENCE);
        Session session = rnn.session(steps, shape.batch())) {
      return FloatBuffer.wrap(session.forward(steps, shape.batch(), x));
    }
  }

  /** Over as many values as are expected. */
  private static double difference(
      String name, FloatBuffer actual, String otherName, FloatBuffer expected, double tolerance) {
    double worst = 0;
    double largest = 0;
    for (int i = 0; i < expected.capacity(); i++) {
      double difference = Math.abs((double) actual.get(i) - expected.get(i));
      // A NaN must not pass for a small number.
      worst = difference <= worst ? worst : difference;
      largest = Math.max(largest, Math.abs(expected.get(i)));
    }
    System.err.printf("  %s against %s: at most %.1e apart%n", name, otherName, worst);
    if (!(worst <= tolerance) || largest == 0) {
      throw new IllegalStateException(
          name
              + ": expected the values of "
              + otherName
              + " within "
              + tolerance
              + ", got a difference of "
              + worst
              + ", the largest value being "
              + largest);
    }
    return worst;
  }
}
