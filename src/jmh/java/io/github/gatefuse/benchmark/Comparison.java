// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.Session;
import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * All contenders of one number of threads, in one process: first whether they agree, then how long
 * they take. Started by {@link Suite}. Thread-safe; it keeps no state.
 */
public final class Comparison {
  /** Largest difference between two float32 implementations. */
  private static final double TOLERANCE = 1e-5;

  /** The reference is slow; the first steps of a sequence do not depend on the others. */
  private static final int REFERENCE_STEPS = 3;

  private Comparison() {}

  /**
   * Runs all shapes and writes a {@link Series} for each contender.
   *
   * @param args the number of threads; the file to write; CHECK, QUICK or FULL; the shapes
   * @throws IOException if the file cannot be written
   */
  public static void main(String[] args) throws IOException {
    int threads = Integer.parseInt(args[0]);
    boolean timed = !args[2].equals("CHECK");
    List<String> lines = new ArrayList<>();
    for (String shape : List.of(args).subList(3, args.length)) {
      System.err.println("threads " + threads + ", shape " + shape);
      List<Contender> contenders = contenders(Shape.of(shape), threads);
      try {
        check(Shape.of(shape), contenders);
        if (timed) {
          RoundRobin turns = new RoundRobin(Effort.valueOf(args[2]));
          keepFastestPeer(contenders, turns);
          double[][] nanos = turns.time(contenders);
          for (int i = 0; i < nanos.length; i++) {
            Contender contender = contenders.get(i);
            lines.add(
                new Series(threads, Shape.of(shape), contender.name(), contender.path(), nanos[i])
                    .line());
          }
        }
      } finally {
        contenders.forEach(Contender::close);
      }
    }
    Files.write(Path.of(args[1]), lines);
  }

  /** The standard LSTM comes first, the refine LSTM last. */
  private static List<Contender> contenders(Shape shape, int threads) {
    List<Contender> contenders = new ArrayList<>();
    contenders.add(new GateFuseContender(shape, Cell.LSTM, threads));
    for (OrtContender.Waiting waiting : OrtContender.Waiting.all(threads)) {
      contenders.add(new OrtContender(shape, threads, waiting));
    }
    contenders.add(new GateFuseContender(shape, Cell.LSTM_REFINE, threads));
    return contenders;
  }

  /**
   * Where ONNX Runtime comes in several settings, they are timed among themselves, and only the
   * fastest stays for the comparison: threads of the others that still spin would slow whoever has
   * the turn after them.
   */
  private static void keepFastestPeer(List<Contender> contenders, RoundRobin turns) {
    List<Contender> peers = new ArrayList<>(contenders.subList(1, contenders.size() - 1));
    if (peers.size() == 1) {
      return;
    }
    double[][] nanos = turns.time(peers);
    int fastest = 0;
    for (int i = 1; i < nanos.length; i++) {
      if (Spread.of(nanos[i]).median() < Spread.of(nanos[fastest]).median()) {
        fastest = i;
      }
    }
    Contender kept = peers.remove(fastest);
    contenders.removeAll(peers);
    peers.forEach(Contender::close);
    System.err.println("  fastest setting: " + kept.name());
  }

  private static void check(Shape shape, List<Contender> contenders) {
    contenders.forEach(Contender::run);
    int last = contenders.size() - 1;
    FloatBuffer ours = contenders.get(0).output();
    for (Contender other : contenders.subList(1, last)) {
      expectEqual(contenders.get(0).name(), ours, other.name(), other.output(), ours.capacity());
    }
    Contender refine = contenders.get(last);
    float[] expected = reference(shape);
    expectEqual(
        refine.name(),
        refine.output(),
        "the reference",
        FloatBuffer.wrap(expected),
        expected.length);
  }

  private static float[] reference(Shape shape) {
    int steps = Math.min(shape.steps(), REFERENCE_STEPS);
    float[] x = new float[steps * shape.batch() * shape.size()];
    shape.input().get(0, x);
    Cell cell = Cell.LSTM_REFINE;
    try (Rnn rnn = Rnn.create(shape.spec(cell), shape.weights(cell), Backend.REFERENCE);
        Session session = rnn.session(steps, shape.batch())) {
      return session.forward(steps, shape.batch(), x);
    }
  }

  private static void expectEqual(
      String name, FloatBuffer actual, String otherName, FloatBuffer expected, int count) {
    double worst = 0;
    double largest = 0;
    for (int i = 0; i < count; i++) {
      double difference = Math.abs((double) actual.get(i) - expected.get(i));
      // A NaN must not pass for a small number.
      worst = difference <= worst ? worst : difference;
      largest = Math.max(largest, Math.abs(expected.get(i)));
    }
    System.err.printf("  %s against %s: at most %.1e apart%n", name, otherName, worst);
    if (!(worst <= TOLERANCE) || largest == 0) {
      throw new IllegalStateException(
          name
              + ": expected the values of "
              + otherName
              + " within "
              + TOLERANCE
              + ", got a difference of "
              + worst
              + ", the largest value being "
              + largest);
    }
  }
}
