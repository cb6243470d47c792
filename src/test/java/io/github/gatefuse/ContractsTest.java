// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What a path promises beside accuracy: the same bits, whatever the circumstances. */
class ContractsTest {
  private static final int STEPS = 13;
  private static final int BATCH = 17;

  static Stream<Arguments> targetsAndCells() {
    return Target.all().stream()
        .flatMap(target -> Stream.of(Cell.values()).map(cell -> Arguments.of(target, cell)));
  }

  /** Networks of all depths and directions, large enough for several threads to share a step. */
  private static List<RnnSpec> networks(Cell cell) {
    List<RnnSpec> networks = new ArrayList<>();
    for (int layers = 1; layers <= 2; layers++) {
      for (boolean bidirectional : new boolean[] {false, true}) {
        networks.add(
            RnnSpec.of(cell, 5, 66)
                .withLayers(layers)
                .withBidirectional(bidirectional)
                .withChunk(cell.hasChunkedBlocks() ? 3 : 1));
      }
    }
    return networks;
  }

  /** What a call gave. */
  private record Result(float[] y, State state) {}

  private static void assertSameBits(Result expected, Result actual, String message) {
    assertSameBits(expected.y, actual.y, message + ": y");
    assertSameBits(expected.state.hidden(), actual.state.hidden(), message + ": hn");
    if (expected.state.hasCell()) {
      assertSameBits(expected.state.cell(), actual.state.cell(), message + ": cn");
    }
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

  private static float[] input(RnnSpec spec, int steps, int batch) {
    return Networks.normal(steps * batch * spec.inputSize(), 7);
  }

  private static State initial(RnnSpec spec, int batch) {
    State state = State.zeros(spec, batch);
    float[] h = Networks.normal(spec.slots() * batch * spec.hiddenSize(), 8);
    for (int i = 0; i < h.length; i++) {
      h[i] = (float) Math.tanh(h[i]);
    }
    state.set(h, state.hasCell() ? Networks.normal(h.length, 9) : null);
    return state;
  }

  private static Result run(
      Session session, int steps, int batch, float[] x, int[] lengths, State initial) {
    State state = initial.copy();
    return new Result(session.forward(steps, batch, x, lengths, state), state);
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void sameBitsFromRunToRun(Target target, Cell cell) {
    target.assumeAvailable();
    for (RnnSpec spec : networks(cell)) {
      float[] x = input(spec, STEPS, BATCH);
      int[] lengths = Networks.lengths(STEPS, BATCH, 3);
      State initial = initial(spec, BATCH);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Rnn again = target.create(spec, Networks.weights(spec, 1));
          Session session = rnn.session(STEPS, BATCH);
          Session larger = again.session(2 * STEPS, BATCH + 5)) {
        Result first = run(session, STEPS, BATCH, x, lengths, initial);
        Result second = run(session, STEPS, BATCH, x, lengths, initial);
        assertSameBits(first, second, spec + ", second run");
        Result third = run(larger, STEPS, BATCH, x, lengths, initial);
        assertSameBits(first, third, spec + ", larger session of another model");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void nothingOfAnEarlierCallIsLeft(Target target, Cell cell) {
    target.assumeAvailable();
    for (RnnSpec spec : networks(cell)) {
      float[] x = input(spec, 4, 3);
      float[] poison = new float[STEPS * BATCH * spec.inputSize()];
      Arrays.fill(poison, Float.NaN);
      State initial = initial(spec, 3);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session fresh = rnn.session(STEPS, BATCH);
          Session used = rnn.session(STEPS, BATCH)) {
        used.forward(STEPS, BATCH, poison);
        Result expected = run(fresh, 4, 3, x, null, initial);
        assertSameBits(expected, run(used, 4, 3, x, null, initial), spec + ", after NaN");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void sameBitsForEveryNumberOfThreads(Target target, Cell cell) {
    target.assumeAvailable();
    for (RnnSpec spec : networks(cell)) {
      float[] x = input(spec, STEPS, BATCH);
      int[] lengths = Networks.lengths(STEPS, BATCH, 4);
      State initial = initial(spec, BATCH);
      SessionOptions options = SessionOptions.of(STEPS, BATCH);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session one = rnn.session(options.withThreads(1));
          Session two = rnn.session(options.withThreads(2));
          Session three = rnn.session(options.withThreads(3))) {
        Result expected = run(one, STEPS, BATCH, x, lengths, initial);
        assertSameBits(expected, run(two, STEPS, BATCH, x, lengths, initial), spec + ", 2 threads");
        assertSameBits(
            expected, run(three, STEPS, BATCH, x, lengths, initial), spec + ", 3 threads");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void chunksWithCarriedStateAsWhole(Target target, Cell cell) {
    target.assumeAvailable();
    for (RnnSpec spec : networks(cell)) {
      if (spec.bidirectional()) {
        continue; // The reverse direction begins at the end of what it is given.
      }
      float[] x = input(spec, STEPS, BATCH);
      State initial = initial(spec, BATCH);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = rnn.session(STEPS, BATCH)) {
        Result whole = run(session, STEPS, BATCH, x, null, initial);
        State state = initial.copy();
        float[] y = new float[whole.y.length];
        int from = 0;
        for (int steps : new int[] {1, 5, 6, 1}) {
          int width = BATCH * spec.inputSize();
          float[] part = Arrays.copyOfRange(x, from * width, (from + steps) * width);
          float[] out = session.forward(steps, BATCH, part, null, state);
          System.arraycopy(out, 0, y, from * BATCH * spec.outputSize(), out.length);
          from += steps;
        }
        assertEquals(STEPS, from);
        assertSameBits(whole, new Result(y, state), spec + ", in chunks");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void eachSequenceAsAloneWhateverIsBesideIt(Target target, Cell cell) {
    target.assumeAvailable();
    int[] ragged = Networks.lengths(STEPS, BATCH, 5);
    int[] whole = new int[BATCH];
    Arrays.fill(whole, STEPS);
    for (RnnSpec spec : networks(cell)) {
      float[] x = input(spec, STEPS, BATCH);
      State initial = initial(spec, BATCH);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = rnn.session(STEPS, BATCH)) {
        for (int[] lengths : new int[][] {whole, ragged}) {
          Result batch = run(session, STEPS, BATCH, x, lengths, initial);
          int[] reverse = reversed(BATCH);
          Result turned =
              run(
                  session,
                  STEPS,
                  BATCH,
                  rows(x, STEPS, BATCH, reverse),
                  Arrays.stream(reverse).map(b -> lengths[b]).toArray(),
                  rows(initial, spec, reverse));
          assertSameBits(rows(batch, spec, STEPS, BATCH, reverse), turned, spec + ", turned round");
          for (int b = 0; b < BATCH; b++) {
            // One by one, and no longer than it is: what a user without batches would run.
            int length = lengths[b];
            float[] own =
                rows(Arrays.copyOf(x, length * BATCH * spec.inputSize()), length, BATCH, b);
            Result alone = run(session, length, 1, own, null, rows(initial, spec, b));
            Result expected = rows(batch, spec, STEPS, BATCH, b);
            int valid = length * spec.outputSize();
            float[] y = Arrays.copyOf(expected.y, valid);
            assertSameBits(new Result(y, expected.state), alone, spec + ", row " + b);
            assertArrayEquals(
                new float[expected.y.length - valid],
                Arrays.copyOfRange(expected.y, valid, expected.y.length),
                spec + ", past the end of row " + b);
          }
        }
      }
    }
  }

  private static int[] reversed(int n) {
    int[] order = new int[n];
    Arrays.setAll(order, i -> n - 1 - i);
    return order;
  }

  /** These rows of a tensor [outer, B, width]. */
  private static float[] rows(float[] values, int outer, int batch, int... rows) {
    int width = values.length / outer / batch;
    float[] out = new float[outer * rows.length * width];
    for (int t = 0; t < outer; t++) {
      for (int i = 0; i < rows.length; i++) {
        System.arraycopy(
            values, (t * batch + rows[i]) * width, out, (t * rows.length + i) * width, width);
      }
    }
    return out;
  }

  private static State rows(State state, RnnSpec spec, int... rows) {
    State out = State.zeros(spec, rows.length);
    out.set(
        rows(state.hidden(), state.slots(), state.batch(), rows),
        state.hasCell() ? rows(state.cell(), state.slots(), state.batch(), rows) : null);
    return out;
  }

  private static Result rows(Result result, RnnSpec spec, int steps, int batch, int... rows) {
    return new Result(rows(result.y, steps, batch, rows), rows(result.state, spec, rows));
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void batchMajorAsTimeMajor(Target target, Cell cell) {
    target.assumeAvailable();
    for (RnnSpec plain : networks(cell)) {
      RnnSpec spec = plain.withVocabulary(11).withOutputs(9);
      int[] tokens = Networks.integers(STEPS * BATCH, 0, 10, 6);
      int[] targets = Networks.integers(STEPS * BATCH, 0, 8, 7);
      IntBuffer lengths = Networks.direct(Networks.lengths(STEPS, BATCH, 8));
      List<float[]> time = new ArrayList<>();
      List<float[]> batch = new ArrayList<>();
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = rnn.session(STEPS, BATCH)) {
        State first = session.newState(BATCH);
        State second = session.newState(BATCH);
        headOutputs(session.call().state(first).lengths(lengths), spec, tokens, targets, time);
        headOutputs(
            session.call().state(second).lengths(lengths).batchMajor(true),
            spec,
            transposed(tokens, STEPS, BATCH),
            transposed(targets, STEPS, BATCH),
            batch);
        assertSameBits(first.hidden(), second.hidden(), spec + ": hn");
      }
      for (int i = 0; i < time.size(); i++) {
        float[] turned = transposed(batch.get(i), BATCH, STEPS);
        assertSameBits(time.get(i), turned, spec + ", output " + i);
      }
    }
  }

  private static void headOutputs(
      ForwardCall call, RnnSpec spec, int[] tokens, int[] targets, List<float[]> into) {
    FloatBuffer y = Networks.floats(STEPS * BATCH * spec.outputSize());
    FloatBuffer logits = Networks.floats(STEPS * BATCH * spec.outputs());
    FloatBuffer logs = Networks.floats(STEPS * BATCH * spec.outputs());
    FloatBuffer targetLogs = Networks.floats(STEPS * BATCH);
    call.tokens(Networks.direct(tokens))
        .targets(Networks.direct(targets))
        .output(y)
        .logits(logits)
        .logProbabilities(logs)
        .targetLogProbabilities(targetLogs)
        .run(STEPS, BATCH);
    Stream.of(y, logits, logs, targetLogs).map(Networks::array).forEach(into::add);
  }

  /** A tensor [a, b, width] as [b, a, width]. */
  private static float[] transposed(float[] values, int a, int b) {
    int width = values.length / a / b;
    float[] out = new float[values.length];
    for (int i = 0; i < a * b; i++) {
      System.arraycopy(values, i * width, out, ((i % b) * a + i / b) * width, width);
    }
    return out;
  }

  private static int[] transposed(int[] values, int a, int b) {
    int[] out = new int[values.length];
    for (int i = 0; i < a * b; i++) {
      out[(i % b) * a + i / b] = values[i];
    }
    return out;
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void notFiniteValuesStayInTheirRow(Target target, Cell cell) {
    target.assumeAvailable();
    for (RnnSpec spec : networks(cell)) {
      float[] clean = input(spec, STEPS, BATCH);
      State initial = initial(spec, BATCH);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = rnn.session(STEPS, BATCH)) {
        Result expected = run(session, STEPS, BATCH, clean, null, initial);
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
          int row = 6;
          float[] x = clean.clone();
          for (int t = 2; t < STEPS; t++) {
            Arrays.fill(
                x,
                (t * BATCH + row) * spec.inputSize(),
                (t * BATCH + row + 1) * spec.inputSize(),
                bad);
          }
          Result result = run(session, STEPS, BATCH, x, null, initial);
          int[] others = IntStream.range(0, BATCH).filter(b -> b != row).toArray();
          assertSameBits(
              rows(expected, spec, STEPS, BATCH, others),
              rows(result, spec, STEPS, BATCH, others),
              spec + ", beside " + bad);
        }
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void paddingIsNeverRead(Target target, Cell cell) {
    target.assumeAvailable();
    int[] lengths = Networks.lengths(STEPS, BATCH, 9);
    for (RnnSpec spec : networks(cell)) {
      float[] clean = input(spec, STEPS, BATCH);
      float[] poisoned = clean.clone();
      for (int b = 0; b < BATCH; b++) {
        for (int t = lengths[b]; t < STEPS; t++) {
          int at = (t * BATCH + b) * spec.inputSize();
          Arrays.fill(poisoned, at, at + spec.inputSize(), b % 2 == 0 ? Float.NaN : -1e38f);
        }
      }
      State initial = initial(spec, BATCH);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = rnn.session(STEPS, BATCH)) {
        assertSameBits(
            run(session, STEPS, BATCH, clean, lengths, initial),
            run(session, STEPS, BATCH, poisoned, lengths, initial),
            spec + ", padding");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void tokensInPaddingAreNeverRead(Target target, Cell cell) {
    target.assumeAvailable();
    RnnSpec spec = RnnSpec.of(cell, 5, 12).withVocabulary(7).withOutputs(6);
    int[] lengths = {3, 1, 2};
    int[] tokens = Networks.integers(9, 0, 6, 1);
    int[] targets = Networks.integers(9, 0, 5, 2);
    int[] badTokens = tokens.clone();
    int[] badTargets = targets.clone();
    for (int padding : new int[] {4, 7, 8}) {
      badTokens[padding] = Integer.MAX_VALUE;
      badTargets[padding] = -1;
    }
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session session = rnn.session(3, 3)) {
      float[] expected = session.score(3, 3, tokens, targets, lengths, null);
      assertSameBits(expected, session.score(3, 3, badTokens, badTargets, lengths, null), "score");
      for (int padding : new int[] {4, 7, 8}) {
        assertEquals(0f, expected[padding], "past the end of a sequence");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void stateInPlaceAsApart(Target target, Cell cell) {
    target.assumeAvailable();
    for (RnnSpec spec : networks(cell)) {
      FloatBuffer x = Networks.direct(input(spec, STEPS, BATCH));
      IntBuffer lengths = Networks.direct(Networks.lengths(STEPS, BATCH, 10));
      State initial = initial(spec, BATCH);
      State before = initial.copy();
      State last = State.zeros(spec, BATCH);
      State inPlace = initial.copy();
      // What was there before must not show through.
      FloatBuffer apart = filled(STEPS * BATCH * spec.outputSize(), Float.NaN);
      FloatBuffer together = filled(STEPS * BATCH * spec.outputSize(), 1e30f);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = rnn.session(STEPS, BATCH)) {
        session
            .call()
            .input(x)
            .lengths(lengths)
            .initialState(initial)
            .finalState(last)
            .output(apart)
            .run(STEPS, BATCH);
        session.call().input(x).lengths(lengths).state(inPlace).output(together).run(STEPS, BATCH);
      }
      assertSameBits(
          new Result(Networks.array(apart), last),
          new Result(Networks.array(together), inPlace),
          spec + ", state");
      assertSameBits(before.hidden(), initial.hidden(), spec + ", initial state is not written");
    }
  }

  private static FloatBuffer filled(int count, float value) {
    float[] values = new float[count];
    Arrays.fill(values, value);
    return Networks.direct(values);
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void outputsNotAskedForChangeNothing(Target target, Cell cell) {
    target.assumeAvailable();
    for (RnnSpec plain : networks(cell)) {
      RnnSpec spec = plain.withOutputs(10);
      FloatBuffer x = Networks.direct(input(spec, STEPS, BATCH));
      FloatBuffer y = Networks.floats(STEPS * BATCH * spec.outputSize());
      FloatBuffer first = Networks.floats(STEPS * BATCH * 10);
      FloatBuffer second = Networks.floats(STEPS * BATCH * 10);
      State both = State.zeros(spec, BATCH);
      State only = State.zeros(spec, BATCH);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = rnn.session(STEPS, BATCH)) {
        session.call().input(x).output(y).logits(first).state(both).run(STEPS, BATCH);
        session.call().input(x).logits(second).run(STEPS, BATCH);
        session.call().input(x).state(only).run(STEPS, BATCH);
      }
      assertSameBits(Networks.array(first), Networks.array(second), spec + ", logits alone");
      assertSameBits(both.hidden(), only.hidden(), spec + ", state alone");
    }
  }
}
