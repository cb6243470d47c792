// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.reference.ReferenceNetwork;
import io.github.gatefuse.reference.ReferenceNetwork.Inputs;
import io.github.gatefuse.reference.Rounding;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Holds converted weights in the reference to evaluators that read the frameworks' own arrays by
 * the formulas in the frameworks' own documents.
 */
class GateOrderTest {
  private static final int T = 4;
  private static final int I = 3;
  private static final int H = 5;

  private static float[] random(long seed, int count) {
    Random random = new Random(seed);
    float[] out = new float[count];
    for (int i = 0; i < count; i++) {
      out[i] = (float) random.nextGaussian() * 0.5f;
    }
    return out;
  }

  private static double[] input() {
    return new Random(9).doubles(T * I, -1, 1).toArray();
  }

  private static double sigmoid(double a) {
    return 1 / (1 + Math.exp(-a));
  }

  private static double[] run(RnnSpec spec, Weights weights) {
    ReferenceNetwork network = new ReferenceNetwork(spec, weights, Rounding.DOUBLE);
    return network.run(Inputs.of(T, 1, input())).y();
  }

  /** Element [row] of X W^T of an ONNX matrix [D, rows, n]. */
  private static double onnxProduct(float[] w, int d, int rows, int row, double[] x) {
    double sum = 0;
    for (int k = 0; k < x.length; k++) {
      sum += w[(d * rows + row) * x.length + k] * x[k];
    }
    return sum;
  }

  private static double[] at(double[] x, int t) {
    return IntStream.range(0, I).mapToDouble(i -> x[t * I + i]).toArray();
  }

  /** Equations of the ONNX operator LSTM, by its letters: rows iofc, B = [Wb, Rb]. */
  private static double[] onnxLstm(float[] w, float[] r, float[] b, int directions) {
    double[] y = new double[T * directions * H];
    for (int d = 0; d < directions; d++) {
      double[] h = new double[H];
      double[] c = new double[H];
      for (int n = 0; n < T; n++) {
        int t = d == 0 ? n : T - 1 - n;
        double[] a = new double[4 * H];
        for (int row = 0; row < 4 * H; row++) {
          a[row] =
              onnxProduct(w, d, 4 * H, row, at(input(), t))
                  + onnxProduct(r, d, 4 * H, row, h)
                  + b[d * 8 * H + row]
                  + b[d * 8 * H + 4 * H + row];
        }
        for (int j = 0; j < H; j++) {
          double it = sigmoid(a[j]);
          double ot = sigmoid(a[H + j]);
          double ft = sigmoid(a[2 * H + j]);
          double ct = Math.tanh(a[3 * H + j]);
          c[j] = ft * c[j] + it * ct;
          h[j] = ot * Math.tanh(c[j]);
          y[(t * directions + d) * H + j] = h[j];
        }
      }
    }
    return y;
  }

