// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What a path promises beside accuracy: the same bits, whatever the circumstances. */
class ContractsTest {
  /**
   * Sizes of networks and calls.
   *
   * @param hidden divisible by 3
   * @param chunks steps of calls that make a whole one
   * @param depths the layers and directions of the networks
   */
  private record Sizes(int hidden, int steps, int batch, int[] chunks, int[][] depths) {
    static Sizes of(Target target) {
      return target.isEmulated() ? SMALL : LARGE;
    }
  }

  /** Networks of all depths and directions, large enough for several threads to share a step. */
  private static final Sizes LARGE =
      new Sizes(66, 13, 17, new int[] {1, 5, 6, 1}, new int[][] {{1, 1}, {1, 2}, {2, 1}, {2, 2}});

  /** For an emulation, which is slow. */
  private static final Sizes SMALL =
      new Sizes(21, 6, 9, new int[] {1, 3, 2}, new int[][] {{1, 1}, {2, 2}});

  static Stream<Arguments> targetsAndCells() {
    return Target.allNativePaths().stream()
        .flatMap(
            target ->
                Stream.of(Cell.values())
                    .filter(target::isItsTurn)
                    .map(cell -> Arguments.of(target, cell)));
  }

  private static List<RnnSpec> networks(Sizes sizes, Cell cell) {
    return Stream.of(sizes.depths)
        .map(
            depth ->
                RnnSpec.of(cell, 5, sizes.hidden)
                    .withLayers(depth[0])
                    .withBidirectional(depth[1] == 2)
                    .withChunk(cell.hasChunkedBlocks() ? 3 : 1))
        .toList();
  }

  /** A session in the target's tier; the test is skipped where the network does not fit it. */
  private static Session open(Target target, Rnn rnn, int steps, int batch) {
    return open(target, rnn, SessionOptions.of(steps, batch));
  }

