// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.gatefuse.io.Safetensors;
import io.github.gatefuse.reference.ReferenceNetwork;
import io.github.gatefuse.reference.ReferenceNetwork.Gradients;
import io.github.gatefuse.reference.ReferenceNetwork.Inputs;
import io.github.gatefuse.reference.Rounding;
import io.github.gatefuse.testing.GoldenCase;
import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import io.github.gatefuse.testing.Training;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.slf4j.LoggerFactory;

/**
 * Holds the gradients of every backend to those of the reference in double precision, within the
 * accuracy contract (docs/accuracy.md).
 */
class GradientParityTest {
  /** The accuracy contract: relative to the largest value of each gradient tensor. */
  private static final double TOLERANCE = 1e-5;

  /** The same for tensors of few values, in which all may be sums that cancel. */
  private static final double TOLERANCE_OF_FEW = 2e-5;

  /** How many inputs, steps and batches for each H. */
  private static final int ROUNDS = 2;

  private static final int[] HIDDEN = {1, 2, 3, 7, 8, 9, 16, 17, 33, 64};
  private static final int[] EMULATED_HIDDEN = {1, 9, 33};
  private static final int[] INPUT = {1, 2, 5, 8, 19, 33};
  private static final int[] STEPS = {1, 2, 5, 11};
  private static final int[] BATCH = {1, 2, 3, 5, 8, 17};

  /** Networks with regularization. */
  private static final int REGULARIZED = 10;

  private static final int EMULATED_REGULARIZED = 3;

  /** Tensors below this size are of few values. */
  private static final int FEW = 30;

  private static final Map<String, Worst> WORST = new TreeMap<>();

  private record Worst(double error, String where) {}

  static Stream<Arguments> targetsAndCells() {
    return Target.all().stream()
        .flatMap(target -> Stream.of(Cell.values()).map(cell -> Arguments.of(target, cell)));
  }

  static Stream<Target> targets() {
    return Target.all().stream();
  }

  @AfterAll
  static void tellWorst() {
    WORST.forEach(
        (name, worst) ->
            LoggerFactory.getLogger(GradientParityTest.class)
                .info("largest error of {}: {} ({})", name, worst.error(), worst.where()));
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void gradientsAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    int seed = 0;
    int[] sizes = target.isEmulated() ? EMULATED_HIDDEN : HIDDEN;
    int rounds = target.isEmulated() ? 1 : ROUNDS;
    for (int layers = 1; layers <= 2; layers++) {
      for (int directions = 1; directions <= 2; directions++) {
        for (int hidden : sizes) {
          for (int i = 0; i < rounds; i++) {
            seed++;
            RnnSpec spec =
                RnnSpec.of(cell, turn(INPUT, seed), hidden)
                    .withLayers(layers)
                    .withBidirectional(directions == 2)
                    .withChunk(cell.hasChunkedBlocks() ? divisor(hidden, seed) : 1);
            // The sizes of the lists have common factors, so plain turns would pair few of them.
            check(target, spec, turn(STEPS, seed / 3), turn(BATCH, seed / 5), seed);
          }
        }
      }
    }
  }

  private static int turn(int[] values, int number) {
    return values[number % values.length];
  }

  /** One of the divisors of H, in turn. */
  private static int divisor(int hidden, int seed) {
    int[] divisors = IntStream.rangeClosed(1, hidden).filter(d -> hidden % d == 0).toArray();
    return turn(divisors, seed);
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void embeddingAndHeadAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    int[][] sizes = {{6, 1, 1, 1, 1}, {9, 5, 2, 7, 3}, {16, 17, 33, 40, 57}};
    for (int i = 0; i < sizes.length; i++) {
      for (int directions = 1; directions <= 2; directions++) {
        RnnSpec spec =
            RnnSpec.of(cell, sizes[i][2], sizes[i][0])
                .withLayers(2)
                .withBidirectional(directions == 2)
                .withVocabulary(sizes[i][3])
                .withOutputs(sizes[i][4]);
        check(target, spec, 7, sizes[i][1], 10 * i + directions);
      }
    }
  }

