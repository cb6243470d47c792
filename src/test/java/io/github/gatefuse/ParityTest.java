// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.gatefuse.reference.ReferenceNetwork;
import io.github.gatefuse.reference.ReferenceNetwork.Inputs;
import io.github.gatefuse.reference.ReferenceNetwork.Outputs;
import io.github.gatefuse.reference.Rounding;
import io.github.gatefuse.testing.GoldenCase;
import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.slf4j.LoggerFactory;

/**
 * Holds every path to the reference, within the accuracy contract (docs/accuracy.md).
 *
 * <p>In float32 the reference computes in float64 by itself. In shorter precisions it rounds
 * operands at the same points, and follows the hidden states that the path gave: else a number that
 * lies next to the middle between two numbers of the precision, and differs in its last bit, is
 * rounded to either side, and everything after it differs by as much as the precision is coarse.
 */
class ParityTest {
  /** The accuracy contract: the largest error, absolute below 1 and relative above. */
  private static final double TOLERANCE = 5e-6;

  /** For cuDNN, which is a peer to compare with and not held to the contract. */
  private static final double PEER_TOLERANCE = 5e-5;

  /**
   * Shapes of networks and calls.
   *
   * @param rounds how many inputs, steps and batches for each H
   */
  private record Shapes(int rounds, int[] hidden, int[] input, int[] steps, int[] batch) {}

  private static final Shapes MANY =
      new Shapes(
          3,
          new int[] {1, 2, 3, 7, 8, 9, 16, 17, 33, 64},
          new int[] {1, 2, 5, 8, 19, 33},
          new int[] {1, 2, 5, 11},
          new int[] {1, 2, 3, 5, 8, 17});

  /** For an emulation, which is slow. */
  private static final Shapes FEW =
      new Shapes(
          1,
          new int[] {1, 7, 17, 33},
          new int[] {1, 5, 19},
          new int[] {1, 2, 5},
          new int[] {1, 3, 9});

  private static final Map<String, Worst> WORST = new TreeMap<>();

  private record Worst(double error, String where) {}

  static Stream<Arguments> targetsAndCells() {
    return Target.allPathsAndCudnn().stream()
        .flatMap(
            target ->
                Stream.of(Cell.values())
                    .filter(target::has)
                    .filter(target::isItsTurn)
                    .map(cell -> Arguments.of(target, cell)));
  }

  static Stream<Target> float32() {
    return Target.allPathsAndCudnn().stream()
        .filter(target -> target.precision() == Precision.FLOAT32);
  }

  @AfterAll
  static void tellWorst() {
    WORST.forEach(
        (name, worst) ->
            LoggerFactory.getLogger(ParityTest.class)
                .info("largest error of {}: {} ({})", name, worst.error(), worst.where()));
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void sequencesAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    boolean few = target.isEmulated() || target.precision() != Precision.FLOAT32;
    Shapes shapes = few ? FEW : MANY;
    int seed = 0;
    int fitting = 0;
    for (int layers = 1; layers <= 2; layers++) {
      for (int directions = 1; directions <= 2; directions++) {
        for (int hidden : shapes.hidden) {
          for (int i = 0; i < shapes.rounds; i++) {
            seed++;
            RnnSpec spec =
                RnnSpec.of(cell, turn(shapes.input, seed), hidden)
                    .withLayers(layers)
                    .withBidirectional(directions == 2)
                    .withChunk(cell.hasChunkedBlocks() ? divisor(hidden, seed) : 1);
            // The sizes of the lists have common factors, so plain turns would pair few of them.
            int steps = turn(shapes.steps, seed / 3);
            int batch = turn(shapes.batch, seed / 5);
            fitting += check(target, spec, steps, batch, seed) ? 1 : 0;
          }
        }
      }
    }
    assumeTrue(fitting > 0, target + ": no network fits");
  }

  private static int turn(int[] values, int number) {
    return values[number % values.length];
  }

  /** One of the divisors of H, in turn. */
  private static int divisor(int hidden, int seed) {
    int[] divisors = IntStream.rangeClosed(1, hidden).filter(d -> hidden % d == 0).toArray();
    return turn(divisors, seed);
  }

