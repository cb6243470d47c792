// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Cell;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Opened;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.State;
import io.github.gatefuse.Weights;
import io.github.gatefuse.reference.ReferenceNetwork;
import io.github.gatefuse.reference.Rounding;
import io.github.gatefuse.testing.GoldenCase;
import io.github.gatefuse.testing.Networks;
import java.nio.FloatBuffer;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Holds the backend's logic to the reference and to PyTorch, over functions that evaluate networks
 * from what was packed.
 */
class CudnnParityTest {
  private static final double TOLERANCE = 5e-6;

  private final FakeCudnn fake = new FakeCudnn();
  private final CudnnBackendProvider provider = new CudnnBackendProvider(() -> fake);

  @AfterEach
  void nothingIsLeft() {
    assertEquals(0, fake.alive());
  }

  private static void compare(String where, double[] expected, float[] actual) {
    assertEquals(expected.length, actual.length, where);
    for (int i = 0; i < actual.length; i++) {
      double error = Math.abs(actual[i] - expected[i]) / Math.max(1, Math.abs(expected[i]));
      String what = where + "[" + i + "]: expected " + expected[i] + ", got " + actual[i];
      assertTrue(error <= TOLERANCE, what); // Written so that NaN fails.
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Cell.class,
      names = {"LSTM", "GRU"})
  void sequencesAsTheReference(Cell cell) {
    int seed = 0;
    for (int layers = 1; layers <= 3; layers++) {
      for (int directions = 1; directions <= 2; directions++) {
        for (int hidden : new int[] {1, 3, 8}) {
          seed++;
          RnnSpec spec =
              RnnSpec.of(cell, 1 + seed % 5, hidden)
                  .withLayers(layers)
                  .withBidirectional(directions == 2);
          check(spec, 1 + seed % 7, 1 + seed % 4, seed);
        }
      }
    }
  }

  /** In both layouts, whole and ragged, from zeros and from a state: one session for all. */
  private void check(RnnSpec spec, int steps, int batch, int seed) {
    Weights weights = Networks.weights(spec, seed, 3);
    ReferenceNetwork reference = new ReferenceNetwork(spec, weights, Rounding.DOUBLE);
    try (Rnn rnn = Opened.network(spec, weights, provider);
        Session session = rnn.session(steps + 1, batch + 2)) {
      for (boolean batchMajor : new boolean[] {false, true}) {
        for (int[] lengths : new int[][] {null, Networks.lengths(steps, batch, seed)}) {
          for (boolean carried : new boolean[] {false, true}) {
            State state = carried ? state(spec, batch, seed) : null;
            check(reference, session, steps, batch, batchMajor, lengths, state);
          }
        }
      }
    }
  }

  private static State state(RnnSpec spec, int batch, int seed) {
    State state = State.zeros(spec, batch);
    int count = spec.slots() * batch * spec.hiddenSize();
    float[] c = state.hasCell() ? Networks.normal(count, seed + 4) : null;
    state.set(Networks.normal(count, seed + 3), c);
    return state;
  }

  private static void check(
      ReferenceNetwork reference,
      Session session,
      int steps,
      int batch,
      boolean batchMajor,
      int[] lengths,
      State initial) {
    RnnSpec spec = reference.spec();
    float[] x = Networks.normal(steps * batch * spec.inputSize(), 7);
    ReferenceNetwork.Inputs inputs =
        ReferenceNetwork.Inputs.of(steps, batch, GoldenCase.widen(x)).withLengths(lengths);
    State last = session.newState(batch);
    ForwardCall call = session.call().finalState(last).batchMajor(batchMajor);
    if (initial != null) {
      double[] c = initial.hasCell() ? GoldenCase.widen(initial.cell()) : null;
      inputs = inputs.withState(GoldenCase.widen(initial.hidden()), c);
      call.initialState(initial);
    }
    ReferenceNetwork.Outputs expected = reference.run(inputs);
    FloatBuffer y = Networks.floats(steps * batch * spec.outputSize());
    call.input(Networks.direct(turned(padded(x, lengths, steps, batch), steps, batch, batchMajor)));
    call.lengths(lengths == null ? null : Networks.direct(lengths)).output(y).run(steps, batch);
    String where = spec + (batchMajor ? ", batch-major" : "") + (lengths == null ? "" : ", ragged");
    // Turning there and back swaps the two sizes.
    float[] timeMajor = turned(Networks.array(y), batch, steps, batchMajor);
    compare(where + ": y", expected.y(), timeMajor);
    compare(where + ": hn", expected.hn(), last.hidden());
    if (last.hasCell()) {
      compare(where + ": cn", expected.cn(), last.cell());
    }
  }

  /** Time-major inputs with NaN past the sequences' ends. */
  private static float[] padded(float[] x, int[] lengths, int steps, int batch) {
    float[] out = x.clone();
    int width = x.length / (steps * batch);
    for (int i = 0; lengths != null && i < x.length; i++) {
      int row = i / width;
      if (row / batch >= lengths[row % batch]) {
        out[i] = Float.NaN;
      }
    }
    return out;
  }

  /** [first, second, width] as [second, first, width]. */
  private static float[] turned(float[] values, int first, int second, boolean turn) {
    if (!turn) {
      return values;
    }
    float[] out = new float[values.length];
    int width = values.length / (first * second);
    for (int a = 0; a < first; a++) {
      for (int b = 0; b < second; b++) {
        System.arraycopy(values, (a * second + b) * width, out, (b * first + a) * width, width);
      }
    }
    return out;
  }

  @Test
  void goldenVectors() {
    List<GoldenCase> cases =
        GoldenCase.all().stream()
            .filter(c -> c.spec().cell() == Cell.LSTM || c.spec().cell() == Cell.GRU)
            .toList();
    assertTrue(cases.size() >= 2);
    for (GoldenCase golden : cases) {
      try (Rnn rnn = Opened.network(golden.spec(), golden.weights(), provider);
          Session session = rnn.session(golden.steps(), golden.batch())) {
        State state = session.newState(golden.batch());
        float[] c0 = golden.c0() == null ? null : GoldenCase.narrow(golden.c0());
        state.set(GoldenCase.narrow(golden.h0()), c0);
        float[] x = GoldenCase.narrow(golden.x());
        float[] y = session.forward(golden.steps(), golden.batch(), x, golden.lengths(), state);
        compare(golden + ": y", golden.y(), y);
        compare(golden + ": hn", golden.hn(), state.hidden());
        if (state.hasCell()) {
          compare(golden + ": cn", golden.cn(), state.cell());
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Cell.class,
      names = {"LSTM", "GRU"})
  void missingBiasesAreZeros(Cell cell) {
    RnnSpec spec = RnnSpec.of(cell, 3, 4).withLayers(2).withOutputs(2);
    Weights all = Networks.weights(spec, 1);
    for (String kept : List.of("bias_ih", "bias_hh", "none")) {
      Weights.Builder some = Weights.builder();
      all.names().stream()
          .filter(name -> !name.contains("bias") || name.startsWith(kept))
          .forEach(name -> some.add(name, all.floats(name), all.shape(name)));
      float[] x = Networks.normal(2 * 5 * 3, 2);
      ReferenceNetwork.Outputs expected =
          new ReferenceNetwork(spec, some.build(), Rounding.DOUBLE)
              .run(ReferenceNetwork.Inputs.of(5, 2, GoldenCase.widen(x)).withHead(true, false));
      FloatBuffer logits = Networks.floats(5 * 2 * 2);
      try (Rnn rnn = Opened.network(spec, some.build(), provider);
          Session session = rnn.session(5, 2)) {
        compare(kept, expected.y(), session.forward(5, 2, x));
        session.call().input(Networks.direct(x)).logits(logits).run(5, 2);
        compare(kept, expected.logits(), Networks.array(logits));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Cell.class,
      names = {"LSTM", "GRU"})
  void tokensAndHeadAsTheReference(Cell cell) {
    RnnSpec spec = RnnSpec.of(cell, 3, 5).withBidirectional(true).withVocabulary(6).withOutputs(4);
    Weights weights = Networks.weights(spec, 1, 2);
    int[] lengths = {2, 7, 5};
    int[] tokens = Networks.integers(7 * 3, 0, 5, 2);
    int[] targets = Networks.integers(7 * 3, 0, 3, 3);
    tokens[20] = -1; // Past an end, where nothing is read.
    targets[20] = 99;
    ReferenceNetwork.Outputs expected =
        new ReferenceNetwork(spec, weights, Rounding.DOUBLE)
            .run(
                ReferenceNetwork.Inputs.of(7, 3, tokens)
                    .withLengths(lengths)
                    .withTargets(targets)
                    .withHead(true, true));
    FloatBuffer y = Networks.floats(7 * 3 * 10);
    FloatBuffer logits = Networks.floats(7 * 3 * 4);
    FloatBuffer logs = Networks.floats(7 * 3 * 4);
    FloatBuffer scores = Networks.floats(7 * 3);
    try (Rnn rnn = Opened.network(spec, weights, provider);
        Session session = rnn.session(7, 3)) {
      ForwardCall call = session.call().tokens(Networks.direct(tokens));
      call.lengths(Networks.direct(lengths)).targets(Networks.direct(targets)).output(y);
      call.logits(logits).logProbabilities(logs).targetLogProbabilities(scores).run(7, 3);
      compare("y", expected.y(), Networks.array(y));
      compare("logits", expected.logits(), Networks.array(logits));
      compare("log-softmax", expected.logProbabilities(), Networks.array(logs));
      compare("targets", expected.targetLogProbabilities(), Networks.array(scores));
      // Without y of its own.
      float[] scored = session.score(7, 3, tokens, targets, lengths, null);
      compare("score", expected.targetLogProbabilities(), scored);
    }
  }

  @Test
  void tokensAndHeadInBatchMajor() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 3, 5).withVocabulary(6).withOutputs(4);
    Weights weights = Networks.weights(spec, 1, 2);
    int[] tokens = {0, 1, 2, 3, 4, 5};
    int[] targets = {0, 1, 2, 3, 0, 1};
    FloatBuffer scores = Networks.floats(6);
    try (Rnn rnn = Opened.network(spec, weights, provider);
        Session session = rnn.session(3, 2)) {
      session
          .call()
          .batchMajor(true)
          .tokens(Networks.direct(0, 2, 4, 1, 3, 5))
          .targets(Networks.direct(0, 2, 0, 1, 3, 1))
          .targetLogProbabilities(scores)
          .run(3, 2);
      double[] expected = GoldenCase.widen(session.score(3, 2, tokens, targets, null, null));
      compare("scores", expected, turned(Networks.array(scores), 2, 3, true));
    }
  }

  @Test
  void chunksWithCarriedStateAreTheWhole() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 2, 3).withLayers(2);
    float[] x = Networks.normal(6 * 2 * 2, 1);
    try (Rnn rnn = Opened.network(spec, Networks.weights(spec, 1), provider);
        Session session = rnn.session(6, 2)) {
      float[] whole = session.forward(6, 2, x);
      State state = session.newState(2);
      FloatBuffer in = Networks.floats(4);
      FloatBuffer out = Networks.floats(6);
      for (int t = 0; t < 6; t++) {
        in.put(0, x, 4 * t, 4);
        session.step(in, state, out);
        for (int i = 0; i < 6; i++) {
          assertEquals(whole[6 * t + i], out.get(i), 1e-6f);
        }
      }
    }
  }
}