  /** Equations of the ONNX operator GRU, by its letters: rows zrh, B = [Wb, Rb]. */
  private static double[] onnxGru(float[] w, float[] r, float[] b, boolean linearBeforeReset) {
    double[] y = new double[T * H];
    double[] h = new double[H];
    for (int t = 0; t < T; t++) {
      double[] x = at(input(), t);
      double[] zt = new double[H];
      double[] rt = new double[H];
      double[] reset = new double[H];
      for (int j = 0; j < H; j++) {
        zt[j] =
            sigmoid(
                onnxProduct(w, 0, 3 * H, j, x)
                    + onnxProduct(r, 0, 3 * H, j, h)
                    + b[j]
                    + b[3 * H + j]);
        rt[j] =
            sigmoid(
                onnxProduct(w, 0, 3 * H, H + j, x)
                    + onnxProduct(r, 0, 3 * H, H + j, h)
                    + b[H + j]
                    + b[4 * H + j]);
        reset[j] = rt[j] * h[j];
      }
      double[] next = new double[H];
      for (int j = 0; j < H; j++) {
        int row = 2 * H + j;
        double wx = onnxProduct(w, 0, 3 * H, row, x) + b[row];
        double rh =
            linearBeforeReset
                ? rt[j] * (onnxProduct(r, 0, 3 * H, row, h) + b[3 * H + row])
                : onnxProduct(r, 0, 3 * H, row, reset) + b[3 * H + row];
        next[j] = (1 - zt[j]) * Math.tanh(wx + rh) + zt[j] * h[j];
        y[t * H + j] = next[j];
      }
      h = next;
    }
    return y;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2})
  void onnxLstm(int directions) {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, I, H).withBidirectional(directions == 2);
    float[] w = random(1, directions * 4 * H * I);
    float[] r = random(2, directions * 4 * H * H);
    float[] b = random(3, directions * 8 * H);
    Weights.Builder target = Weights.builder();
    GateOrder.onnx(target, spec, 0, w, r, b);
    assertArrayEquals(onnxLstm(w, r, b, directions), run(spec, target.build()), 1e-12);
  }

  @ParameterizedTest
  @EnumSource(names = {"GRU", "GRU_RESET_BEFORE"})
  void onnxGru(Cell cell) {
    RnnSpec spec = RnnSpec.of(cell, I, H);
    float[] w = random(1, 3 * H * I);
    float[] r = random(2, 3 * H * H);
    float[] b = random(3, 6 * H);
    Weights.Builder target = Weights.builder();
    GateOrder.onnx(target, spec, 0, w, r, b);
    double[] expected = onnxGru(w, r, b, cell == Cell.GRU);
    assertArrayEquals(expected, run(spec, target.build()), 1e-12);
  }

  @Test
  void onnxWithoutBias() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, I, H);
    float[] w = random(1, 4 * H * I);
    float[] r = random(2, 4 * H * H);
    Weights.Builder target = Weights.builder();
    GateOrder.onnx(target, spec, 0, w, r, null);
    assertArrayEquals(onnxLstm(w, r, new float[8 * H], 1), run(spec, target.build()), 1e-12);
  }

  /** dot(x, kernel) of Keras, kernel [n, columns]. */
  private static double[] dot(double[] x, float[] kernel) {
    int columns = kernel.length / x.length;
    double[] out = new double[columns];
    for (int k = 0; k < x.length; k++) {
      for (int j = 0; j < columns; j++) {
        out[j] += x[k] * kernel[k * columns + j];
      }
    }
    return out;
  }

  /**
   * The Keras LSTM cell: z = dot(x, kernel) + dot(h, recurrent_kernel) + bias, split into i, f, c,
   * o.
   */
  private static double[] kerasLstm(float[] kernel, float[] recurrentKernel, float[] bias) {
    double[] y = new double[T * H];
    double[] h = new double[H];
    double[] c = new double[H];
    for (int t = 0; t < T; t++) {
      double[] zx = dot(at(input(), t), kernel);
      double[] zh = dot(h, recurrentKernel);
      for (int j = 0; j < H; j++) {
        double i = sigmoid(zx[j] + zh[j] + bias[j]);
        double f = sigmoid(zx[H + j] + zh[H + j] + bias[H + j]);
        double g = Math.tanh(zx[2 * H + j] + zh[2 * H + j] + bias[2 * H + j]);
        double o = sigmoid(zx[3 * H + j] + zh[3 * H + j] + bias[3 * H + j]);
        c[j] = f * c[j] + i * g;
        h[j] = o * Math.tanh(c[j]);
        y[t * H + j] = h[j];
      }
    }
    return y;
  }

  /** The Keras GRU cell, split into z, r, h; with reset_after the bias is [2, 3H]. */
  private static double[] kerasGru(
      float[] kernel, float[] recurrentKernel, float[] bias, boolean resetAfter) {
    double[] y = new double[T * H];
    double[] h = new double[H];
    for (int t = 0; t < T; t++) {
      double[] x = dot(at(input(), t), kernel);
      double[] inner = dot(h, recurrentKernel);
      double[] z = new double[H];
      double[] r = new double[H];
      double[] gated = new double[H];
      for (int j = 0; j < H; j++) {
        double second = resetAfter ? bias[3 * H + j] : 0;
        double secondReset = resetAfter ? bias[4 * H + j] : 0;
        z[j] = sigmoid(x[j] + bias[j] + inner[j] + second);
        r[j] = sigmoid(x[H + j] + bias[H + j] + inner[H + j] + secondReset);
        gated[j] = r[j] * h[j];
      }
      double[] before = dot(gated, recurrentKernel);
      double[] next = new double[H];
      for (int j = 0; j < H; j++) {
        int k = 2 * H + j;
        double recurrent = resetAfter ? r[j] * (inner[k] + bias[3 * H + k]) : before[k];
        double hh = Math.tanh(x[k] + bias[k] + recurrent);
        next[j] = z[j] * h[j] + (1 - z[j]) * hh;
        y[t * H + j] = next[j];
      }
      h = next;
    }
    return y;
  }

  @Test
  void kerasLstm() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, I, H);
    float[] kernel = random(1, I * 4 * H);
    float[] recurrent = random(2, H * 4 * H);
    float[] bias = random(3, 4 * H);
    Weights.Builder target = Weights.builder();
    GateOrder.keras(target, spec, 0, 0, kernel, recurrent, bias);
    assertArrayEquals(kerasLstm(kernel, recurrent, bias), run(spec, target.build()), 1e-12);
  }

  @ParameterizedTest
  @EnumSource(names = {"GRU", "GRU_RESET_BEFORE"})
  void kerasGru(Cell cell) {
    RnnSpec spec = RnnSpec.of(cell, I, H);
    boolean resetAfter = cell == Cell.GRU;
    float[] kernel = random(1, I * 3 * H);
    float[] recurrent = random(2, H * 3 * H);
    float[] bias = random(3, (resetAfter ? 2 : 1) * 3 * H);
    Weights.Builder target = Weights.builder();
    GateOrder.keras(target, spec, 0, 0, kernel, recurrent, bias);
    assertArrayEquals(
        kerasGru(kernel, recurrent, bias, resetAfter), run(spec, target.build()), 1e-12);
  }

  @Test
  void kerasDirectionsAndLayersGetTheirNames() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, I, H).withLayers(2).withBidirectional(true);
    Weights.Builder target = Weights.builder();
    for (int layer = 0; layer < 2; layer++) {
      for (int direction = 0; direction < 2; direction++) {
        int inputs = layer == 0 ? I : 2 * H;
        GateOrder.keras(
            target, spec, layer, direction, new float[inputs * 15], new float[75], null);
      }
    }
    target.build().check(spec);
  }

  /**
   * PyTorch's names for the rows: weight_ih of LSTM is (W_ii|W_if|W_ig|W_io), of GRU
   * (W_ir|W_iz|W_in).
   */
  @Test
  void pytorchIsOurOrder() {
    for (Cell cell : new Cell[] {Cell.LSTM, Cell.GRU}) {
      List<String> ours = cell.blocks().stream().map(Cell.Block::name).toList();
      assertEquals(ours, GateOrder.PYTORCH.blocks(cell));
      float[] rows = random(1, ours.size() * H);
      assertArrayEquals(rows, GateOrder.PYTORCH.toOurs(cell, H, rows));
    }
  }

  @ParameterizedTest
  @EnumSource
  void thereAndBack(GateOrder order) {
    for (Cell cell : new Cell[] {Cell.LSTM, Cell.GRU, Cell.GRU_RESET_BEFORE}) {
      float[] rows = random(1, cell.blocks().size() * H * I);
      float[] foreign = order.fromOurs(cell, H, rows);
      assertArrayEquals(rows, order.toOurs(cell, H, foreign));
      int first =
          cell.blocks().stream().map(Cell.Block::name).toList().indexOf(order.blocks(cell).get(0));
      assertEquals(rows[first * H * I], foreign[0]);
    }
  }

  /** The refine gate stands where the standard LSTM has its input gate, and last in a GRU. */
  @Test
  void onnxHasAPlaceForTheRefineGate() {
    assertEquals(
        List.of("refine", "output", "forget", "candidate"),
        GateOrder.ONNX.blocks(Cell.LSTM_REFINE));
    for (Cell cell : List.of(Cell.GRU_REFINE, Cell.GRU_REFINE_RESET_BEFORE)) {
      assertEquals(List.of("update", "reset", "candidate", "refine"), GateOrder.ONNX.blocks(cell));
      float[] rows = random(1, 4 * H * I);
      float[] foreign = GateOrder.ONNX.fromOurs(cell, H, rows);
      assertArrayEquals(rows, GateOrder.ONNX.toOurs(cell, H, foreign));
      assertEquals(rows[H * I], foreign[0]);
    }
  }

  @Test
  void refusesOtherCellsAndSizes() {
    Exception cell =
        assertThrows(
            IllegalArgumentException.class, () -> GateOrder.KERAS.blocks(Cell.LSTM_REFINE));
    assertEquals(
        "cell: expected lstm, gru or gru_reset_before, which KERAS has; got lstm_refine",
        cell.getMessage());
    assertThrows(IllegalArgumentException.class, () -> GateOrder.ONNX.blocks(Cell.ONLSTM));
    RnnSpec spec = RnnSpec.of(Cell.LSTM, I, H);
    Exception size =
        assertThrows(
            IllegalArgumentException.class,
            () -> GateOrder.onnx(Weights.builder(), spec, 0, new float[7], new float[100], null));
    assertEquals("W: expected [D, rows, inputs] = 60 values, got 7", size.getMessage());
    assertThrows(
        IllegalArgumentException.class, () -> GateOrder.KERAS.toOurs(Cell.GRU, H, new float[16]));
  }
}
