// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.Weights;
import io.github.gatefuse.reference.ReferenceNetwork.Inputs;
import io.github.gatefuse.reference.ReferenceNetwork.Outputs;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What holds for every cell around its mathematics: sequences, states, embedding, head, messages.
 */
class ReferenceNetworkTest {
  private static final int T = 6;
  private static final int B = 3;
  private static final int[] LENGTHS = {4, 6, 1};

  private static double[] random(long seed, int count) {
    return new Random(seed).doubles(count, -1, 1).toArray();
  }

  private static RnnSpec spec(Cell cell) {
    return RnnSpec.of(cell, 5, 6).withChunk(cell.hasChunkedBlocks() ? 3 : 1);
  }

  private static ReferenceNetwork network(RnnSpec spec, Rounding rounding) {
    Weights weights = WeightInit.uniform().weights(spec, 3);
    return new ReferenceNetwork(spec, weights, rounding);
  }

  private static double[] state(RnnSpec spec, long seed) {
    return random(seed, spec.slots() * B * spec.hiddenSize());
  }

  private static double[] cell(RnnSpec spec, long seed) {
    return spec.cell().hasCellState() ? state(spec, seed) : null;
  }

  /** Takes one sequence of a batch out of [rows, B, width]. */
  private static double[] one(double[] all, int b, int rows, int width) {
    double[] out = new double[rows * width];
    for (int row = 0; row < rows; row++) {
      System.arraycopy(all, (row * B + b) * width, out, row * width, width);
    }
    return out;
  }

  @ParameterizedTest
  @EnumSource(Cell.class)
  void raggedIsEachSequenceAlone(Cell cell) {
    RnnSpec spec = spec(cell).withLayers(2).withBidirectional(true);
    ReferenceNetwork network = network(spec, Rounding.FLOAT);
    double[] x = random(1, T * B * 5);
    double[] h0 = state(spec, 2);
    double[] c0 = cell(spec, 3);
    Outputs all = network.run(Inputs.of(T, B, x).withLengths(LENGTHS).withState(h0, c0));
    for (int b = 0; b < B; b++) {
      int length = LENGTHS[b];
      Outputs alone =
          network.run(
              Inputs.of(length, 1, one(x, b, length, 5))
                  .withState(
                      one(h0, b, spec.slots(), 6),
                      c0 == null ? null : one(c0, b, spec.slots(), 6)));
      assertArrayEquals(alone.y(), one(all.y(), b, length, 12), "y of " + b);
      assertArrayEquals(alone.hn(), one(all.hn(), b, spec.slots(), 6), "hn of " + b);
      if (c0 != null) {
        assertArrayEquals(alone.cn(), one(all.cn(), b, spec.slots(), 6), "cn of " + b);
      }
      double[] padded = one(all.y(), b, T, 12);
      double[] past = Arrays.copyOfRange(padded, length * 12, padded.length);
      assertArrayEquals(new double[past.length], past, "past the end of " + b);
    }
  }

  @ParameterizedTest
  @EnumSource(Cell.class)
  void carriedStateContinuesASequence(Cell cell) {
    RnnSpec spec = spec(cell).withLayers(2);
    ReferenceNetwork network = network(spec, Rounding.FLOAT);
    double[] x = random(4, T * B * 5);
    int cut = 2 * B * 5;
    Outputs whole = network.run(Inputs.of(T, B, x));
    Outputs first = network.run(Inputs.of(2, B, Arrays.copyOf(x, cut)));
    Outputs second =
        network.run(
            Inputs.of(T - 2, B, Arrays.copyOfRange(x, cut, x.length))
                .withState(first.hn(), first.cn()));
    assertArrayEquals(whole.hn(), second.hn());
    assertArrayEquals(whole.cn(), second.cn());
    assertArrayEquals(Arrays.copyOfRange(whole.y(), 2 * B * 6, whole.y().length), second.y());
  }

  @ParameterizedTest
  @EnumSource(Cell.class)
  void floatGivesFloats(Cell cell) {
    RnnSpec spec = spec(cell);
    Outputs out = network(spec, Rounding.FLOAT).run(Inputs.of(T, B, random(5, T * B * 5)));
    Arrays.stream(out.y()).forEach(y -> assertEquals((float) y, y));
    double[] exact = network(spec, Rounding.DOUBLE).run(Inputs.of(T, B, random(5, T * B * 5))).y();
    assertArrayEquals(exact, out.y(), 1e-6);
    assertTrue(!Arrays.equals(exact, out.y()), "float64 and float32 gave the same");
  }

