// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import static io.github.gatefuse.testing.OnnxGraph.attribute;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.GateOrder;
import io.github.gatefuse.onnxruntime.GatefuseOrt;
import io.github.gatefuse.onnxruntime.OnnxRewriter;
import io.github.gatefuse.testing.OnnxGraph;
import java.util.Arrays;
import java.util.List;

/**
 * The networks of a shape as ONNX models, X [T, B, I] to Y, with weights that are constants, so
 * that a runtime may pack them. Stateless.
 */
final class OnnxModels {
  static final String INPUT = "X";
  static final String OUTPUT = "Y";

  private OnnxModels() {}

  /** The operator LSTM; Y [T, 1, B, H]. */
  static byte[] lstm(Shape shape) {
    int hidden = shape.size();
    Weights weights = shape.weights(Cell.LSTM);
    return lstmGraph(shape)
        .node(
            "LSTM",
            List.of(INPUT, "W", "R", "B"),
            List.of(OUTPUT),
            attribute("hidden_size", hidden))
        .constant("W", onnx(Cell.LSTM, weights, "weight_ih_l0"), 1, 4 * hidden, hidden)
        .constant("R", onnx(Cell.LSTM, weights, "weight_hh_l0"), 1, 4 * hidden, hidden)
        .model();
  }

  /** The same by GateFuse's operator. */
  static byte[] movedLstm(Shape shape) {
    return OnnxRewriter.rewrite(lstm(shape)).model();
  }

  /** GateFuse's operator RefineLSTM; Y [T, 1, B, H]. */
  static byte[] refineOperator(Shape shape) {
    int hidden = shape.size();
    Weights weights = shape.weights(Cell.LSTM_REFINE);
    return graph("refine", shape, Cell.LSTM_REFINE)
        .node(
            GatefuseOrt.DOMAIN,
            "RefineLSTM",
            List.of(INPUT, "W", "R", "B"),
            List.of(OUTPUT),
            attribute("hidden_size", hidden))
        .constant("W", onnx(Cell.LSTM_REFINE, weights, "weight_ih_l0"), 1, 4 * hidden, hidden)
        .constant("R", onnx(Cell.LSTM_REFINE, weights, "weight_hh_l0"), 1, 4 * hidden, hidden)
        .model(GatefuseOrt.DOMAIN);
  }

  /** ONNX Runtime's operator DynamicQuantizeLSTM, a scale for each row; Y [T, 1, B, H]. */
  static byte[] quantizedLstm(Shape shape) {
    int hidden = shape.size();
    int rows = 4 * hidden;
    Weights weights = shape.weights(Cell.LSTM);
    Int8Matrix input = Int8Matrix.of(onnx(Cell.LSTM, weights, "weight_ih_l0"), rows);
    Int8Matrix recurrent = Int8Matrix.of(onnx(Cell.LSTM, weights, "weight_hh_l0"), rows);
    byte[] zero = new byte[rows];
    return lstmGraph(shape)
        .node(
            OnnxGraph.MICROSOFT,
            "DynamicQuantizeLSTM",
            List.of(INPUT, "W", "R", "B", "", "", "", "", "Ws", "Wz", "Rs", "Rz"),
            List.of(OUTPUT),
            attribute("hidden_size", hidden))
        .constant("W", input.transposed(), 1, hidden, rows)
        .constant("R", recurrent.transposed(), 1, hidden, rows)
        .constant("Ws", input.scales(), 1, rows)
        .constant("Wz", zero, 1, rows)
        .constant("Rs", recurrent.scales(), 1, rows)
        .constant("Rz", zero, 1, rows)
        .model(OnnxGraph.MICROSOFT);
  }

  private static OnnxGraph lstmGraph(Shape shape) {
    return graph("lstm", shape, Cell.LSTM);
  }

