// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Runs that pick their states by row. That a batch whose states lie in its own order is right,
 * other suites see to; here the same batch picks them from rows anywhere.
 */
class StateRowsTest {
  private static final int CAPACITY = 41;

  static Stream<Target> targets() {
    return Target.allPaths().stream();
  }

  /** A network of some depth and directions, and a call. */
  private record Case(RnnSpec spec, int steps, int batch, int threads, int seed) {
    /** All cells, layers, directions, lengths and threads come by in turn. */
    static List<Case> all(int turn) {
      List<Case> all = new ArrayList<>();
      int seed = turn;
      for (Cell cell : Cell.values()) {
        boolean bidirectional = seed % 2 == 1;
        RnnSpec spec =
            RnnSpec.of(cell, 3, 6 * (1 + seed % 3))
                .withLayers(1 + seed / 2 % 2)
                .withBidirectional(bidirectional)
                .withChunk(cell.hasChunkedBlocks() ? 3 : 1);
        int steps = bidirectional ? 5 : 1 + seed % 7;
        all.add(new Case(spec, steps, 7 + seed % 5, 1 + seed / 4 % 2, seed));
        seed += 3;
      }
      return all;
    }

    int[] lengths() {
      return Networks.lengths(steps, batch, seed);
    }

    float[] x() {
      return Networks.normal(steps * batch * spec.inputSize(), seed + 1);
    }

    int[] rows() {
      List<Integer> rows = new ArrayList<>();
      for (int row = 0; row < CAPACITY; row++) {
        rows.add(row);
      }
      Collections.shuffle(rows, new Random(seed));
      return rows.stream().limit(batch).mapToInt(Integer::intValue).toArray();
    }
  }

  private static State random(RnnSpec spec, int batch, int seed) {
    State state = State.zeros(spec, batch);
    float[] h = Networks.normal(spec.slots() * batch * spec.hiddenSize(), seed);
    for (int i = 0; i < h.length; i++) {
      h[i] = (float) Math.tanh(h[i]);
    }
    state.set(h, state.hasCell() ? Networks.normal(h.length, seed + 1) : null);
    return state;
  }

  private static void copyRow(State from, int row, State to, int toRow) {
    to.setRow(toRow, from.hiddenRow(row), from.hasCell() ? from.cellRow(row) : null);
  }

  private static int turn;

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void asABatchOfItsOwn(Target target) {
    target.assumeAvailable();
    for (Case one : Case.all(turn++)) {
      if (target.isItsTurn(one.spec.cell())) {
        check(target, one);
      }
    }
  }