  /** The vectors that lie one behind the other in an array. */
  private static double[] rounded(Format format, double[] values, int columns) {
    double[] out = new double[values.length];
    double[] vector = new double[columns];
    for (int start = 0; start < values.length; start += columns) {
      format.round(values, start, vector);
      System.arraycopy(vector, 0, out, start, columns);
    }
    return out;
  }

  /** Weights whose matrices are already of a format. */
  private static Weights rounded(Format format, RnnSpec spec, Weights weights) {
    Weights.Builder out = Weights.builder();
    for (RnnSpec.Parameter p : spec.parameters()) {
      double[] values = weights.doubles(p.name());
      int columns = p.shape()[p.shape().length - 1];
      out.add(p.name(), p.bias() ? values : rounded(format, values, columns), p.shape());
    }
    return out.build();
  }

  private static Format format(Precision precision) {
    return Rounding.of(precision).operands();
  }

  /**
   * Only a product reads h in an LSTM, so that rounding the operands is the same as rounding h
   * between steps by hand; what is given out is never rounded.
   */
  @ParameterizedTest
  @EnumSource(Precision.class)
  void operandsAreRoundedAndNothingElse(Precision precision) {
    if (precision == Precision.FLOAT32) {
      return; // Its weights are float32 already.
    }
    Format format = format(precision);
    RnnSpec spec = spec(Cell.LSTM).withOutputs(4);
    Weights weights = WeightInit.uniform().weights(spec, 3);
    ReferenceNetwork ours = new ReferenceNetwork(spec, weights, Rounding.ideal(precision));
    ReferenceNetwork plain =
        new ReferenceNetwork(spec, rounded(format, spec, weights), Rounding.DOUBLE);
    double[] x = random(1, T * B * 5);
    Outputs whole = ours.run(Inputs.of(T, B, x).withHead(true, false));
    double[] h = new double[B * 6];
    double[] c = new double[B * 6];
    for (int t = 0; t < T; t++) {
      double[] now = rounded(format, Arrays.copyOfRange(x, t * B * 5, (t + 1) * B * 5), 5);
      Outputs step = plain.run(Inputs.of(1, B, now).withState(rounded(format, h, 6), c));
      h = step.hn();
      c = step.cn();
      assertArrayEquals(Arrays.copyOfRange(whole.y(), t * B * 6, (t + 1) * B * 6), h);
      assertTrue(!Arrays.equals(h, rounded(format, h, 6)), "what is given out is not rounded");
      double[] head = product(weights, format, rounded(format, h, 6), spec);
      assertArrayEquals(
          Arrays.copyOfRange(whole.logits(), t * B * 4, (t + 1) * B * 4), head, 1e-15);
    }
    assertArrayEquals(whole.cn(), c);
  }

  private static double[] product(Weights weights, Format format, double[] h, RnnSpec spec) {
    double[] matrix = rounded(format, weights.doubles(RnnSpec.HEAD_WEIGHT), 6);
    double[] out = new double[B * spec.outputs()];
    for (int i = 0; i < out.length; i++) {
      out[i] = weights.doubles(RnnSpec.HEAD_BIAS)[i % 4];
      for (int k = 0; k < 6; k++) {
        out[i] += matrix[(i % 4) * 6 + k] * h[i / 4 * 6 + k];
      }
    }
    return out;
  }

  /** A GRU whose update gate is shut carries its state without any loss. */
  @ParameterizedTest
  @EnumSource(Precision.class)
  void aGruCarriesItsStateUnrounded(Precision precision) {
    RnnSpec spec = spec(Cell.GRU);
    Weights fresh = WeightInit.uniform().weights(spec, 3);
    Weights.Builder shut = Weights.builder();
    for (RnnSpec.Parameter p : spec.parameters()) {
      double[] values = fresh.doubles(p.name());
      if (p.bias()) {
        Arrays.fill(values, 6, 12, 1000);
      }
      shut.add(p.name(), values, p.shape());
    }
    double[] h0 = random(2, B * 6);
    Outputs out =
        new ReferenceNetwork(spec, shut.build(), Rounding.ideal(precision))
            .run(Inputs.of(T, B, random(1, T * B * 5)).withState(h0, null));
    assertArrayEquals(h0, out.hn());
  }