  private static Session open(Target target, Rnn rnn, SessionOptions options) {
    Optional<Session> session = target.session(rnn, options);
    assumeTrue(session.isPresent(), () -> target + ": the network does not fit");
    return session.get();
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
    Sizes sizes = Sizes.of(target);
    for (RnnSpec spec : networks(sizes, cell)) {
      float[] x = input(spec, sizes.steps, sizes.batch);
      int[] lengths = Networks.lengths(sizes.steps, sizes.batch, 3);
      State initial = initial(spec, sizes.batch);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Rnn again = target.create(spec, Networks.weights(spec, 1));
          Session session = open(target, rnn, sizes.steps, sizes.batch);
          Session larger = open(target, again, 2 * sizes.steps, sizes.batch + 5)) {
        Result first = run(session, sizes.steps, sizes.batch, x, lengths, initial);
        Result second = run(session, sizes.steps, sizes.batch, x, lengths, initial);
        assertSameBits(first, second, spec + ", second run");
        Result third = run(larger, sizes.steps, sizes.batch, x, lengths, initial);
        assertSameBits(first, third, spec + ", larger session of another model");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void nothingOfAnEarlierCallIsLeft(Target target, Cell cell) {
    target.assumeAvailable();
    Sizes sizes = Sizes.of(target);
    for (RnnSpec spec : networks(sizes, cell)) {
      float[] x = input(spec, 4, 3);
      float[] poison = new float[sizes.steps * sizes.batch * spec.inputSize()];
      Arrays.fill(poison, Float.NaN);
      State initial = initial(spec, 3);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session fresh = open(target, rnn, sizes.steps, sizes.batch);
          Session used = open(target, rnn, sizes.steps, sizes.batch)) {
        used.forward(sizes.steps, sizes.batch, poison);
        Result expected = run(fresh, 4, 3, x, null, initial);
        assertSameBits(expected, run(used, 4, 3, x, null, initial), spec + ", after NaN");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void updatedAsNew(Target target, Cell cell) {
    target.assumeAvailable();
    Sizes sizes = Sizes.of(target);
    for (RnnSpec spec : networks(sizes, cell)) {
      float[] x = input(spec, sizes.steps, sizes.batch);
      State initial = initial(spec, sizes.batch);
      Weights weights = Networks.weights(spec, 2);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Rnn fresh = target.create(spec, weights);
          Session updated = open(target, rnn, sizes.steps, sizes.batch);
          Session other = open(target, fresh, sizes.steps, sizes.batch)) {
        run(updated, sizes.steps, sizes.batch, x, null, initial);
        rnn.update(Parameters.of(spec, weights));
        assertSameBits(
            run(other, sizes.steps, sizes.batch, x, null, initial),
            run(updated, sizes.steps, sizes.batch, x, null, initial),
            spec + ", updated");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void sameBitsForEveryNumberOfThreads(Target target, Cell cell) {
    target.assumeAvailable();
    Sizes sizes = Sizes.of(target);
    for (RnnSpec spec : networks(sizes, cell)) {
      float[] x = input(spec, sizes.steps, sizes.batch);
      int[] lengths = Networks.lengths(sizes.steps, sizes.batch, 4);
      State initial = initial(spec, sizes.batch);
      SessionOptions options = SessionOptions.of(sizes.steps, sizes.batch).withTier(target.tier());
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session one = open(target, rnn, options.withThreads(1));
          Session two = open(target, rnn, options.withThreads(2));
          Session three = open(target, rnn, options.withThreads(3))) {
        Result expected = run(one, sizes.steps, sizes.batch, x, lengths, initial);
        assertSameBits(
            expected,
            run(two, sizes.steps, sizes.batch, x, lengths, initial),
            spec + ", 2 threads");
        assertSameBits(
            expected,
            run(three, sizes.steps, sizes.batch, x, lengths, initial),
            spec + ", 3 threads");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void chunksWithCarriedStateAsWhole(Target target, Cell cell) {
    target.assumeAvailable();
    Sizes sizes = Sizes.of(target);
    for (RnnSpec spec : networks(sizes, cell)) {
      if (spec.bidirectional()) {
        continue; // The reverse direction begins at the end of what it is given.
      }
      float[] x = input(spec, sizes.steps, sizes.batch);
      State initial = initial(spec, sizes.batch);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = open(target, rnn, sizes.steps, sizes.batch)) {
        Result whole = run(session, sizes.steps, sizes.batch, x, null, initial);
        State state = initial.copy();
        float[] y = new float[whole.y.length];
        int from = 0;
        for (int steps : sizes.chunks) {
          int width = sizes.batch * spec.inputSize();
          float[] part = Arrays.copyOfRange(x, from * width, (from + steps) * width);
          float[] out = session.forward(steps, sizes.batch, part, null, state);
          System.arraycopy(out, 0, y, from * sizes.batch * spec.outputSize(), out.length);
          from += steps;
        }
        assertEquals(sizes.steps, from);
        assertSameBits(whole, new Result(y, state), spec + ", in chunks");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void eachSequenceAsAloneWhateverIsBesideIt(Target target, Cell cell) {
    target.assumeAvailable();
    Sizes sizes = Sizes.of(target);
    int[] ragged = Networks.lengths(sizes.steps, sizes.batch, 5);
    int[] whole = new int[sizes.batch];
    Arrays.fill(whole, sizes.steps);
    for (RnnSpec spec : networks(sizes, cell)) {
      float[] x = input(spec, sizes.steps, sizes.batch);
      State initial = initial(spec, sizes.batch);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = open(target, rnn, sizes.steps, sizes.batch)) {
        for (int[] lengths : new int[][] {whole, ragged}) {
          Result batch = run(session, sizes.steps, sizes.batch, x, lengths, initial);
          int[] reverse = reversed(sizes.batch);
          Result turned =
              run(
                  session,
                  sizes.steps,
                  sizes.batch,
                  rows(x, sizes.steps, sizes.batch, reverse),
                  Arrays.stream(reverse).map(b -> lengths[b]).toArray(),
                  rows(initial, spec, reverse));
          assertSameBits(
              rows(batch, spec, sizes.steps, sizes.batch, reverse),
              turned,
              spec + ", turned round");
          for (int b = 0; b < sizes.batch; b++) {
            // One by one, and no longer than it is: what a user without batches would run.
            int length = lengths[b];
            float[] own =
                rows(
                    Arrays.copyOf(x, length * sizes.batch * spec.inputSize()),
                    length,
                    sizes.batch,
                    b);
            Result alone = run(session, length, 1, own, null, rows(initial, spec, b));
            Result expected = rows(batch, spec, sizes.steps, sizes.batch, b);
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
    Sizes sizes = Sizes.of(target);
    for (RnnSpec plain : networks(sizes, cell)) {
      RnnSpec spec = plain.withVocabulary(11).withOutputs(9);
      int[] tokens = Networks.integers(sizes.steps * sizes.batch, 0, 10, 6);
      int[] targets = Networks.integers(sizes.steps * sizes.batch, 0, 8, 7);
      IntBuffer lengths = Networks.direct(Networks.lengths(sizes.steps, sizes.batch, 8));
      List<float[]> time = new ArrayList<>();
      List<float[]> batch = new ArrayList<>();
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = open(target, rnn, sizes.steps, sizes.batch)) {
        State first = session.newState(sizes.batch);
        State second = session.newState(sizes.batch);
        headOutputs(
            sizes, session.call().state(first).lengths(lengths), spec, tokens, targets, time);
        headOutputs(
            sizes,
            session.call().state(second).lengths(lengths).batchMajor(true),
            spec,
            transposed(tokens, sizes.steps, sizes.batch),
            transposed(targets, sizes.steps, sizes.batch),
            batch);
        assertSameBits(first.hidden(), second.hidden(), spec + ": hn");
      }
      for (int i = 0; i < time.size(); i++) {
        float[] turned = transposed(batch.get(i), sizes.batch, sizes.steps);
        assertSameBits(time.get(i), turned, spec + ", output " + i);
      }
    }
  }

  private static void headOutputs(
      Sizes sizes,
      ForwardCall call,
      RnnSpec spec,
      int[] tokens,
      int[] targets,
      List<float[]> into) {
    FloatBuffer y = Networks.floats(sizes.steps * sizes.batch * spec.outputSize());
    FloatBuffer logits = Networks.floats(sizes.steps * sizes.batch * spec.outputs());
    FloatBuffer logs = Networks.floats(sizes.steps * sizes.batch * spec.outputs());
    FloatBuffer targetLogs = Networks.floats(sizes.steps * sizes.batch);
    call.tokens(Networks.direct(tokens))
        .targets(Networks.direct(targets))
        .output(y)
        .logits(logits)
        .logProbabilities(logs)
        .targetLogProbabilities(targetLogs)
        .run(sizes.steps, sizes.batch);
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
    Sizes sizes = Sizes.of(target);
    for (RnnSpec spec : networks(sizes, cell)) {
      float[] clean = input(spec, sizes.steps, sizes.batch);
      State initial = initial(spec, sizes.batch);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = open(target, rnn, sizes.steps, sizes.batch)) {
        Result expected = run(session, sizes.steps, sizes.batch, clean, null, initial);
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY}) {
          int row = sizes.batch / 2;
          float[] x = clean.clone();
          for (int t = 2; t < sizes.steps; t++) {
            Arrays.fill(
                x,
                (t * sizes.batch + row) * spec.inputSize(),
                (t * sizes.batch + row + 1) * spec.inputSize(),
                bad);
          }
          Result result = run(session, sizes.steps, sizes.batch, x, null, initial);
          int[] others = IntStream.range(0, sizes.batch).filter(b -> b != row).toArray();
          assertSameBits(
              rows(expected, spec, sizes.steps, sizes.batch, others),
              rows(result, spec, sizes.steps, sizes.batch, others),
              spec + ", beside " + bad);
        }
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void paddingIsNeverRead(Target target, Cell cell) {
    target.assumeAvailable();
    Sizes sizes = Sizes.of(target);
    int[] lengths = Networks.lengths(sizes.steps, sizes.batch, 9);
    for (RnnSpec spec : networks(sizes, cell)) {
      float[] clean = input(spec, sizes.steps, sizes.batch);
      float[] poisoned = clean.clone();
      for (int b = 0; b < sizes.batch; b++) {
        for (int t = lengths[b]; t < sizes.steps; t++) {
          int at = (t * sizes.batch + b) * spec.inputSize();
          Arrays.fill(poisoned, at, at + spec.inputSize(), b % 2 == 0 ? Float.NaN : -1e38f);
        }
      }
      State initial = initial(spec, sizes.batch);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = open(target, rnn, sizes.steps, sizes.batch)) {
        assertSameBits(
            run(session, sizes.steps, sizes.batch, clean, lengths, initial),
            run(session, sizes.steps, sizes.batch, poisoned, lengths, initial),
            spec + ", padding");
      }
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void tokensInPaddingAreNeverRead(Target target, Cell cell) {
    target.assumeAvailable();
    Sizes sizes = Sizes.of(target);
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
        Session session = open(target, rnn, 3, 3)) {
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
    Sizes sizes = Sizes.of(target);
    for (RnnSpec spec : networks(sizes, cell)) {
      FloatBuffer x = Networks.direct(input(spec, sizes.steps, sizes.batch));
      IntBuffer lengths = Networks.direct(Networks.lengths(sizes.steps, sizes.batch, 10));
      State initial = initial(spec, sizes.batch);
      State before = initial.copy();
      State last = State.zeros(spec, sizes.batch);
      State inPlace = initial.copy();
      // What was there before must not show through.
      FloatBuffer apart = filled(sizes.steps * sizes.batch * spec.outputSize(), Float.NaN);
      FloatBuffer together = filled(sizes.steps * sizes.batch * spec.outputSize(), 1e30f);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = open(target, rnn, sizes.steps, sizes.batch)) {
        session
            .call()
            .input(x)
            .lengths(lengths)
            .initialState(initial)
            .finalState(last)
            .output(apart)
            .run(sizes.steps, sizes.batch);
        session
            .call()
            .input(x)
            .lengths(lengths)
            .state(inPlace)
            .output(together)
            .run(sizes.steps, sizes.batch);
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
    Sizes sizes = Sizes.of(target);
    for (RnnSpec plain : networks(sizes, cell)) {
      RnnSpec spec = plain.withOutputs(10);
      FloatBuffer x = Networks.direct(input(spec, sizes.steps, sizes.batch));
      FloatBuffer y = Networks.floats(sizes.steps * sizes.batch * spec.outputSize());
      FloatBuffer first = Networks.floats(sizes.steps * sizes.batch * 10);
      FloatBuffer second = Networks.floats(sizes.steps * sizes.batch * 10);
      State both = State.zeros(spec, sizes.batch);
      State only = State.zeros(spec, sizes.batch);
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = open(target, rnn, sizes.steps, sizes.batch)) {
        session.call().input(x).output(y).logits(first).state(both).run(sizes.steps, sizes.batch);
        session.call().input(x).logits(second).run(sizes.steps, sizes.batch);
        session.call().input(x).state(only).run(sizes.steps, sizes.batch);
      }
      assertSameBits(Networks.array(first), Networks.array(second), spec + ", logits alone");
      assertSameBits(both.hidden(), only.hidden(), spec + ", state alone");
    }
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void enqueuedAsRun(Target target, Cell cell) {
    target.assumeAvailable();
    Sizes sizes = Sizes.of(target);
    for (RnnSpec spec : networks(sizes, cell)) {
      float[] x = input(spec, sizes.steps, sizes.batch);
      int[] lengths = Networks.lengths(sizes.steps, sizes.batch, 11);
      State initial = initial(spec, sizes.batch);
      int places = sizes.steps * sizes.batch;
      int states = spec.slots() * sizes.batch * spec.hiddenSize();
      int outputs = places * spec.outputSize();
      try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
          Session session = open(target, rnn, sizes.steps, sizes.batch);
          PinnedMemory memory =
              Devices.pinned(target.backend(), 4L * (x.length + 2 * outputs + 2 * states))) {
        Result first = run(session, sizes.steps, sizes.batch, x, lengths, initial);
        Result second = run(session, sizes.steps, sizes.batch, x, null, first.state);
        FloatBuffer all = memory.floats();
        FloatBuffer in = all.slice(0, x.length).put(0, x);
        FloatBuffer y = all.slice(x.length, outputs);
        FloatBuffer z = all.slice(x.length + outputs, outputs);
        int at = x.length + 2 * outputs;
        FloatBuffer c = initial.hasCell() ? all.slice(at + states, states) : null;
        State state = State.over(spec, sizes.batch, all.slice(at, states), c);
        state.set(initial.hidden(), initial.hasCell() ? initial.cell() : null);
        // One behind the other, without a wait between them.
        IntBuffer read = Networks.direct(lengths);
        session
            .call()
            .input(in)
            .lengths(read)
            .state(state)
            .output(y)
            .enqueue(sizes.steps, sizes.batch);
        read.put(0, 1); // Lengths are read before a call returns.
        session.call().input(in).state(state).output(z).enqueue(sizes.steps, sizes.batch);
        session.synchronize();
        assertSameBits(first.y, Networks.array(y), spec + ", first enqueued");
        assertSameBits(second, new Result(Networks.array(z), state), spec + ", second enqueued");
      }
    }
  }
}
