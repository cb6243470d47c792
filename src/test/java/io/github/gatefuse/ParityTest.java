// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.reference.Precision;
import io.github.gatefuse.reference.ReferenceNetwork;
import io.github.gatefuse.testing.GoldenCase;
import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.nio.FloatBuffer;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.slf4j.LoggerFactory;

/** Holds every backend to the reference in float64, within the accuracy contract of float32. */
class ParityTest {
  /** The accuracy contract: the largest error, absolute below 1 and relative above. */
  private static final double TOLERANCE = 5e-6;

  /** For cuDNN, which is a peer to compare with and not held to the contract. */
  private static final double PEER_TOLERANCE = 5e-5;

  private static final int[] HIDDEN = {1, 2, 3, 7, 8, 9, 16, 17, 33, 64};
  private static final int[] BATCH = {1, 2, 3, 5, 8, 17};
  private static final int[] INPUT = {1, 2, 5, 8, 19, 33};
  private static final int[] STEPS = {1, 2, 5, 11};

  private static final Map<String, Worst> WORST = new TreeMap<>();

  private record Worst(double error, String where) {}

  static Stream<Arguments> targetsAndCells() {
    return Target.allAndCudnn().stream()
        .flatMap(
            target ->
                Stream.of(Cell.values())
                    .filter(target::has)
                    .map(cell -> Arguments.of(target, cell)));
  }

  static Stream<Target> targets() {
    return Target.allAndCudnn().stream();
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
    int seed = 0;
    for (int layers = 1; layers <= 2; layers++) {
      for (int directions = 1; directions <= 2; directions++) {
        for (int hidden : HIDDEN) {
          for (int i = 0; i < 3; i++) {
            seed++;
            RnnSpec spec =
                RnnSpec.of(cell, INPUT[seed % INPUT.length], hidden)
                    .withLayers(layers)
                    .withBidirectional(directions == 2)
                    .withChunk(cell.hasChunkedBlocks() ? divisor(hidden, seed) : 1);
            // The sizes of the lists have common factors, so plain turns would pair few of them.
            check(
                target,
                spec,
                STEPS[(seed / 3) % STEPS.length],
                BATCH[(seed / 5) % BATCH.length],
                seed);
          }
        }
      }
    }
  }

  /** One of the divisors of H, in turn. */
  private static int divisor(int hidden, int seed) {
    int[] divisors = IntStream.rangeClosed(1, hidden).filter(d -> hidden % d == 0).toArray();
    return divisors[seed % divisors.length];
  }