  private static void check(Target target, Case one) {
    RnnSpec spec = one.spec;
    int[] rows = one.rows();
    State pool = random(spec, CAPACITY, one.seed + 2);
    State before = pool.copy();
    State own = State.zeros(spec, one.batch);
    for (int b = 0; b < one.batch; b++) {
      copyRow(pool, rows[b], own, b);
    }
    FloatBuffer y = Networks.floats(one.steps * one.batch * spec.outputSize());
    try (Rnn rnn = target.create(spec, Networks.weights(spec, one.seed, 2));
        Session session =
            target
                .session(rnn, SessionOptions.of(one.steps, one.batch).withThreads(one.threads))
                .orElse(null)) {
      if (session == null) {
        return;
      }
      float[] expected = session.forward(one.steps, one.batch, one.x(), one.lengths(), own);
      ForwardCall call =
          session
              .call()
              .input(Networks.direct(one.x()))
              .lengths(Networks.direct(one.lengths()))
              .state(pool)
              .stateRows(Networks.direct(rows))
              .output(y);
      call.run(one.steps, one.batch);
      String where = target + " " + one;
      assertArrayEquals(expected, Networks.array(y), where);
      State after = before.copy();
      for (int b = 0; b < one.batch; b++) {
        copyRow(own, b, after, rows[b]);
      }
      assertSame(after, pool, where);

      // Into other states; those that runs begin with stay.
      State last = random(spec, CAPACITY, one.seed + 4);
      State lastAfter = last.copy();
      for (int b = 0; b < one.batch; b++) {
        copyRow(own, b, lastAfter, rows[b]);
      }
      call.initialState(before).finalState(last).run(one.steps, one.batch);
      assertSame(lastAfter, last, where);
      assertArrayEquals(expected, Networks.array(y), where);

      // Without rows the same call takes states of its own batch again.
      call.stateRows(null);
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> call.run(one.steps, one.batch));
      assertTrue(e.getMessage().startsWith("initialState: expected B="), e.getMessage());
    }
  }

  private static void assertSame(State expected, State actual, String where) {
    assertArrayEquals(expected.hidden(), actual.hidden(), where + ": h");
    if (expected.hasCell()) {
      assertArrayEquals(expected.cell(), actual.cell(), where + ": c");
    }
  }

  /** More rows than a block of the CPU backend has. */
  @Test
  void thousandsOfStreamsAsEachAlone() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 2, 9);
    int streams = 3000;
    int steps = 3;
    State pool = State.zeros(spec, streams);
    FloatBuffer y = Networks.floats(streams * spec.hiddenSize());
    int[] order = new Random(1).ints(0, streams).distinct().limit(streams).toArray();
    float[][] x = new float[streams][];
    Arrays.setAll(x, stream -> Networks.normal(steps * spec.inputSize(), stream));
    try (Rnn rnn = Rnn.create(spec, Networks.weights(spec, 1));
        Session together = rnn.session(1, streams);
        Session alone = rnn.session(steps, 1)) {
      assumeTrue(rnn.hasStateRows());
      for (int t = 0; t < steps; t++) {
        FloatBuffer inputs = Networks.floats(streams * spec.inputSize());
        for (int b = 0; b < streams; b++) {
          inputs.put(b * spec.inputSize(), x[order[b]], t * spec.inputSize(), spec.inputSize());
        }
        together.step(streams, inputs, pool, Networks.direct(order), y);
      }
      for (int stream = 0; stream < streams; stream += 37) {
        State state = alone.newState(1);
        alone.forward(steps, 1, x[stream], null, state);
        assertArrayEquals(state.hidden(), pool.hiddenRow(stream));
        assertArrayEquals(state.cell(), pool.cellRow(stream));
      }
    }
  }

  @Test
  void whatDoesNotFitIsNamed() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 2, 3);
    for (Backend backend : List.of(Backend.REFERENCE, Backend.CPU, Backend.CUDA)) {
      if (backend != Backend.REFERENCE && !runs(backend)) {
        continue;
      }
      try (Rnn rnn = Rnn.create(spec, Networks.weights(spec, 1), backend);
          Session session = rnn.session(2, 3);
          Session back =
              rnn.session(
                  SessionOptions.of(2, 3).withBackward(io.github.gatefuse.Backward.STORE))) {
        State pool = State.zeros(spec, 4);
        IntBuffer rows = Networks.direct(new int[] {3, 0, 1});
        ForwardCall call = session.call().input(Networks.floats(12)).state(pool).stateRows(rows);
        call.run(2, 3);
        float[] before = pool.hidden();
        assertRefused(call, rows.put(1, 4), "stateRows[b=1]: expected 0 to 3, got 4");
        assertRefused(call, rows.put(1, -1), "stateRows[b=1]: expected 0 to 3, got -1");
        assertRefused(
            call,
            rows.put(1, 3),
            "stateRows[b=1]: expected a row that no other sequence has, got 3 a second time");
        assertArrayEquals(before, pool.hidden());
        rows.put(1, 2);
        call.run(2, 3);
        assertRefused(
            call.stateRows(Networks.direct(new int[] {0, 1})), rows, "stateRows: expected [B=3]");
        call.stateRows(rows).finalState(State.zeros(spec, 5));
        assertRefused(call, rows, "finalState: expected B=4, got B=5");
        call.state((State) null).output(Networks.floats(18));
        assertRefused(call, rows, "stateRows: expected a state beside them, got none");
        IllegalArgumentException e =
            assertThrows(IllegalArgumentException.class, () -> back.call().stateRows(rows));
        assertEquals(
            "stateRows: expected none, since the session keeps a way back", e.getMessage());
      }
    }
  }

  private static boolean runs(Backend backend) {
    return Devices.report().stream().anyMatch(r -> r.backend() == backend && r.available());
  }

  private static void assertRefused(ForwardCall call, IntBuffer rows, String message) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> call.run(2, 3), message);
    assertTrue(e.getMessage().startsWith(message), e.getMessage());
  }

  @Test
  void aBackendWithoutRefusesByName() {
    try (Rnn rnn = StandInBackend.network(RnnSpec.of(Cell.GRU, 2, 3));
        Session session = rnn.session(1, 1)) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> session.call().stateRows(Networks.direct(new int[] {0})));
      assertEquals(
          "stateRows: expected none, since the cpu backend cannot pick states by row",
          e.getMessage());
    }
  }

  @Test
  void rowsOfAState() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 2, 3).withLayers(2);
    State state = random(spec, 4, 1);
    State before = state.copy();
    float[] h = state.hiddenRow(2);
    float[] c = state.cellRow(2);
    assertArrayEquals(
        new float[] {h[0], h[1], h[2]}, Arrays.copyOfRange(state.hidden(), 2 * 3, 3 * 3));
    assertArrayEquals(
        new float[] {c[3], c[4], c[5]}, Arrays.copyOfRange(state.cell(), (4 + 2) * 3, (4 + 3) * 3));
    state.clearRow(2);
    assertArrayEquals(new float[6], state.hiddenRow(2));
    assertArrayEquals(before.hiddenRow(3), state.hiddenRow(3));
    state.setRow(2, h, c);
    assertSame(before, state, "set again");
    assertThrows(IllegalArgumentException.class, () -> state.hiddenRow(4));
    assertThrows(IllegalArgumentException.class, () -> state.clearRow(-1));
    assertThrows(IllegalArgumentException.class, () -> state.setRow(0, h, null));
    assertThrows(IllegalArgumentException.class, () -> state.setRow(0, new float[5], c));
    State gru = State.zeros(RnnSpec.of(Cell.GRU, 2, 3), 2);
    assertThrows(IllegalArgumentException.class, () -> gru.setRow(0, new float[3], new float[3]));
    assertThrows(IllegalStateException.class, () -> gru.cellRow(0));
  }
}
