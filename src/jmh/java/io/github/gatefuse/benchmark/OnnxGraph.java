// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * Writes a graph of ONNX, be it a model's or one inside a node. Field numbers are those of
 * onnx.proto. Not thread-safe.
 */
final class OnnxGraph {
  /** The domain of the standard's operators. */
  static final String STANDARD = "";

  /** The domain of ONNX Runtime's own operators. */
  static final String MICROSOFT = "com.microsoft";

  private static final int IR_VERSION = 8;
  private static final int OPSET = 17;
  private static final int MICROSOFT_OPSET = 1;
  private static final int FLOAT = 1;
  private static final int INT8 = 3;
  private static final int INT64 = 7;
  private static final int INTEGER_ATTRIBUTE = 2;
  private static final int GRAPH_ATTRIBUTE = 5;

  private final ProtoWriter graph = new ProtoWriter();
  private int nodes;

  OnnxGraph(String name) {
    graph.text(2, name);
  }

  static ProtoWriter attribute(String name, long value) {
    return new ProtoWriter().text(1, name).number(3, value).number(20, INTEGER_ATTRIBUTE);
  }

  static ProtoWriter attribute(String name, OnnxGraph value) {
    return new ProtoWriter().text(1, name).message(6, value.graph).number(20, GRAPH_ATTRIBUTE);
  }

  /** An operator of the standard. */
  OnnxGraph node(
      String operator, List<String> inputs, List<String> outputs, ProtoWriter... attributes) {
    return node(STANDARD, operator, inputs, outputs, attributes);
  }

  /** An input that is left out has an empty name. */
  OnnxGraph node(
      String domain,
      String operator,
      List<String> inputs,
      List<String> outputs,
      ProtoWriter... attributes) {
    ProtoWriter node = new ProtoWriter();
    inputs.forEach(input -> node.text(1, input));
    outputs.forEach(output -> node.text(2, output));
    node.text(3, operator + nodes++).text(4, operator);
    for (ProtoWriter attribute : attributes) {
      node.message(5, attribute);
    }
    graph.message(1, node.text(7, domain));
    return this;
  }

  OnnxGraph constant(String name, float[] values, long... dimensions) {
    ByteBuffer raw = bytes(Float.BYTES * values.length);
    raw.asFloatBuffer().put(values);
    return constant(name, FLOAT, raw.array(), dimensions);
  }

  OnnxGraph constant(String name, byte[] values, long... dimensions) {
    return constant(name, INT8, values, dimensions);
  }

  OnnxGraph constant(String name, long[] values, long... dimensions) {
    ByteBuffer raw = bytes(Long.BYTES * values.length);
    raw.asLongBuffer().put(values);
    return constant(name, INT64, raw.array(), dimensions);
  }

  private OnnxGraph constant(String name, int type, byte[] raw, long... dimensions) {
    ProtoWriter tensor = new ProtoWriter();
    for (long dimension : dimensions) {
      tensor.number(1, dimension);
    }
    graph.message(5, tensor.number(2, type).text(8, name).bytes(9, raw));
    return this;
  }

  private static ByteBuffer bytes(int count) {
    return ByteBuffer.allocate(count).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** In the order of the model's or node's inputs. */
  OnnxGraph input(String name, long... dimensions) {
    graph.message(11, value(name, dimensions));
    return this;
  }

  /** In the order of the model's or node's outputs. */
  OnnxGraph output(String name, long... dimensions) {
    graph.message(12, value(name, dimensions));
    return this;
  }

  private static ProtoWriter value(String name, long... dimensions) {
    ProtoWriter shape = new ProtoWriter();
    for (long dimension : dimensions) {
      shape.message(1, new ProtoWriter().number(1, dimension));
    }
    ProtoWriter type = new ProtoWriter().number(1, FLOAT).message(2, shape);
    return new ProtoWriter().text(1, name).message(2, new ProtoWriter().message(1, type));
  }

  /** The file of a model with this graph. */
  byte[] model() {
    return new ProtoWriter()
        .number(1, IR_VERSION)
        .message(7, graph)
        .message(8, opset(STANDARD, OPSET))
        .message(8, opset(MICROSOFT, MICROSOFT_OPSET))
        .toBytes();
  }

  private static ProtoWriter opset(String domain, int version) {
    return new ProtoWriter().text(1, domain).number(2, version);
  }
}