  /** With whole and ragged sequences, from zeros and from a state. */
  private static void check(Target target, RnnSpec spec, int steps, int batch, int seed) {
    Weights weights = Networks.weights(spec, seed, seed % 2 == 0 ? 1 : 3);
    float[] x = Networks.normal(steps * batch * spec.inputSize(), seed + 1);
    ReferenceNetwork reference = new ReferenceNetwork(spec, weights, Precision.DOUBLE);
    try (Rnn rnn = target.create(spec, weights);
        Session session = rnn.session(steps, batch)) {
      assertEquals(target.backend(), session.path().backend());
      for (int[] lengths : new int[][] {null, Networks.lengths(steps, batch, seed)}) {
        State state = randomState(spec, batch, seed + 2);
        ReferenceNetwork.Inputs inputs =
            ReferenceNetwork.Inputs.of(steps, batch, GoldenCase.widen(x))
                .withLengths(lengths)
                .withState(GoldenCase.widen(state.hidden()), cellOf(state));
        ReferenceNetwork.Outputs expected = reference.run(inputs);
        float[] y = session.forward(steps, batch, x, lengths, state);
        String where = spec + ", T=" + steps + ", B=" + batch + (lengths == null ? "" : ", ragged");
        compare(target, where + ": y", expected.y(), y);
        compareState(target, where, expected, state);
      }
    }
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

  private static void compareState(
      Target target, String where, ReferenceNetwork.Outputs expected, State state) {
    compare(target, where + ": hn", expected.hn(), state.hidden());
    if (state.hasCell()) {
      compare(target, where + ": cn", expected.cn(), state.cell());
    }
  }

  private static void compare(Target target, String where, double[] expected, float[] actual) {
    assertEquals(expected.length, actual.length, where);
    double tolerance = target.backend() == Backend.CUDNN ? PEER_TOLERANCE : TOLERANCE;
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
          target.toString(),
          new Worst(error, where),
          (old, now) -> now.error() > old.error() ? now : old);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void goldenVectors(Target target) {
    target.assumeAvailable();
    for (GoldenCase golden : GoldenCase.all()) {
      if (!target.has(golden.spec().cell())) {
        continue;
      }
      try (Rnn rnn = target.create(golden.spec(), golden.weights());
          Session session = rnn.session(golden.steps(), golden.batch())) {
        State state = session.newState(golden.batch());
        state.set(
            GoldenCase.narrow(golden.h0()),
            golden.c0() == null ? null : GoldenCase.narrow(golden.c0()));
        float[] x = GoldenCase.narrow(golden.x());
        float[] y = session.forward(golden.steps(), golden.batch(), x, golden.lengths(), state);
        compare(target, golden + ": y", golden.y(), y);
        compare(target, golden + ": hn", golden.hn(), state.hidden());
        if (state.hasCell()) {
          compare(target, golden + ": cn", golden.cn(), state.cell());
        }
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void tokensAndHeadAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    int[][] sizes = {{6, 1, 1, 1, 1}, {9, 5, 2, 7, 3}, {16, 17, 33, 256, 257}, {33, 8, 8, 20, 40}};
    for (int i = 0; i < sizes.length; i++) {
      for (int layers = 1; layers <= 2; layers++) {
        for (int directions = 1; directions <= 2; directions++) {
          RnnSpec spec =
              RnnSpec.of(cell, sizes[i][2], sizes[i][0])
                  .withLayers(layers)
                  .withBidirectional(directions == 2)
                  .withVocabulary(sizes[i][3])
                  .withOutputs(sizes[i][4]);
          checkHead(target, spec, 7, sizes[i][1], 100 * i + 10 * layers + directions);
        }
      }
    }
  }

  /** Long or wide enough that a backend may not keep all steps between layers at once. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void longSequencesAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    RnnSpec spec = RnnSpec.of(cell, 3, 5).withLayers(2).withVocabulary(6).withOutputs(4);
    checkHead(target, spec, 301, 9, 1);
    checkHead(target, spec, 41, 131, 2);
    checkHead(target, spec.withBidirectional(true), 41, 131, 3);
  }

  private static void checkHead(Target target, RnnSpec spec, int steps, int batch, int seed) {
    Weights weights = Networks.weights(spec, seed, 2);
    int[] tokens = Networks.integers(steps * batch, 0, spec.vocabulary() - 1, seed + 1);
    int[] targets = Networks.integers(steps * batch, 0, spec.outputs() - 1, seed + 2);
    int[] lengths = Networks.lengths(steps, batch, seed + 3);
    ReferenceNetwork.Outputs expected =
        new ReferenceNetwork(spec, weights, Precision.DOUBLE)
            .run(
                ReferenceNetwork.Inputs.of(steps, batch, tokens)
                    .withLengths(lengths)
                    .withTargets(targets)
                    .withHead(true, true));
    FloatBuffer y = Networks.floats(steps * batch * spec.outputSize());
    FloatBuffer logits = Networks.floats(steps * batch * spec.outputs());
    FloatBuffer logs = Networks.floats(steps * batch * spec.outputs());
    FloatBuffer targetLogs = Networks.floats(steps * batch);
    String where = spec + ", T=" + steps + ", B=" + batch;
    try (Rnn rnn = target.create(spec, weights);
        Session session = rnn.session(steps, batch)) {
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
      compare(target, where + ": y", expected.y(), Networks.array(y));
      compare(target, where + ": logits", expected.logits(), Networks.array(logits));
      compare(target, where + ": log-softmax", expected.logProbabilities(), Networks.array(logs));
      double[] scores = expected.targetLogProbabilities();
      compare(target, where + ": targets", scores, Networks.array(targetLogs));
      compareState(target, where, expected, state);
      float[] scored = session.score(steps, batch, tokens, targets, lengths, null);
      compare(target, where + ": score", scores, scored);
    }
  }
}
