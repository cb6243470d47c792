// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import io.github.gatefuse.testing.Training;
import io.github.gatefuse.testing.Training.Result;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What the way back promises beside accuracy: the same bits, whatever the circumstances. */
class GradientContractsTest {
  private static final int STEPS = 13;
  private static final int BATCH = 17;
  private static final SessionOptions STORE =
      SessionOptions.of(STEPS, BATCH).withBackward(Backward.STORE);

  static Stream<Arguments> targetsAndCells() {
    return Target.all().stream()
        .flatMap(target -> Stream.of(Cell.values()).map(cell -> Arguments.of(target, cell)));
  }

  /** Large enough for several threads to share a step, and one with everything around it. */
  private static List<RnnSpec> networks(Target target, Cell cell) {
    int hidden = target.isEmulated() ? 21 : 66;
    RnnSpec plain = RnnSpec.of(cell, 5, hidden).withChunk(cell.hasChunkedBlocks() ? 3 : 1);
    return List.of(
        plain, plain.withLayers(2).withBidirectional(true).withVocabulary(9).withOutputs(7));
  }

  private static Training ragged(RnnSpec spec) {
    return Training.of(spec, STEPS, BATCH, true, 3);
  }

  /** A test of one network and a session that stores. */
  private interface Body {
    void run(RnnSpec spec, Rnn rnn, Session session);
  }

