// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.gatefuse.reference.ReferenceNetwork;
import io.github.gatefuse.reference.ReferenceNetwork.Inputs;
import io.github.gatefuse.reference.Rounding;
import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import io.github.gatefuse.testing.Training;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Dropout, zoneout and recurrent dropout as the API has them: the masks are those of the reference,
 * and depend on nothing but what they are said to. Gradients are GradientParityTest's.
 */
class RegularizationTest {
  private static final int STEPS = 7;
  private static final int BATCH = 6;
  private static final int HIDDEN = 21;
  private static final long DRAW = 1L << 40 | 3;

  private static final Regularization ALL =
      Regularization.NONE
          .withDropout(0.3)
          .withZoneout(0.2, 0)
          .withRecurrentDropout(0.25)
          .withSeed(-7);

  static Stream<Target> targets() {
    return Target.all().stream();
  }

  static Stream<Arguments> targetsAndCells() {
    return targets().flatMap(t -> Stream.of(Cell.values()).map(cell -> Arguments.of(t, cell)));
  }

  private static RnnSpec spec(Cell cell) {
    return RnnSpec.of(cell, 5, HIDDEN)
        .withLayers(2)
        .withBidirectional(true)
        .withChunk(cell.hasChunkedBlocks() ? 7 : 1);
  }

  private static Regularization all(Cell cell) {
    return cell.hasCellState() ? ALL.withZoneout(0.2, 0.4) : ALL;
  }

  private static SessionOptions options(Regularization regularization) {
    return SessionOptions.of(STEPS, BATCH).withRegularization(regularization);
  }

  private static float[] output(Session session, Training training, boolean drawn) {
    FloatBuffer y = Networks.floats(STEPS * BATCH * 2 * HIDDEN);
    training.forward(
        session,
        call -> {
          call.output(y);
          return drawn ? call.training(DRAW) : call.evaluation();
        });
    return Networks.array(y);
  }