  /** With whole and ragged sequences, from zeros and from a state; false if it does not fit. */
  private static boolean check(Target target, RnnSpec spec, int steps, int batch, int seed) {
    Weights weights = Networks.weights(spec, seed, seed % 2 == 0 ? 1 : 3);
    float[] x = Networks.normal(steps * batch * spec.inputSize(), seed + 1);
    try (Rnn rnn = target.create(spec, weights)) {
      Optional<Session> made = target.session(rnn, steps, batch);
      if (made.isEmpty()) {
        return false;
      }
      try (Session session = made.get()) {
        assertEquals(target.backend(), session.path().backend());
        assertEquals(target.precision().id(), session.path().precision());
        for (int[] lengths : new int[][] {null, Networks.lengths(steps, batch, seed)}) {
          State state = randomState(spec, batch, seed + 2);
          State initial = state.copy();
          float[] y = session.forward(steps, batch, x, lengths, state);
          Inputs inputs =
              Inputs.of(steps, batch, GoldenCase.widen(x))
                  .withLengths(lengths)
                  .withState(GoldenCase.widen(initial.hidden()), cellOf(initial));
          Layers layers = new Layers(target.inTierOf(session), spec, weights, y, state);
          Outputs expected = layers.expected(inputs, initial);
          String where =
              spec + ", T=" + steps + ", B=" + batch + (lengths == null ? "" : ", ragged");
          double tolerance = tolerance(target, spec, weights);
          compare(target, where + ": y", expected.y(), y, tolerance);
          compareState(target, where, expected, state, tolerance);
        }
      }
    }
    return true;
  }

  private static State randomState(RnnSpec spec, int batch, int seed) {
    State state = State.zeros(spec, batch);
    float[] h = Networks.normal(state.slots() * batch * spec.hiddenSize(), seed);
    for (int i = 0; i < h.length; i++) {
      h[i] = (float) Math.tanh(h[i]);
    }
    state.set(h, state.hasCell() ? Networks.normal(h.length, seed + 1) : null);
    return state;
  }

  private static double[] cellOf(State state) {
    return state.hasCell() ? GoldenCase.widen(state.cell()) : null;
  }

  /**
   * What a call gave, as far as the reference follows it.
   *
   * @param y of the last layer
   * @param last the state that the call left
   */
  private record Layers(Target target, RnnSpec spec, Weights weights, float[] y, State last) {
    Outputs expected(Inputs inputs, State initial) {
      ReferenceNetwork reference =
          new ReferenceNetwork(spec, weights, Rounding.ideal(target.precision()));
      if (target.precision() == Precision.FLOAT32) {
        return reference.run(inputs);
      }
      double[][] layers = new double[spec.layers()][];
      for (int layer = 0; layer < spec.layers() - 1; layer++) {
        layers[layer] = GoldenCase.widen(lower(layer + 1, inputs, initial));
      }
      layers[spec.layers() - 1] = GoldenCase.widen(y);
      return reference.follow(inputs, layers);
    }

    /**
     * The outputs of the lowest layers, from a network of them alone. That it computes what the
     * whole network computed is seen by the bits of the final state.
     */
    private float[] lower(int count, Inputs inputs, State initial) {
      RnnSpec lower = spec.withLayers(count).withOutputs(0);
      int steps = inputs.steps();
      int batch = inputs.batch();
      State state = State.zeros(lower, batch);
      int values = state.hidden().length;
      state.set(
          Arrays.copyOf(initial.hidden(), values),
          initial.hasCell() ? Arrays.copyOf(initial.cell(), values) : null);
      FloatBuffer out = Networks.floats(steps * batch * lower.outputSize());
      try (Rnn rnn = target.create(lower, Networks.part(lower, weights));
          Session session = target.session(rnn, steps, batch).orElseThrow()) {
        ForwardCall call = session.call().state(state).output(out);
        if (inputs.tokens() == null) {
          call.input(Networks.direct(GoldenCase.narrow(inputs.x())));
        } else {
          call.tokens(Networks.direct(inputs.tokens()));
        }
        if (inputs.lengths() != null) {
          call.lengths(Networks.direct(inputs.lengths()));
        }
        call.run(steps, batch);
      }
      String message = target + " " + spec + ": the lowest " + count + " layers alone";
      assertArrayEquals(Arrays.copyOf(last.hidden(), values), state.hidden(), message);
      return Networks.array(out);
    }
  }