  private static void forEach(Target target, Cell cell, Body body) {
    target.assumeAvailable();
    for (RnnSpec spec : networks(target, cell)) {
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = target.backwardSession(rnn, STORE)) {
        body.run(spec, rnn, session);
      }
    }
  }

  private static void assertSameBits(Result expected, Result actual, String message) {
    Map<String, float[]> others = actual.all();
    assertEquals(expected.all().keySet(), others.keySet(), message);
    expected.all().forEach((n, v) -> assertSameBits(v, others.get(n), message + ": " + n));
  }

  private static void assertSameBits(float[] expected, float[] actual, String message) {
    assertEquals(expected.length, actual.length, message);
    for (int i = 0; i < expected.length; i++) {
      if (Float.floatToRawIntBits(expected[i]) != Float.floatToRawIntBits(actual[i])) {
        assertEquals(expected[i], actual[i], 0f, message + "[" + i + "], bits");
        assertEquals(
            Float.floatToRawIntBits(expected[i]),
            Float.floatToRawIntBits(actual[i]),
            message + "[" + i + "]");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void sameBitsFromRunToRun(Target target, Cell cell) {
    forEach(
        target,
        cell,
        (spec, rnn, session) -> {
          Result expected = ragged(spec).run(session);
          assertSameBits(expected, ragged(spec).run(session), spec + ", again");
          try (Rnn other = target.create(spec, Networks.weights(spec, 1));
              Session larger =
                  other.session(
                      SessionOptions.of(2 * STEPS, BATCH + 5).withBackward(Backward.STORE))) {
            assertSameBits(expected, ragged(spec).run(larger), spec + ", larger session");
          }
        });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void sameBitsForEveryNumberOfThreads(Target target, Cell cell) {
    forEach(
        target,
        cell,
        (spec, rnn, session) -> {
          try (Session one = rnn.session(STORE.withThreads(1));
              Session two = rnn.session(STORE.withThreads(2));
              Session three = rnn.session(STORE.withThreads(3))) {
            Result expected = ragged(spec).run(one);
            assertSameBits(expected, ragged(spec).run(two), spec + ", 2 threads");
            assertSameBits(expected, ragged(spec).run(three), spec + ", 3 threads");
          }
        });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void recomputedAsStored(Target target, Cell cell) {
    // The other tiers of CUDA sum what they compute again in another order.
    Target exact =
        target.backend() == Backend.CUDA
            ? new Target(Backend.CUDA, null, target.precision(), Tier.ALTERNATING)
            : target;
    SessionOptions recompute = STORE.withBackward(Backward.RECOMPUTE);
    forEach(
        exact,
        cell,
        (spec, rnn, session) -> {
          try (Session recomputing = exact.backwardSession(rnn, recompute)) {
            assertSameBits(
                ragged(spec).run(session), ragged(spec).run(recomputing), spec + ", recomputed");
          }
        });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void backwardMayBeRunAgain(Target target, Cell cell) {
    forEach(
        target,
        cell,
        (spec, rnn, session) -> {
          Result first = ragged(spec).run(session);
          Result second = ragged(spec).backward(session, Parameters.zeros(spec), false);
          assertSameBits(first, second, spec + ", back again");
        });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void accumulateAdds(Target target, Cell cell) {
    forEach(
        target,
        cell,
        (spec, rnn, session) -> {
          Result once = ragged(spec).run(session);
          Parameters sum = Parameters.of(spec, Networks.weights(spec, 5));
          float[] expected = Networks.array(sum.all());
          FloatBuffer added = Parameters.of(spec, once.parameters()).all();
          for (int i = 0; i < expected.length; i++) {
            expected[i] += added.get(i);
          }
          Result result = ragged(spec).backward(session, sum, true);
          // In what order an embedding's rows are added to is the backend's to choose.
          assertArrayEquals(expected, Networks.array(sum.all()), 1e-5f, spec + ", added");
          assertSameBits(once.dInitial().hidden(), result.dInitial().hidden(), spec + ", h0");
        });
  }

  /** Nothing past the end of a sequence is read, and nothing of an earlier run is left. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void paddingIsNeverRead(Target target, Cell cell) {
    forEach(
        target,
        cell,
        (spec, rnn, session) -> {
          Result expected = ragged(spec).run(session);
          Training.of(spec, STEPS, BATCH, false, 9).poisoned(Float.NaN).run(session);
          assertSameBits(expected, ragged(spec).poisoned(Float.NaN).run(session), spec + ", NaN");
          assertSameBits(
              expected, ragged(spec).poisoned(-1e38f).run(session), spec + ", large numbers");
        });
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void nothingOfAnEarlierRunIsLeft(Target target, Cell cell) {
    forEach(
        target,
        cell,
        (spec, rnn, session) -> {
          Training small = Training.of(spec, 4, 3, true, 2);
          Result expected = small.run(session);
          ragged(spec).run(session);
          assertSameBits(expected, small.run(session), spec + ", after a larger one");
        });
  }

  /** Results that are not asked for change nothing of the others. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void eachResultAlone(Target target, Cell cell) {
    forEach(
        target,
        cell,
        (spec, rnn, session) -> {
          Training training = ragged(spec);
          Result expected = training.run(session);
          BackwardCall call =
              session
                  .backward()
                  .outputGradient(Networks.direct(training.dy()))
                  .finalStateGradient(training.dFinal());
          if (training.dlogits() != null) {
            call.logitsGradient(Networks.direct(training.dlogits()));
          }
          Parameters parameters = Parameters.zeros(spec);
          call.parameterGradients(parameters).run();
          assertSameBits(
              Networks.array(Parameters.of(spec, expected.parameters()).all()),
              Networks.array(parameters.all()),
              spec + ", parameters alone");
          State state = State.zeros(spec, BATCH);
          call.parameterGradients((Parameters) null).initialStateGradient(state).run();
          assertSameBits(expected.dInitial().hidden(), state.hidden(), spec + ", state alone");
          if (spec.vocabulary() == 0) {
            FloatBuffer dx = Networks.floats(training.x().length);
            call.initialStateGradient(null).inputGradient(dx).run();
            assertSameBits(expected.dx(), Networks.array(dx), spec + ", input alone");
          }
          State inPlace = training.dFinal().copy();
          call.inputGradient((FloatBuffer) null)
              .finalStateGradient(inPlace)
              .initialStateGradient(inPlace)
              .run();
          assertSameBits(expected.dInitial().hidden(), inPlace.hidden(), spec + ", state in place");
          if (inPlace.hasCell()) {
            assertSameBits(expected.dInitial().cell(), inPlace.cell(), spec + ", cell in place");
          }
        });
  }

  /** The state in place and the lengths may have changed by the time of the way back. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void stateAndLengthsMayChangeInBetween(Target target, Cell cell) {
    target.assumeAvailable();
    RnnSpec spec = networks(target, cell).get(0);
    Training training = ragged(spec);
    State state = training.initial().copy();
    IntBuffer lengths = Networks.direct(training.lengths());
    FloatBuffer x = Networks.direct(training.x());
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session session = target.backwardSession(rnn, STORE)) {
      Result expected = training.run(session);
      session.call().input(x).lengths(lengths).state(state).run(STEPS, BATCH);
      state.clear();
      for (int b = 0; b < BATCH; b++) {
        lengths.put(b, 1);
      }
      Result actual = training.backward(session, Parameters.zeros(spec), false);
      assertSameBits(expected, actual, spec + ", state in place");
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void batchMajorAsTimeMajor(Target target, Cell cell) {
    target.assumeAvailable();
    RnnSpec spec = networks(target, cell).get(0).withOutputs(7);
    Training training = ragged(spec);
    FloatBuffer x = Networks.direct(transposed(training.x(), STEPS, BATCH));
    FloatBuffer dx = Networks.floats(training.x().length);
    Parameters gradients = Parameters.zeros(spec);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session session = target.backwardSession(rnn, STORE)) {
      Result expected = training.run(session);
      session
          .call()
          .batchMajor(true)
          .input(x)
          .lengths(Networks.direct(training.lengths()))
          .state(training.initial().copy())
          .run(STEPS, BATCH);
      session
          .backward()
          .outputGradient(Networks.direct(transposed(training.dy(), STEPS, BATCH)))
          .logitsGradient(Networks.direct(transposed(training.dlogits(), STEPS, BATCH)))
          .finalStateGradient(training.dFinal())
          .inputGradient(dx)
          .parameterGradients(gradients)
          .run();
      assertSameBits(
          expected.dx(), transposed(Networks.array(dx), BATCH, STEPS), spec + ", batch-major");
      assertSameBits(
          Networks.array(Parameters.of(spec, expected.parameters()).all()),
          Networks.array(gradients.all()),
          spec + ", batch-major parameters");
    }
  }

  /** [a, b, width] as [b, a, width]. */
  private static float[] transposed(float[] values, int a, int b) {
    int width = values.length / a / b;
    float[] out = new float[values.length];
    for (int i = 0; i < a * b; i++) {
      System.arraycopy(values, i * width, out, ((i % b) * a + i / b) * width, width);
    }
    return out;
  }

  /** What is kept for the way back changes nothing of the way forward. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void forwardHasTheSameBitsWithAWayBack(Target target, Cell cell) {
    target.assumeAvailable();
    RnnSpec spec = networks(target, cell).get(0).withLayers(2);
    Training training = ragged(spec);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session storing = target.backwardSession(rnn, STORE);
        Session recomputing = rnn.session(STORE.withBackward(Backward.RECOMPUTE));
        Session plain = rnn.session(STORE.withBackward(Backward.NONE))) {
      float[] expected = forward(plain, training);
      assertSameBits(expected, forward(storing, training), spec + ", storing");
      assertSameBits(expected, forward(recomputing, training), spec + ", recomputing");
    }
  }

  private static float[] forward(Session session, Training training) {
    return session.forward(
        STEPS, BATCH, training.x(), training.lengths(), training.initial().copy());
  }

  /** An updated network is as one made of the same weights, and so is the way back through it. */
  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void updatedAsNew(Target target, Cell cell) {
    forEach(
        target,
        cell,
        (spec, rnn, session) -> {
          Weights weights = Networks.weights(spec, 2);
          ragged(spec).run(session);
          rnn.update(Parameters.of(spec, weights));
          try (Rnn fresh = target.create(spec, weights);
              Session other = fresh.session(STORE);
              Session late = rnn.session(STORE)) {
            Result expected = ragged(spec).run(other);
            assertSameBits(expected, ragged(spec).run(session), spec + ", updated");
            assertSameBits(expected, ragged(spec).run(late), spec + ", session after update");
            if (spec.vocabulary() == 0) {
              assertSameBits(
                  forward(other, ragged(spec)), forward(session, ragged(spec)), spec + ", y");
            }
          }
        });
  }
}