  /** With input, output and biases. */
  private static OnnxGraph graph(String name, Shape shape, Cell cell) {
    int hidden = shape.size();
    Weights weights = shape.weights(cell);
    float[] biases =
        concatenated(onnx(cell, weights, "bias_ih_l0"), onnx(cell, weights, "bias_hh_l0"));
    return new OnnxGraph(name)
        .constant("B", biases, 1, 8 * hidden)
        .input(INPUT, shape.steps(), shape.batch(), hidden)
        .output(OUTPUT, shape.steps(), 1, shape.batch(), hidden);
  }

  /**
   * The refine LSTM as the best graph that we know: one product for the inputs of all steps, then
   * Scan over the steps; Y [T, B, H].
   */
  static byte[] refine(Shape shape) {
    int steps = shape.steps();
    int batch = shape.batch();
    int hidden = shape.size();
    RefineForm form = RefineForm.of(shape);
    return new OnnxGraph("refine")
        .input(INPUT, steps, batch, hidden)
        .output(OUTPUT, steps, batch, hidden)
        .constant("W", form.input(), 4 * hidden, hidden)
        .constant("b", form.bias(), 4 * hidden)
        .constant("flat", new long[] {(long) steps * batch, hidden}, 2)
        .constant("unflat", new long[] {steps, batch, 4L * hidden}, 3)
        .constant("zero", new float[batch * hidden], batch, hidden)
        .node("Reshape", List.of(INPUT, "flat"), List.of("x"))
        .node("Gemm", List.of("x", "W", "b"), List.of("xw"), attribute("transB", 1))
        .node("Reshape", List.of("xw", "unflat"), List.of("p"))
        .node(
            "Scan",
            List.of("zero", "zero", "p"),
            List.of("lastH", "lastC", OUTPUT),
            attribute("num_scan_inputs", 1),
            attribute("body", refineStep(batch, hidden, form)))
        .model();
  }

  /** One step; see {@link RefineForm} for the rows and for s. */
  private static OnnxGraph refineStep(int batch, int hidden, RefineForm form) {
    return new OnnxGraph("step")
        .input("h", batch, hidden)
        .input("c", batch, hidden)
        .input("p", batch, 4 * hidden)
        .output("newH", batch, hidden)
        .output("newC", batch, hidden)
        .output("y", batch, hidden)
        .constant("R", form.recurrent(), 4 * hidden, hidden)
        .constant("one", new float[] {1}, 1)
        .node("Gemm", List.of("h", "R", "p"), List.of("z"), attribute("transB", 1))
        .node("Split", List.of("z"), List.of("zus", "zfo"), attribute("axis", 1))
        .node("Tanh", List.of("zus"), List.of("us"))
        .node("Sigmoid", List.of("zfo"), List.of("fo"))
        .node("Split", List.of("us"), List.of("u", "s"), attribute("axis", 1))
        .node("Split", List.of("fo"), List.of("f", "o"), attribute("axis", 1))
        .node("Sub", List.of("one", "f"), List.of("fBar"))
        .node("Mul", List.of("f", "fBar"), List.of("ffBar"))
        .node("Mul", List.of("ffBar", "s"), List.of("shift"))
        .node("Add", List.of("f", "shift"), List.of("g"))
        .node("Sub", List.of("c", "u"), List.of("cMinusU"))
        .node("Mul", List.of("g", "cMinusU"), List.of("kept"))
        .node("Add", List.of("u", "kept"), List.of("newC"))
        .node("Tanh", List.of("newC"), List.of("t"))
        .node("Mul", List.of("o", "t"), List.of("newH"))
        .node("Identity", List.of("newH"), List.of("y"));
  }

  private static float[] onnx(Cell cell, Weights weights, String name) {
    int hidden = weights.shape("weight_hh_l0")[1];
    return GateOrder.ONNX.fromOurs(cell, hidden, weights.floats(name));
  }

  private static float[] concatenated(float[] first, float[] second) {
    float[] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }
}