  /** The contract, or what stands for it where there is none. */
  private static double tolerance(Target target) {
    return target.backend() == Backend.CUDNN ? PEER_TOLERANCE : TOLERANCE;
  }

  /**
   * The same for a network. Where a reset gate comes before the product, the reset state is rounded
   * inside the step and followed by nobody: up to two of a product's operands may have been rounded
   * the other way.
   */
  private static double tolerance(Target target, RnnSpec spec, Weights weights) {
    boolean resetBefore =
        spec.cell() == Cell.GRU_RESET_BEFORE || spec.cell() == Cell.GRU_REFINE_RESET_BEFORE;
    if (!resetBefore) {
      return tolerance(target);
    }
    double largest = 0;
    for (String name : weights.names()) {
      if (name.startsWith("weight_hh")) {
        for (float weight : weights.floats(name)) {
          largest = Math.max(largest, Math.abs(weight));
        }
      }
    }
    return tolerance(target) + 2 * largest * spacing(target.precision());
  }

  /** The distance of neighbouring operands in [0.5, 1), the largest that a hidden state meets. */
  private static double spacing(Precision precision) {
    return switch (precision) {
      case FLOAT32 -> 0;
      case TF32, FLOAT16 -> 0x1p-11;
      case BFLOAT16 -> 0x1p-8;
      case INT8 -> 1.0 / 127;
    };
  }

  private static void compareState(
      Target target, String where, Outputs expected, State state, double tolerance) {
    compare(target, where + ": hn", expected.hn(), state.hidden(), tolerance);
    if (state.hasCell()) {
      compare(target, where + ": cn", expected.cn(), state.cell(), tolerance);
    }
  }

