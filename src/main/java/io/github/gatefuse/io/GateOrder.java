// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.util.Arrays;
import java.util.List;

/**
 * The order in which frameworks stack the gates of an LSTM and GRU, and what turns their arrays
 * into {@link Weights}. PyTorch and Keras have the standard cells; ONNX has those, and GateFuse's
 * operators for ONNX Runtime add the refine cells in the same manner.
 *
 * <table>
 * <caption>Row blocks, first to last</caption>
 * <tr><th></th><th>LSTM</th><th>GRU</th><th>matrices</th><th>biases</th></tr>
 * <tr><td>PyTorch, ours</td><td>input, forget, candidate, output</td><td>reset, update, candidate</td>
 *   <td>[rows, inputs], [rows, H]</td><td>two of [rows]</td></tr>
 * <tr><td>ONNX</td><td>input, output, forget, candidate</td><td>update, reset, candidate</td>
 *   <td>[D, rows, inputs], [D, rows, H]</td><td>both in one of [D, 2 rows]</td></tr>
 * <tr><td>ONNX, refine cells</td><td>refine, output, forget, candidate</td><td>update, reset, candidate, refine</td>
 *   <td>[D, rows, inputs], [D, rows, H]</td><td>both in one of [D, 2 rows]</td></tr>
 * <tr><td>Keras</td><td>input, forget, candidate, output</td><td>update, reset, candidate</td>
 *   <td>[inputs, rows], [H, rows]</td><td>[rows]; GRU with reset_after: [2, rows]</td></tr>
 * </table>
 *
 * <p>In all three the GRU's update gate is the forget side, h = z h + (1-z) u, so no gate is
 * negated. Where the reset gate acts decides the cell: {@link Cell#GRU} for ONNX
 * linear_before_reset = 1 and Keras reset_after = True (both as PyTorch), {@link
 * Cell#GRU_RESET_BEFORE} for ONNX linear_before_reset = 0 (its default) and Keras reset_after =
 * False.
 *
 * <p>Immutable and thread-safe.
 */
public enum GateOrder {
  /** PyTorch's order, which is also ours. */
  PYTORCH(
      List.of("input", "forget", "candidate", "output"), List.of("reset", "update", "candidate")),
  /** The order of the ONNX operators LSTM and GRU: iofc and zrh in their documents. */
  ONNX(List.of("input", "output", "forget", "candidate"), List.of("update", "reset", "candidate")),
  /** The order of the Keras layers LSTM and GRU: ifco and zrh in their code. */
  KERAS(List.of("input", "forget", "candidate", "output"), List.of("update", "reset", "candidate"));

  private static final List<String> ONNX_REFINE_LSTM =
      List.of("refine", "output", "forget", "candidate");
  private static final List<String> ONNX_REFINE_GRU =
      List.of("update", "reset", "candidate", "refine");

  private final List<String> lstm;
  private final List<String> gru;

  GateOrder(List<String> lstm, List<String> gru) {
    this.lstm = lstm;
    this.gru = gru;
  }

  /**
   * The row blocks in this framework's order.
   *
   * @param cell LSTM, GRU or GRU_RESET_BEFORE, the cells that frameworks have; for ONNX also
   *     LSTM_REFINE, GRU_REFINE or GRU_REFINE_RESET_BEFORE
   * @return the names of {@link Cell#blocks()}, unmodifiable
   * @throws IllegalArgumentException for another cell
   */
  public List<String> blocks(Cell cell) {
    List<String> blocks =
        switch (cell) {
          case LSTM -> lstm;
          case GRU, GRU_RESET_BEFORE -> gru;
          case LSTM_REFINE -> this == ONNX ? ONNX_REFINE_LSTM : null;
          case GRU_REFINE, GRU_REFINE_RESET_BEFORE -> this == ONNX ? ONNX_REFINE_GRU : null;
          default -> null;
        };
    if (blocks == null) {
      throw new IllegalArgumentException(
          "cell: expected lstm, gru or gru_reset_before, which "
              + name()
              + " has"
              + (this == ONNX ? ", or their refine cells" : "")
              + "; got "
              + cell.id());
    }
    return blocks;
  }

  private static List<String> ours(Cell cell) {
    return cell.blocks().stream().map(Cell.Block::name).toList();
  }

  /**
   * Reorders the row blocks of a matrix or bias from this framework's order to ours.
   *
   * @param cell one that {@link #blocks} takes
   * @param hiddenSize H
   * @param values row-major [blocks * H, any number of columns]
   * @return a new array of that shape
   * @throws IllegalArgumentException for another cell or an array that is not a multiple of its
   *     rows
   */
  public float[] toOurs(Cell cell, int hiddenSize, float[] values) {
    return reorder(cell, hiddenSize, values, blocks(cell), ours(cell));
  }

  /**
   * Reorders the row blocks of a matrix or bias from our order to this framework's.
   *
   * @param cell one that {@link #blocks} takes
   * @param hiddenSize H
   * @param values row-major [blocks * H, any number of columns]
   * @return a new array of that shape
   * @throws IllegalArgumentException for another cell or an array that is not a multiple of its
   *     rows
   */
  public float[] fromOurs(Cell cell, int hiddenSize, float[] values) {
    return reorder(cell, hiddenSize, values, ours(cell), blocks(cell));
  }