  @ParameterizedTest(name = "{0} {1}")
  @MethodSource("targetsAndCells")
  void outputsAsTheReference(Target target, Cell cell) {
    target.assumeAvailable();
    RnnSpec spec = spec(cell);
    Weights weights = Networks.weights(spec, 1);
    Training training = Training.of(spec, STEPS, BATCH, true, 2);
    ReferenceNetwork reference = new ReferenceNetwork(spec, weights, Rounding.DOUBLE);
    try (Rnn rnn = target.create(spec, weights);
        Session session = rnn.session(options(all(cell)))) {
      for (boolean drawn : new boolean[] {true, false}) {
        Inputs inputs = training.inputs().withRegularization(all(cell), drawn, DRAW);
        double[] expected = reference.run(inputs).y();
        float[] actual = output(session, training, drawn);
        for (int i = 0; i < actual.length; i++) {
          assertEquals(expected[i], actual[i], 1e-5, "y[" + i + "]");
        }
      }
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void withoutRatesNothingChanges(Target target) {
    target.assumeAvailable();
    RnnSpec spec = spec(Cell.LSTM_REFINE);
    Training training = Training.of(spec, STEPS, BATCH, true, 2);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session plain = rnn.session(options(Regularization.NONE));
        Session none = rnn.session(options(Regularization.NONE.withSeed(9)));
        Session dropout = rnn.session(options(ALL.withZoneout(0, 0)))) {
      float[] expected = output(plain, training, false);
      assertArrayEquals(expected, output(plain, training, true));
      assertArrayEquals(expected, output(none, training, true));
      assertArrayEquals(expected, output(dropout, training, false));
      assertFalse(Arrays.equals(expected, output(dropout, training, true)));
    }
  }

  /** What takes no draw of its own is an evaluation. */
  @Test
  void methodsOnArraysDrawNothing() {
    RnnSpec spec = spec(Cell.LSTM).withBidirectional(false);
    Training training = Training.of(spec, STEPS, BATCH, false, 2);
    try (Rnn rnn = Rnn.create(spec, Networks.weights(spec, 1), Backend.REFERENCE);
        Session plain = rnn.session(STEPS, BATCH);
        Session dropout = rnn.session(options(ALL.withZoneout(0, 0)));
        Session zoneout = rnn.session(options(ALL))) {
      float[] expected = plain.forward(STEPS, BATCH, training.x());
      assertArrayEquals(expected, dropout.forward(STEPS, BATCH, training.x()));
      float[] means = zoneout.forward(STEPS, BATCH, training.x());
      assertFalse(Arrays.equals(expected, means));
      assertArrayEquals(means, zoneout.forward(STEPS, BATCH, training.x()));
    }
  }

  /** A row's masks stay its own when the lengths of others move it among them. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void masksBelongToTheCallersRow(Target target) {
    target.assumeAvailable();
    RnnSpec spec = spec(Cell.GRU_REFINE);
    Training whole = Training.of(spec, STEPS, BATCH, false, 2);
    int[] lengths = {2, 5, 1, STEPS, 3, 2};
    Training ragged =
        new Training(
            spec,
            STEPS,
            BATCH,
            lengths,
            whole.x(),
            null,
            whole.initial(),
            whole.dy(),
            whole.dFinal(),
            null);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session session = rnn.session(options(ALL))) {
      float[] expected = output(session, whole, true);
      float[] actual = output(session, ragged, true);
      for (int t = 0; t < STEPS; t++) {
        int from = (t * BATCH + 3) * 2 * HIDDEN;
        assertArrayEquals(
            Arrays.copyOfRange(expected, from, from + 2 * HIDDEN),
            Arrays.copyOfRange(actual, from, from + 2 * HIDDEN),
            "step " + t);
      }
    }
  }

  /**
   * The units of a step that recurrent dropout takes are as many as it says, within five sigmas.
   */
  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void ratesAreKept(Target target) {
    target.assumeAvailable();
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 1, 64);
    Weights weights = Networks.weights(spec, 1);
    try (Rnn rnn = target.create(spec, weights)) {
      for (double rate : new double[] {0.05, 0.5, 0.8}) {
        SessionOptions options =
            SessionOptions.of(1, 256)
                .withRegularization(Regularization.NONE.withRecurrentDropout(rate));
        try (Session session = rnn.session(options)) {
          FloatBuffer y = Networks.floats(256 * 64);
          session.call().input(Networks.floats(256)).output(y).training(1).run(1, 256);
          int zeros = 0;
          for (float value : Networks.array(y)) {
            zeros += value == 0 ? 1 : 0;
          }
          double sigma = Math.sqrt(rate * (1 - rate) / (256 * 64));
          assertEquals(rate, zeros / (256.0 * 64), 5 * sigma);
        }
      }
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void pathsTellTheRates(Target target) {
    target.assumeAvailable();
    RnnSpec spec = spec(Cell.LSTM);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session plain = rnn.session(STEPS, BATCH);
        Session session = rnn.session(options(ALL.withZoneout(0, 0.5)))) {
      assertEquals(Map.of(), rates(plain));
      assertEquals(
          Map.of("dropout", "0.3", "zoneout_c", "0.5", "recurrent_dropout", "0.25"),
          rates(session));
    }
  }

  @Test
  void refusesWhatIsNoRate() {
    assertRefused(
        "dropout: expected a rate from 0 to below 1, got 1.0",
        () -> Regularization.NONE.withDropout(1));
    assertRefused(
        "zoneoutHidden: expected a rate from 0 to below 1, got -0.1",
        () -> Regularization.NONE.withZoneout(-0.1, 0));
    assertRefused(
        "zoneoutCell: expected a rate from 0 to below 1, got Infinity",
        () -> Regularization.NONE.withZoneout(0, Double.POSITIVE_INFINITY));
    assertRefused(
        "recurrentDropout: expected a rate from 0 to below 1, got NaN",
        () -> Regularization.NONE.withRecurrentDropout(Double.NaN));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void refusesZoneoutOfACellStateThatIsNotThere(Target target) {
    target.assumeAvailable();
    RnnSpec spec = spec(Cell.GRU);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1))) {
      assertRefused(
          "zoneoutCell: expected 0, since a gru has no cell state, got 0.5",
          () -> rnn.session(options(ALL.withZoneout(0, 0.5))));
    }
  }

  /** They leave the choice of CUDA's tier as it is. */
  @Test
  void cudaHasThemInItsFastTiers() {
    Target target =
        Target.all().stream().filter(t -> t.backend() == Backend.CUDA).findFirst().orElseThrow();
    target.assumeAvailable();
    RnnSpec spec = spec(Cell.LSTM);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session chosen = rnn.session(options(ALL));
        Session forced = rnn.session(options(ALL).withTier(Tier.CLUSTER))) {
      assertEquals("slice", chosen.path().details().get("tier"));
      assertEquals("cluster", forced.path().details().get("tier"));
    }
  }

  /** A backend that does not say that it has them has none. */
  @Test
  void otherBackendsHaveNone() {
    RnnSpec spec = spec(Cell.LSTM);
    try (Rnn rnn = StandInBackend.network(spec)) {
      assertRefused(
          "regularization: expected none on the cpu backend, got {dropout=0.5}",
          () -> rnn.session(options(Regularization.NONE.withDropout(0.5))));
      try (Session session = rnn.session(options(Regularization.NONE))) {
        session.call().training(1).evaluation();
      }
    }
  }

  private static Map<String, String> rates(Session session) {
    Map<String, String> rates = new HashMap<>(session.path().details());
    rates.keySet().retainAll(ALL.withZoneout(0.5, 0.5).rates().keySet());
    return rates;
  }

  private static void assertRefused(String message, Executable action) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, action).getMessage());
  }
}