  private static void compare(
      Target target, String where, double[] expected, float[] actual, double tolerance) {
    assertEquals(expected.length, actual.length, where);
    for (int i = 0; i < actual.length; i++) {
      double error = Math.abs(actual[i] - expected[i]) / Math.max(1, Math.abs(expected[i]));
      int at = i;
      // Written so that NaN fails.
      assertTrue(
          error <= tolerance,
          () ->
              "%s %s[%d]: expected %s, got %s, error %s"
                  .formatted(target, where, at, expected[at], actual[at], error));
      WORST.merge(
          target + (tolerance > tolerance(target) ? ", reset before" : ""),
          new Worst(error, where),
          (old, now) -> now.error() > old.error() ? now : old);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("float32")
  void goldenVectors(Target target) {
    target.assumeAvailable();
    int fitting = 0;
    for (GoldenCase golden : GoldenCase.all()) {
      if (!target.has(golden.spec().cell())) {
        continue;
      }
      try (Rnn rnn = target.create(golden.spec(), golden.weights())) {
        Optional<Session> made = target.session(rnn, golden.steps(), golden.batch());
        if (made.isEmpty()) {
          continue;
        }
        fitting++;
        try (Session session = made.get()) {
          checkGolden(target, golden, session);
        }
      }
    }
    assumeTrue(fitting > 0, target + ": no network fits");
  }

  private static void checkGolden(Target target, GoldenCase golden, Session session) {
    State state = session.newState(golden.batch());
    state.set(
        GoldenCase.narrow(golden.h0()),
        golden.c0() == null ? null : GoldenCase.narrow(golden.c0()));
    float[] x = GoldenCase.narrow(golden.x());
    float[] y = session.forward(golden.steps(), golden.batch(), x, golden.lengths(), state);
    compare(target, golden + ": y", golden.y(), y, tolerance(target));
    compare(target, golden + ": hn", golden.hn(), state.hidden(), tolerance(target));
    if (state.hasCell()) {
      compare(target, golden + ": cn", golden.cn(), state.cell(), tolerance(target));
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void tokensAndHeadAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    int[][] sizes = {{6, 1, 1, 1, 1}, {9, 5, 2, 7, 3}, {16, 17, 33, 256, 257}, {33, 8, 8, 20, 40}};
    int fitting = 0;
    for (int i = 0; i < (target.isEmulated() ? 2 : sizes.length); i++) {
      for (int layers = 1; layers <= 2; layers++) {
        for (int directions = 1; directions <= 2; directions++) {
          RnnSpec spec =
              RnnSpec.of(cell, sizes[i][2], sizes[i][0])
                  .withLayers(layers)
                  .withBidirectional(directions == 2)
                  .withVocabulary(sizes[i][3])
                  .withOutputs(sizes[i][4]);
          int seed = 100 * i + 10 * layers + directions;
          fitting += checkHead(target, spec, 7, sizes[i][1], seed) ? 1 : 0;
        }
      }
    }
    assumeTrue(fitting > 0, target + ": no network fits");
  }

  /** Long or wide enough that a backend may not keep all steps between layers at once. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void longSequencesAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    RnnSpec spec = RnnSpec.of(cell, 3, 5).withLayers(2).withVocabulary(6).withOutputs(4);
    boolean emulated = target.isEmulated();
    boolean fits = checkHead(target, spec, emulated ? 41 : 301, emulated ? 3 : 9, 1);
    assumeTrue(fits, target + ": the network does not fit");
    if (!emulated) {
      checkHead(target, spec, 41, 131, 2);
      checkHead(target, spec.withBidirectional(true), 41, 131, 3);
    }
  }

  /** False if the network does not fit. */
  private static boolean checkHead(Target target, RnnSpec spec, int steps, int batch, int seed) {
    Weights weights = Networks.weights(spec, seed, 2);
    int[] tokens = Networks.integers(steps * batch, 0, spec.vocabulary() - 1, seed + 1);
    int[] targets = Networks.integers(steps * batch, 0, spec.outputs() - 1, seed + 2);
    int[] lengths = Networks.lengths(steps, batch, seed + 3);
    FloatBuffer y = Networks.floats(steps * batch * spec.outputSize());
    FloatBuffer logits = Networks.floats(steps * batch * spec.outputs());
    FloatBuffer logs = Networks.floats(steps * batch * spec.outputs());
    FloatBuffer targetLogs = Networks.floats(steps * batch);
    String where = spec + ", T=" + steps + ", B=" + batch;
    try (Rnn rnn = target.create(spec, weights)) {
      Optional<Session> made = target.session(rnn, steps, batch);
      if (made.isEmpty()) {
        return false;
      }
      try (Session session = made.get()) {
        State state = session.newState(batch);
        session
            .call()
            .tokens(Networks.direct(tokens))
            .lengths(Networks.direct(lengths))
            .targets(Networks.direct(targets))
            .finalState(state)
            .output(y)
            .logits(logits)
            .logProbabilities(logs)
            .targetLogProbabilities(targetLogs)
            .run(steps, batch);
        Inputs inputs =
            Inputs.of(steps, batch, tokens)
                .withLengths(lengths)
                .withTargets(targets)
                .withHead(true, true);
        Layers layers =
            new Layers(target.inTierOf(session), spec, weights, Networks.array(y), state);
        Outputs expected = layers.expected(inputs, State.zeros(spec, batch));
        double tolerance = tolerance(target, spec, weights);
        compare(target, where + ": y", expected.y(), Networks.array(y), tolerance);
        compareState(target, where, expected, state, tolerance);
        compare(
            target,
            where + ": logits",
            expected.logits(),
            Networks.array(logits),
            tolerance(target));
        double[] all = expected.logProbabilities();
        compare(target, where + ": log-softmax", all, Networks.array(logs), tolerance(target));
        double[] scores = expected.targetLogProbabilities();
        compare(target, where + ": targets", scores, Networks.array(targetLogs), tolerance(target));
        float[] scored = session.score(steps, batch, tokens, targets, lengths, null);
        compare(target, where + ": score", scores, scored, tolerance(target));
      }
    }
    return true;
  }
}