  /** Long or wide enough that a backend may take the steps in several parts. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void longSequencesAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    RnnSpec spec = RnnSpec.of(cell, 3, 5).withLayers(2).withBidirectional(true).withOutputs(4);
    if (target.isEmulated()) {
      check(target, spec, 41, 9, 1);
      return;
    }
    check(target, spec, 301, 9, 1);
    check(target, spec, 41, 131, 2);
  }

  static Stream<Arguments> shorterPathsAndCells() {
    return Target.allPaths().stream()
        .filter(t -> t.backend() == Backend.CUDA && t.precision() != Precision.FLOAT32)
        .flatMap(target -> Stream.of(Cell.values()).map(cell -> Arguments.of(target, cell)));
  }

  /**
   * Against a reference that rounds the operands of products there and back, and takes the hidden
   * states that were given. What nobody follows, gradients by pre-activations and reset states that
   * lie next to the middle between two operands, may be rounded the other way.
   */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("shorterPathsAndCells")
  void shorterPrecisionsAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    RnnSpec spec = RnnSpec.of(cell, 9, 20).withBidirectional(true).withOutputs(5);
    Weights weights = Networks.weights(spec, 3, 1);
    ReferenceNetwork reference =
        new ReferenceNetwork(spec, weights, Rounding.ideal(target.precision()));
    Training training = Training.of(spec, 6, 10, true, 3);
    try (Rnn rnn = target.create(spec, weights)) {
      for (Backward mode : new Backward[] {Backward.STORE, Backward.RECOMPUTE}) {
        SessionOptions options = SessionOptions.of(6, 10).withBackward(mode);
        Optional<Session> made = target.session(rnn, options);
        assumeTrue(made.isPresent(), () -> target + " does not fit " + spec);
        try (Session session = made.get()) {
          double[][] y = {GoldenCase.widen(training.forward(session))};
          Map<String, double[]> expected =
              all(reference.backward(training.inputs(), y, training.cotangents()));
          Parameters gradients = Parameters.zeros(spec);
          Map<String, float[]> actual = training.backward(session, gradients, false).all();
          compare(target, spec + ", " + mode, expected, actual);
        }
      }
    }
  }

  /** Whole and ragged, with both ways to keep what is needed. */
  private static void check(Target target, RnnSpec spec, int steps, int batch, int seed) {
    Weights weights = Networks.weights(spec, seed, seed % 2 == 0 ? 1 : 2);
    ReferenceNetwork reference = new ReferenceNetwork(spec, weights, Rounding.DOUBLE);
    SessionOptions options = SessionOptions.of(steps, batch);
    try (Rnn rnn = target.create(spec, weights);
        Session stored = target.backwardSession(rnn, options.withBackward(Backward.STORE));
        Session again = target.backwardSession(rnn, options.withBackward(Backward.RECOMPUTE))) {
      for (boolean ragged : new boolean[] {false, true}) {
        Training training = Training.of(spec, steps, batch, ragged, seed);
        Map<String, double[]> expected =
            all(reference.backward(training.inputs(), training.cotangents()));
        String where = spec + ", T=" + steps + ", B=" + batch + (ragged ? ", ragged" : "");
        compare(target, where + ", stored", expected, training.run(stored).all());
        compare(target, where + ", recomputed", expected, training.run(again).all());
      }
    }
  }

  /** With the masks of a draw, and with the means that stand in for them. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void regularizedAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    Random random = new Random(cell.ordinal());
    int[] sizes = target.isEmulated() ? EMULATED_HIDDEN : HIDDEN;
    int count = target.isEmulated() ? EMULATED_REGULARIZED : REGULARIZED;
    for (int seed = 1; seed <= count; seed++) {
      int hidden = turn(sizes, seed);
      RnnSpec spec =
          RnnSpec.of(cell, 1 + random.nextInt(20), hidden)
              .withLayers(1 + seed % 2)
              .withBidirectional(random.nextBoolean())
              .withChunk(cell.hasChunkedBlocks() ? divisor(hidden, seed) : 1)
              .withOutputs(seed % 4 < 2 ? 5 : 0);
      Regularization regularization =
          Regularization.NONE
              .withDropout(0.6 * random.nextDouble())
              .withZoneout(
                  0.5 * random.nextDouble(), cell.hasCellState() ? 0.5 * random.nextDouble() : 0)
              .withRecurrentDropout(0.5 * random.nextDouble())
              .withSeed(random.nextLong());
      Training training =
          Training.of(spec, 1 + random.nextInt(11), 1 + random.nextInt(17), seed % 5 != 0, seed);
      check(target, training, regularization, random.nextLong(), seed);
    }
  }

  private static void check(
      Target target, Training training, Regularization regularization, long draw, int seed) {
    RnnSpec spec = training.spec();
    Weights weights = Networks.weights(spec, seed, 2);
    ReferenceNetwork reference = new ReferenceNetwork(spec, weights, Rounding.DOUBLE);
    SessionOptions options =
        SessionOptions.of(training.steps(), training.batch()).withRegularization(regularization);
    try (Rnn rnn = target.create(spec, weights);
        Session stored = target.backwardSession(rnn, options.withBackward(Backward.STORE));
        Session again = target.backwardSession(rnn, options.withBackward(Backward.RECOMPUTE))) {
      for (boolean drawn : new boolean[] {true, false}) {
        Inputs inputs = training.inputs().withRegularization(regularization, drawn, draw);
        Map<String, double[]> expected = all(reference.backward(inputs, training.cotangents()));
        UnaryOperator<ForwardCall> further =
            call -> drawn ? call.training(draw) : call.evaluation();
        String where = spec + ", " + regularization + (drawn ? ", drawn" : "");
        compare(target, where + ", stored", expected, training.run(stored, further).all());
        compare(target, where + ", recomputed", expected, training.run(again, further).all());
      }
    }
  }

  private static Map<String, double[]> all(Gradients gradients) {
    Map<String, double[]> all = new LinkedHashMap<>();
    gradients.parameters().names().forEach(n -> all.put(n, gradients.parameters().doubles(n)));
    all.put("h0", gradients.dh0());
    if (gradients.dc0() != null) {
      all.put("c0", gradients.dc0());
    }
    if (gradients.dx() != null) {
      all.put("x", gradients.dx());
    }
    return all;
  }

  private static void compare(
      Target target, String where, Map<String, double[]> expected, Map<String, float[]> actual) {
    assertEquals(expected.keySet(), actual.keySet(), where);
    double ofAll = 0;
    for (String name : expected.keySet()) {
      ofAll = isSum(name) ? Math.max(ofAll, largest(expected.get(name))) : ofAll;
    }
    for (String name : expected.keySet()) {
      double own = largest(expected.get(name));
      double scale = isSum(name) ? Math.max(own, ofAll / 100) : own;
      compare(target, where + ": " + name, expected.get(name), actual.get(name), scale);
    }
  }

  /** What an operand loses that is rounded the other way: a part of it. */
  private static double spacing(Precision precision) {
    return switch (precision) {
      case FLOAT32 -> 0;
      case TF32, FLOAT16 -> 0x1p-11;
      case BFLOAT16 -> 0x1p-8;
      case INT8 -> throw new AssertionError("nothing goes back in int8");
    };
  }

  /**
   * Whether a gradient is a sum over all steps and sequences, as those by parameters are. In a
   * tensor of very few values all sums may cancel, which leaves the errors of their terms.
   */
  private static boolean isSum(String name) {
    return !Set.of("x", "h0", "c0").contains(name);
  }

  private static double largest(double[] values) {
    double largest = 0;
    for (double value : values) {
      largest = Math.max(largest, Math.abs(value));
    }
    return largest;
  }

  private static void compare(
      Target target, String where, double[] expected, float[] actual, double scale) {
    assertEquals(expected.length, actual.length, where);
    boolean few = actual.length < FEW;
    double tolerance = (few ? TOLERANCE_OF_FEW : TOLERANCE) + spacing(target.precision());
    double worst = 0;
    for (int i = 0; i < actual.length; i++) {
      double difference = Math.abs(actual[i] - expected[i]);
      int at = i;
      // Written so that NaN fails.
      assertTrue(
          difference <= tolerance * scale,
          () ->
              "%s %s[%d]: expected %s, got %s; relative to %s"
                  .formatted(target, where, at, expected[at], actual[at], scale));
      worst = Math.max(worst, difference == 0 ? 0 : difference / scale);
    }
    WORST.merge(
        target + (few ? ", tensors of few values" : ""),
        new Worst(worst, where),
        (old, now) -> now.error() > old.error() ? now : old);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void goldenVectors(Target target) {
    target.assumeAvailable();
    for (GoldenCase golden : GoldenCase.all()) {
      SessionOptions options = SessionOptions.of(golden.steps(), golden.batch());
      try (Rnn rnn = target.create(golden.spec(), golden.weights());
          Session session = target.backwardSession(rnn, options.withBackward(Backward.STORE));
          Safetensors file = Safetensors.open(golden.path())) {
        Map<String, float[]> gradients = training(golden, file).run(session).all();
        Map<String, double[]> expected = new LinkedHashMap<>();
        gradients.keySet().forEach(name -> expected.put(name, file.doubles("grad." + name)));
        compare(target, golden.toString(), expected, gradients);
      }
    }
  }

  private static Training training(GoldenCase golden, Safetensors file) {
    return new Training(
        golden.spec(),
        golden.steps(),
        golden.batch(),
        golden.lengths(),
        GoldenCase.narrow(golden.x()),
        null,
        state(golden, golden.h0(), golden.c0()),
        GoldenCase.narrow(file.doubles("dy")),
        state(golden, file.doubles("dhn"), golden.c0() == null ? null : file.doubles("dcn")),
        null);
  }

  private static State state(GoldenCase golden, double[] h, double[] c) {
    State state = State.zeros(golden.spec(), golden.batch());
    state.set(GoldenCase.narrow(h), c == null ? null : GoldenCase.narrow(c));
    return state;
  }
}