  /** The second product reads the reset state, rounded after the multiplication. */
  @Test
  void aResetStateIsRoundedAsAWhole() {
    RnnSpec spec = RnnSpec.of(Cell.GRU_RESET_BEFORE, 1, 1);
    Weights weights =
        Weights.builder()
            .add("weight_ih_l0", new double[] {0, 0, 0}, 3, 1)
            .add("weight_hh_l0", new double[] {0, 0, 1}, 3, 1)
            .add("bias_ih_l0", new double[] {0.3, -1000, 0}, 3)
            .build();
    double h0 = 0.7001;
    double gated = Format.BFLOAT16.round(Gates.sigmoid(0.3) * h0);
    Outputs out =
        new ReferenceNetwork(spec, weights, Rounding.ideal(Precision.BFLOAT16))
            .run(Inputs.of(1, 1, new double[1]).withState(new double[] {h0}, null));
    assertEquals(Math.tanh(gated), out.y()[0], 1e-15);
  }

  @ParameterizedTest
  @EnumSource(Precision.class)
  void valuesOfEveryPrecisionAreFloats(Precision precision) {
    RnnSpec spec = spec(Cell.GRU_REFINE).withLayers(2).withBidirectional(true);
    Outputs out = network(spec, Rounding.of(precision)).run(Inputs.of(T, B, random(5, T * B * 5)));
    Arrays.stream(out.y()).forEach(y -> assertEquals((float) y, y));
    assertTrue(
        precision == Precision.FLOAT32
            || !Arrays.equals(out.y(), rounded(format(precision), out.y(), out.y().length)));
  }

  @Test
  void inputsAreLeftAlone() {
    RnnSpec spec = spec(Cell.LSTM);
    double[] x = random(1, T * B * 5);
    double[] h0 = state(spec, 2);
    double[] c0 = state(spec, 3);
    network(spec, Rounding.FLOAT).run(Inputs.of(T, B, x).withState(h0, c0));
    assertArrayEquals(random(1, T * B * 5), x);
    assertArrayEquals(state(spec, 2), h0);
    assertArrayEquals(state(spec, 3), c0);
  }

  @Test
  void missingBiasesAreZeros() {
    RnnSpec spec = spec(Cell.GRU);
    Weights full = WeightInit.standard(0).weights(spec, 1);
    Weights.Builder some = Weights.builder();
    for (String name : full.names()) {
      if (name.startsWith("weight")) {
        some.add(name, full.doubles(name), full.shape(name));
      }
    }
    Inputs in = Inputs.of(T, B, random(5, T * B * 5));
    assertArrayEquals(
        new ReferenceNetwork(spec, full, Rounding.DOUBLE).run(in).y(),
        new ReferenceNetwork(spec, some.build(), Rounding.DOUBLE).run(in).y());
  }

  @Test
  void tokensAreRowsOfTheEmbedding() {
    RnnSpec spec = spec(Cell.LSTM_REFINE).withVocabulary(7);
    Weights weights = WeightInit.uniform().weights(spec, 1);
    double[] rows = weights.doubles(RnnSpec.EMBEDDING);
    // Past the end of a sequence a token may be anything.
    int[] tokens = new Random(2).ints(T * B, 0, 7).toArray();
    double[] x = new double[T * B * 5];
    for (int at = 0; at < tokens.length; at++) {
      System.arraycopy(rows, tokens[at] * 5, x, at * 5, 5);
      tokens[at] = at / B < LENGTHS[at % B] ? tokens[at] : -99;
    }
    Weights.Builder plain = Weights.builder();
    for (RnnSpec.Parameter p : spec.withVocabulary(0).parameters()) {
      plain.add(p.name(), weights.doubles(p.name()), p.shape());
    }
    ReferenceNetwork ours = new ReferenceNetwork(spec, weights, Rounding.DOUBLE);
    ReferenceNetwork other =
        new ReferenceNetwork(spec.withVocabulary(0), plain.build(), Rounding.DOUBLE);
    assertArrayEquals(
        other.run(Inputs.of(T, B, x).withLengths(LENGTHS)).y(),
        ours.run(Inputs.of(T, B, tokens).withLengths(LENGTHS)).y());
  }

