// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.GateOrder;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * An ONNX model of one operator, LSTM, with the weights of a standard LSTM of one layer and
 * direction. Field numbers are those of onnx.proto. Stateless.
 */
final class OnnxLstm {
  static final String INPUT = "X";
  static final String OUTPUT = "Y";

  private static final int IR_VERSION = 8;
  private static final int OPSET = 17;
  private static final int FLOAT = 1;
  private static final int INTEGER_ATTRIBUTE = 2;

  private OnnxLstm() {}

  /**
   * X [T, B, I] to Y [T, 1, B, H]; the weights are constants, so that the runtime may pack them.
   */
  static byte[] model(Shape shape, Weights weights) {
    int hidden = shape.size();
    float[] biases =
        concatenated(onnx(hidden, weights, "bias_ih_l0"), onnx(hidden, weights, "bias_hh_l0"));
    ProtoWriter graph =
        new ProtoWriter()
            .message(1, node(hidden))
            .text(2, "lstm")
            .message(5, constant("W", onnx(hidden, weights, "weight_ih_l0"), 1, 4 * hidden, hidden))
            .message(5, constant("R", onnx(hidden, weights, "weight_hh_l0"), 1, 4 * hidden, hidden))
            .message(5, constant("B", biases, 1, 8 * hidden))
            .message(11, tensor(INPUT, shape.steps(), shape.batch(), hidden))
            .message(12, tensor(OUTPUT, shape.steps(), 1, shape.batch(), hidden));
    return new ProtoWriter()
        .number(1, IR_VERSION)
        .message(7, graph)
        .message(8, new ProtoWriter().number(2, OPSET))
        .toBytes();
  }

  private static ProtoWriter node(int hidden) {
    ProtoWriter size =
        new ProtoWriter().text(1, "hidden_size").number(3, hidden).number(20, INTEGER_ATTRIBUTE);
    ProtoWriter node = new ProtoWriter();
    for (String input : new String[] {INPUT, "W", "R", "B"}) {
      node.text(1, input);
    }
    return node.text(2, OUTPUT).text(3, "lstm").text(4, "LSTM").message(5, size);
  }

  private static ProtoWriter constant(String name, float[] values, long... dimensions) {
    ProtoWriter tensor = new ProtoWriter();
    for (long dimension : dimensions) {
      tensor.number(1, dimension);
    }
    ByteBuffer raw =
        ByteBuffer.allocate(Float.BYTES * values.length).order(ByteOrder.LITTLE_ENDIAN);
    raw.asFloatBuffer().put(values);
    return tensor.number(2, FLOAT).text(8, name).bytes(9, raw.array());
  }

  private static ProtoWriter tensor(String name, long... dimensions) {
    ProtoWriter shape = new ProtoWriter();
    for (long dimension : dimensions) {
      shape.message(1, new ProtoWriter().number(1, dimension));
    }
    ProtoWriter type = new ProtoWriter().number(1, FLOAT).message(2, shape);
    return new ProtoWriter().text(1, name).message(2, new ProtoWriter().message(1, type));
  }

  private static float[] onnx(int hidden, Weights weights, String name) {
    return GateOrder.ONNX.fromOurs(Cell.LSTM, hidden, weights.floats(name));
  }

  private static float[] concatenated(float[] first, float[] second) {
    float[] both = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, both, first.length, second.length);
    return both;
  }
}
