// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.WeightInit.RefineBias;
import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class WeightInitTest {
  private static final int H = 2000;

  private static float[] block(RnnSpec spec, Weights weights, String name) {
    float[] bias = weights.floats("bias_ih_l0");
    int start = 0;
    for (Cell.Block block : spec.cell().blocks()) {
      int rows = block.rows(spec.hiddenSize(), spec.chunk());
      if (block.name().equals(name)) {
        return Arrays.copyOfRange(bias, start, start + rows);
      }
      start += rows;
    }
    throw new AssertionError(spec.cell() + " has no " + name);
  }

  private static float[] negative(float[] values) {
    float[] out = new float[values.length];
    for (int i = 0; i < out.length; i++) {
      out[i] = -values[i];
    }
    return out;
  }

  private static double sigmoid(double a) {
    return 1 / (1 + Math.exp(-a));
  }

  /** Kolmogorov-Smirnov: the largest distance to a distribution function, at a level of 0.001. */
  private static void assertDistributed(double[] values, DoubleUnaryOperator distribution) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    double distance = 0;
    for (int i = 0; i < sorted.length; i++) {
      double expected = distribution.applyAsDouble(sorted[i]);
      double below = Math.abs(expected - (double) i / sorted.length);
      double above = Math.abs(expected - (i + 1.0) / sorted.length);
      distance = Math.max(distance, Math.max(below, above));
    }
    assertTrue(distance < 1.95 / Math.sqrt(sorted.length), "distance " + distance);
  }

  private static DoubleUnaryOperator uniform(double from, double to) {
    return v -> Math.min(1, Math.max(0, (v - from) / (to - from)));
  }

  private static double[] widen(float[] values) {
    double[] out = new double[values.length];
    Arrays.setAll(out, i -> values[i]);
    return out;
  }

  @Test
  void uniformForgetGatesAreUniform() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 1, H);
    float[] forget = block(spec, WeightInit.uniform().weights(spec, 1), "forget");
    double[] gates = Arrays.stream(widen(forget)).map(WeightInitTest::sigmoid).toArray();
    assertDistributed(gates, uniform(1.0 / H, 1 - 1.0 / H));
    double most = Arrays.stream(gates).max().getAsDouble();
    double least = Arrays.stream(gates).min().getAsDouble();
    assertTrue(least >= 0.999 / H && most <= 1 - 0.999 / H, least + " to " + most);
  }

  @Test
  void refineBiasMirrorsTheForgetBiasExactly() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 1, 50);
    Weights weights = WeightInit.uniform().weights(spec, 1);
    assertArrayEquals(negative(block(spec, weights, "forget")), block(spec, weights, "refine"));
  }

  @Test
  void refineBiasIsAnOption() {
    RnnSpec lstm = RnnSpec.of(Cell.LSTM_REFINE, 1, 50);
    Weights zero = WeightInit.uniform().withRefineBias(RefineBias.ZERO).weights(lstm, 1);
    assertArrayEquals(new float[50], block(lstm, zero, "refine"));

    for (Cell cell : new Cell[] {Cell.GRU_REFINE, Cell.GRU_REFINE_RESET_BEFORE}) {
      RnnSpec gru = RnnSpec.of(cell, 1, 50);
      Weights byFamily = WeightInit.uniform().weights(gru, 1);
      assertArrayEquals(new float[50], block(gru, byFamily, "refine"));
      Weights minus = WeightInit.uniform().withRefineBias(RefineBias.MINUS_FORGET).weights(gru, 1);
      assertArrayEquals(negative(block(gru, minus, "update")), block(gru, minus, "refine"));
      assertArrayEquals(new float[50], block(gru, minus, "reset"));
    }
  }

  @Test
  void uniformNeedsThreeUnits() {
    for (int hidden : new int[] {1, 2}) {
      RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 1, hidden);
      for (float b : WeightInit.uniform().weights(spec, 1).floats("bias_ih_l0")) {
        assertEquals(0, b, 0);
      }
    }
    RnnSpec three = RnnSpec.of(Cell.LSTM_REFINE, 1, 3);
    float[] forget = block(three, WeightInit.uniform().weights(three, 1), "forget");
    for (float b : forget) {
      assertTrue(b != 0 && sigmoid(b) >= 0.3333 && sigmoid(b) <= 0.6667, "bias " + b);
    }
  }

  @Test
  void chronoTimeScalesAreUniform() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 1, H);
    Weights weights = WeightInit.chrono(100).weights(spec, 1);
    float[] forget = block(spec, weights, "forget");
    double[] times = Arrays.stream(widen(forget)).map(Math::exp).toArray();
    assertDistributed(times, uniform(1, 99));
    for (double time : times) {
      assertTrue(time >= 1 - 1e-6 && time <= 99 * (1 + 1e-6), "time " + time);
    }
    assertArrayEquals(negative(forget), block(spec, weights, "input"));
    assertArrayEquals(new float[H], block(spec, weights, "candidate"));
    assertArrayEquals(new float[H], block(spec, weights, "output"));
  }

  @Test
  void chronoHasNoPartnerWithoutAnInputGate() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 1, 50);
    Weights weights = WeightInit.chrono(100).weights(spec, 1);
    assertArrayEquals(new float[50], block(spec, weights, "refine"));
    assertEquals(Math.log(98.0), max(block(spec, weights, "forget")), 0.5);
  }

  private static double max(float[] values) {
    return Arrays.stream(widen(values)).max().getAsDouble();
  }

  @Test
  void standardIsOneConstant() {
    RnnSpec lstm = RnnSpec.of(Cell.LSTM_TIED, 1, 4);
    float[] expected = {1.5f, 1.5f, 1.5f, 1.5f, 0, 0, 0, 0, 0, 0, 0, 0};
    Weights weights = WeightInit.standard(1.5).weights(lstm, 1);
    assertArrayEquals(expected, weights.floats("bias_ih_l0"));
    assertArrayEquals(new float[12], weights.floats("bias_hh_l0"));
  }

  @Test
  void cumulativeSoftmaxKeepsZeroBiases() {
    for (Cell cell : new Cell[] {Cell.LSTM_CUMAX, Cell.LSTM_CUMAX_REFINE}) {
      RnnSpec spec = RnnSpec.of(cell, 3, 12).withChunk(3);
      for (WeightInit init :
          new WeightInit[] {WeightInit.standard(1), WeightInit.chrono(9), WeightInit.uniform()}) {
        float[] bias = init.weights(spec, 1).floats("bias_ih_l0");
        assertArrayEquals(new float[spec.rows()], bias);
      }
    }
    RnnSpec spec = RnnSpec.of(Cell.ONLSTM, 3, 12).withChunk(3);
    Weights weights = WeightInit.uniform().weights(spec, 1);
    assertArrayEquals(new float[4], block(spec, weights, "master_forget"));
    assertArrayEquals(new float[4], block(spec, weights, "master_input"));
    assertTrue(max(block(spec, weights, "forget")) > 0.5);
  }

  @ParameterizedTest
  @EnumSource(Cell.class)
  void fitsEveryNetwork(Cell cell) {
    RnnSpec spec =
        RnnSpec.of(cell, 3, 4)
            .withLayers(2)
            .withBidirectional(true)
            .withChunk(cell.hasChunkedBlocks() ? 2 : 1)
            .withVocabulary(5)
            .withOutputs(6);
    Weights weights = WeightInit.uniform().withOrthogonalRecurrent(true).weights(spec, 1);
    weights.check(spec);
    assertEquals(spec.parameters().size(), weights.names().size());
  }

  @Test
  void matricesAreUniform() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 40, 25).withVocabulary(100).withOutputs(80);
    Weights weights = WeightInit.standard(0).weights(spec, 5);
    for (String name : new String[] {"weight_ih_l0", "weight_hh_l0", RnnSpec.HEAD_WEIGHT}) {
      assertDistributed(weights.doubles(name), uniform(-0.2, 0.2));
    }
    double[] embedding = weights.doubles(RnnSpec.EMBEDDING);
    double mean = Arrays.stream(embedding).average().getAsDouble();
    double square = Arrays.stream(embedding).map(v -> v * v).average().getAsDouble();
    assertEquals(0, mean, 4 / Math.sqrt(embedding.length));
    assertEquals(1, square, 4 * Math.sqrt(2.0 / embedding.length));
    assertDistributed(embedding, WeightInitTest::normal);
  }

  /** The standard normal distribution function, by its series. */
  private static double normal(double x) {
    double term = x;
    double sum = x;
    for (int n = 1; n < 200; n++) {
      term *= x * x / (2 * n + 1);
      sum += term;
    }
    return 0.5 + sum * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
  }

  @Test
  void recurrentBlocksAreOrthogonal() {
    RnnSpec spec = RnnSpec.of(Cell.ONLSTM, 3, 24).withChunk(4);
    Weights weights = WeightInit.uniform().withOrthogonalRecurrent(true).weights(spec, 5);
    double[] matrix = weights.doubles("weight_hh_l0");
    int start = 0;
    for (Cell.Block block : spec.cell().blocks()) {
      int rows = block.rows(24, 4);
      for (int i = start; i < start + rows; i++) {
        for (int j = start; j < start + rows; j++) {
          double dot = 0;
          for (int k = 0; k < 24; k++) {
            dot += matrix[i * 24 + k] * matrix[j * 24 + k];
          }
          assertEquals(i == j ? 1 : 0, dot, 1e-6);
        }
      }
      start += rows;
    }
  }

  /** The numbers that this seed has given since the first version, here and on any machine. */
  @Test
  void aSeedGivesTheSameForEver() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 2, 4);
    float[] bias = block(spec, WeightInit.uniform().weights(spec, 42), "forget");
    float[] again = block(spec, WeightInit.uniform().weights(spec, 42), "forget");
    float[] other = block(spec, WeightInit.uniform().weights(spec, 43), "forget");
    assertArrayEquals(bias, again);
    assertFalse(Arrays.equals(bias, other));
    float[] expected = {0.34760278f, -0.5917174f, 0.43584123f, -0.5611862f};
    assertArrayEquals(expected, bias);
  }

  @Test
  void refusesSenselessArguments() {
    assertThrows(IllegalArgumentException.class, () -> WeightInit.chrono(1.9));
    assertThrows(IllegalArgumentException.class, () -> WeightInit.chrono(Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> WeightInit.standard(Double.NaN));
  }
}