  @Test
  void headGivesLogitsAndLogProbabilities() {
    RnnSpec spec = spec(Cell.GRU_REFINE).withBidirectional(true).withOutputs(4);
    Weights.Builder builder = Weights.builder();
    Weights fresh = WeightInit.uniform().weights(spec, 1);
    double[] bias = {0.5, -1, 800, 2};
    for (RnnSpec.Parameter p : spec.parameters()) {
      boolean head = p.name().equals(RnnSpec.HEAD_BIAS);
      builder.add(p.name(), head ? bias : fresh.doubles(p.name()), p.shape());
    }
    Weights weights = builder.build();
    double[] matrix = weights.doubles(RnnSpec.HEAD_WEIGHT);
    int[] targets = new Random(3).ints(T * B, 0, 4).toArray();
    for (int at = 0; at < targets.length; at++) {
      targets[at] = at / B < LENGTHS[at % B] ? targets[at] : 1234;
    }
    Outputs out =
        new ReferenceNetwork(spec, weights, Rounding.DOUBLE)
            .run(
                Inputs.of(T, B, random(5, T * B * 5))
                    .withLengths(LENGTHS)
                    .withTargets(targets)
                    .withHead(true, true));
    for (int at = 0; at < T * B; at++) {
      boolean valid = at / B < LENGTHS[at % B];
      double[] logits = new double[4];
      for (int o = 0; o < 4; o++) {
        logits[o] = bias[o];
        for (int k = 0; k < 12; k++) {
          logits[o] += matrix[o * 12 + k] * out.y()[at * 12 + k];
        }
      }
      // Without the largest logit the sum of exponentials would overflow.
      double sum = Arrays.stream(logits).map(l -> Math.exp(l - logits[2])).sum();
      for (int o = 0; o < 4; o++) {
        double log = logits[o] - logits[2] - Math.log(sum);
        assertEquals(valid ? logits[o] : 0, out.logits()[at * 4 + o], 1e-12);
        assertEquals(valid ? log : 0, out.logProbabilities()[at * 4 + o], 1e-12);
        if (o == targets[at]) {
          assertEquals(log, out.targetLogProbabilities()[at], 1e-12);
        }
      }
      assertTrue(valid || out.targetLogProbabilities()[at] == 0);
    }
  }

  @Test
  void givesOnlyWhatWasAskedFor() {
    RnnSpec spec = spec(Cell.GRU).withOutputs(4);
    Outputs out = network(spec, Rounding.DOUBLE).run(Inputs.of(T, B, random(5, T * B * 5)));
    assertNull(out.cn());
    assertNull(out.logits());
    assertNull(out.logProbabilities());
    assertNull(out.targetLogProbabilities());
  }

  @Test
  void countsItsBytes() {
    RnnSpec spec = spec(Cell.LSTM).withVocabulary(7).withOutputs(4);
    long values = spec.parameters().stream().mapToLong(RnnSpec.Parameter::count).sum();
    assertEquals(8 * values, network(spec, Rounding.FLOAT).bytes());
  }

  private static void refuses(RnnSpec spec, Inputs in, String message) {
    ReferenceNetwork network = network(spec, Rounding.DOUBLE);
    Exception e = assertThrows(IllegalArgumentException.class, () -> network.run(in));
    assertEquals(message, e.getMessage());
  }

  @Test
  void refusesWrongInputsInWords() {
    RnnSpec plain = spec(Cell.GRU);
    RnnSpec tokens = plain.withVocabulary(7).withOutputs(4);
    double[] x = new double[T * B * 5];
    int[] ids = new int[T * B];
    refuses(plain, Inputs.of(0, B, x), "steps: expected at least 1, got 0");
    refuses(plain, Inputs.of(T, -1, x), "batch: expected at least 1, got -1");
    refuses(
        plain,
        Inputs.of(T, B, new double[7]),
        "input: expected [T=6, B=3, I=5] = 90 values, got 7");
    refuses(
        plain, Inputs.of(T, B, ids), "input: expected an array, as the network has no embedding");
    refuses(tokens, Inputs.of(T, B, x), "input: expected null, as the network takes tokens");
    refuses(
        plain,
        Inputs.of(T, B, x).withLengths(new int[] {1, 7, 2}),
        "lengths[1]: expected 1 to T=6, got 7");
    refuses(
        plain,
        Inputs.of(T, B, x).withLengths(new int[] {1, 2, 0}),
        "lengths[2]: expected 1 to T=6, got 0");
    refuses(
        plain,
        Inputs.of(T, B, x).withState(null, new double[18]),
        "initial cell state: expected none for cell gru, got one");
    refuses(
        plain,
        Inputs.of(T, B, x).withState(new double[1], null),
        "initial hidden state: expected [L*D=1, B=3, H=6] = 18 values, got 1");
    refuses(
        plain,
        Inputs.of(T, B, x).withHead(true, false),
        "targets, logits and log-probabilities: expected a network with a head, got outputs=0");
    ids[B] = 7;
    refuses(tokens, Inputs.of(T, B, ids), "tokens[1, 0]: expected 0 to 6, got 7");
    ids[B] = 0;
    int[] targets = new int[T * B];
    targets[2] = -1;
    refuses(
        tokens,
        Inputs.of(T, B, ids).withTargets(targets),
        "targets[0, 2]: expected 0 to 3, got -1");
    refuses(
        plain,
        Inputs.of(1 << 20, 1 << 20, x),
        "input: expected at most 2^31-1 values, got shape [1048576, 1048576, 5]");
  }
}