  private static float[] reorder(
      Cell cell, int hiddenSize, float[] values, List<String> from, List<String> to) {
    long rows = (long) from.size() * hiddenSize;
    if (hiddenSize < 1 || values.length % rows != 0) {
      throw new IllegalArgumentException(
          cell.id() + ": expected a multiple of " + rows + " rows, got " + values.length);
    }
    int block = values.length / from.size();
    float[] out = new float[values.length];
    for (int i = 0; i < from.size(); i++) {
      System.arraycopy(values, i * block, out, to.indexOf(from.get(i)) * block, block);
    }
    return out;
  }

  /**
   * Adds one layer of the ONNX operators LSTM or GRU, or of GateFuse's RefineLSTM or RefineGRU, in
   * all directions of the network.
   *
   * <p>The operator must have its default activations and no peepholes, clipping or input_forget.
   *
   * @param target receives the tensors of the layer
   * @param spec the network; its cell is LSTM, LSTM_REFINE, GRU, GRU_REFINE (linear_before_reset =
   *     1), GRU_RESET_BEFORE or GRU_REFINE_RESET_BEFORE (0)
   * @param layer from 0
   * @param w the operator's input W [D, rows, inputs]
   * @param r its input R [D, rows, H]
   * @param b its input B [D, 2 rows], the biases of W before those of R; null for none
   * @throws IllegalArgumentException for another cell or an array of another size
   */
  public static void onnx(
      Weights.Builder target, RnnSpec spec, int layer, float[] w, float[] r, float[] b) {
    int rows = spec.rows();
    int inputs = inputs(spec, layer);
    int hidden = spec.hiddenSize();
    int directions = spec.directions();
    expect("W", w, "[D, rows, inputs]", directions, rows, inputs);
    expect("R", r, "[D, rows, H]", directions, rows, hidden);
    if (b != null) {
      expect("B", b, "[D, 2 rows]", directions, 2, rows);
    }
    for (int d = 0; d < directions; d++) {
      String suffix = RnnSpec.suffix(layer, d);
      ONNX.add(target, spec, "weight_ih" + suffix, slice(w, d, rows * inputs), rows, inputs);
      ONNX.add(target, spec, "weight_hh" + suffix, slice(r, d, rows * hidden), rows, hidden);
      if (b != null) {
        ONNX.add(target, spec, "bias_ih" + suffix, slice(b, 2 * d, rows), rows);
        ONNX.add(target, spec, "bias_hh" + suffix, slice(b, 2 * d + 1, rows), rows);
      }
    }
  }

  /**
   * Adds one Keras layer LSTM or GRU; the Bidirectional wrapper holds two of them.
   *
   * <p>The layer must have its default activations, tanh and sigmoid. Its {@code get_weights()}
   * gives the three arrays.
   *
   * @param target receives the tensors of the layer and direction
   * @param spec the network; its cell is LSTM, GRU (reset_after = True) or GRU_RESET_BEFORE (False)
   * @param layer from 0
   * @param direction 0 forward, 1 backward
   * @param kernel [inputs, rows]
   * @param recurrentKernel [H, rows]
   * @param bias [rows]; for GRU [2, rows], input bias before recurrent bias; null for use_bias =
   *     False
   * @throws IllegalArgumentException for another cell or an array of another size
   */
  public static void keras(
      Weights.Builder target,
      RnnSpec spec,
      int layer,
      int direction,
      float[] kernel,
      float[] recurrentKernel,
      float[] bias) {
    int rows = spec.rows();
    int inputs = inputs(spec, layer);
    int hidden = spec.hiddenSize();
    expect("kernel", kernel, "[inputs, rows]", inputs, rows);
    expect("recurrent kernel", recurrentKernel, "[H, rows]", hidden, rows);
    String suffix = RnnSpec.suffix(layer, direction);
    KERAS.add(target, spec, "weight_ih" + suffix, transpose(kernel, rows), rows, inputs);
    KERAS.add(target, spec, "weight_hh" + suffix, transpose(recurrentKernel, rows), rows, hidden);
    if (bias == null) {
      return;
    }
    boolean two = spec.cell() == Cell.GRU;
    expect("bias", bias, two ? "[2, rows]" : "[rows]", two ? 2 : 1, rows);
    KERAS.add(target, spec, "bias_ih" + suffix, slice(bias, 0, rows), rows);
    if (two) {
      KERAS.add(target, spec, "bias_hh" + suffix, slice(bias, 1, rows), rows);
    }
  }

  private void add(
      Weights.Builder target, RnnSpec spec, String name, float[] values, int... shape) {
    target.add(name, toOurs(spec.cell(), spec.hiddenSize(), values), shape);
  }

  private static int inputs(RnnSpec spec, int layer) {
    return layer == 0 ? spec.inputSize() : spec.outputSize();
  }

  private static void expect(String name, float[] values, String dimensions, int... sizes) {
    long count = Arrays.stream(sizes).asLongStream().reduce(1, Math::multiplyExact);
    if (values.length != count) {
      throw new IllegalArgumentException(
          String.format(
              "%s: expected %s = %d values, got %d", name, dimensions, count, values.length));
    }
  }

  private static float[] slice(float[] values, int index, int size) {
    return Arrays.copyOfRange(values, index * size, (index + 1) * size);
  }

  /** [n, rows] to [rows, n]. */
  private static float[] transpose(float[] values, int rows) {
    int n = values.length / rows;
    float[] out = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      out[i % rows * n + i / rows] = values[i];
    }
    return out;
  }
}
