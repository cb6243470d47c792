// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.testing;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/**
 * Writes a graph of ONNX, be it a model's or one inside a node. Field numbers are those of
 * onnx.proto. Not thread-safe.
 */
public final class OnnxGraph {
  /** The domain of the standard's operators. */
  public static final String STANDARD = "";

  /** The domain of ONNX Runtime's own operators. */
  public static final String MICROSOFT = "com.microsoft";

  /** A type of elements. */
  public static final int FLOAT = 1;

  /** A type of elements. */
  public static final int INT32 = 6;

  /** A type of elements. */
  public static final int BOOL = 9;

  /** A type of elements. */
  public static final int DOUBLE = 11;

  /** A dimension of any size. */
  public static final long ANY = -1;

  private static final int IR_VERSION = 8;
  private static final int OPSET = 17;
  private static final int INT8 = 3;
  private static final int INT64 = 7;
  private static final int FLOAT_ATTRIBUTE = 1;
  private static final int INTEGER_ATTRIBUTE = 2;
  private static final int TEXT_ATTRIBUTE = 3;
  private static final int GRAPH_ATTRIBUTE = 5;
  private static final int INTEGERS_ATTRIBUTE = 7;
  private static final int TEXTS_ATTRIBUTE = 8;

  private final ProtoWriter graph = new ProtoWriter();
  private int nodes;

  /** An empty graph. */
  public OnnxGraph(String name) {
    graph.text(2, name);
  }

  /** An attribute with a whole number. */
  public static ProtoWriter attribute(String name, long value) {
    return new ProtoWriter().text(1, name).number(3, value).number(20, INTEGER_ATTRIBUTE);
  }

  /** An attribute with a number. */
  public static ProtoWriter attribute(String name, float value) {
    return new ProtoWriter().text(1, name).real(2, value).number(20, FLOAT_ATTRIBUTE);
  }

  /** An attribute with a text. */
  public static ProtoWriter attribute(String name, String value) {
    return new ProtoWriter().text(1, name).text(4, value).number(20, TEXT_ATTRIBUTE);
  }

  /** An attribute with a list of texts. */
  public static ProtoWriter attribute(String name, List<String> values) {
    ProtoWriter attribute = new ProtoWriter().text(1, name);
    values.forEach(value -> attribute.text(9, value));
    return attribute.number(20, TEXTS_ATTRIBUTE);
  }

  /** An attribute with a list of whole numbers. */
  public static ProtoWriter integers(String name, long... values) {
    ProtoWriter attribute = new ProtoWriter().text(1, name);
    for (long value : values) {
      attribute.number(8, value);
    }
    return attribute.number(20, INTEGERS_ATTRIBUTE);
  }

  /** An attribute with a graph. */
  public static ProtoWriter attribute(String name, OnnxGraph value) {
    return new ProtoWriter().text(1, name).message(6, value.graph).number(20, GRAPH_ATTRIBUTE);
  }

  /** An operator of the standard. */
  public OnnxGraph node(
      String operator, List<String> inputs, List<String> outputs, ProtoWriter... attributes) {
    return node(STANDARD, operator, inputs, outputs, attributes);
  }

  /** An input that is left out has an empty name. */
  public OnnxGraph node(
      String domain,
      String operator,
      List<String> inputs,
      List<String> outputs,
      ProtoWriter... attributes) {
    return add(node(operator + nodes++, domain, operator, inputs, outputs, attributes));
  }

  /** A node that was written by itself. */
  public OnnxGraph add(ProtoWriter node) {
    graph.message(1, node);
    return this;
  }

  /** A node by itself. */
  public static ProtoWriter node(
      String name,
      String domain,
      String operator,
      List<String> inputs,
      List<String> outputs,
      ProtoWriter... attributes) {
    ProtoWriter node = new ProtoWriter();
    inputs.forEach(input -> node.text(1, input));
    outputs.forEach(output -> node.text(2, output));
    node.text(3, name).text(4, operator);
    for (ProtoWriter attribute : attributes) {
      node.message(5, attribute);
    }
    return node.text(7, domain);
  }

  /** A constant tensor of float32. */
  public OnnxGraph constant(String name, float[] values, long... dimensions) {
    ByteBuffer raw = bytes(Float.BYTES * values.length);
    raw.asFloatBuffer().put(values);
    return constant(name, FLOAT, raw.array(), dimensions);
  }

  /** A constant tensor of int8. */
  public OnnxGraph constant(String name, byte[] values, long... dimensions) {
    return constant(name, INT8, values, dimensions);
  }

  /** A constant tensor of int64. */
  public OnnxGraph constant(String name, long[] values, long... dimensions) {
    ByteBuffer raw = bytes(Long.BYTES * values.length);
    raw.asLongBuffer().put(values);
    return constant(name, INT64, raw.array(), dimensions);
  }

  /** A constant tensor. */
  public OnnxGraph constant(String name, int type, byte[] raw, long... dimensions) {
    graph.message(5, tensor(name, type, dimensions).bytes(9, raw));
    return this;
  }

  /** A constant tensor of float32 in a file beside the model. */
  public OnnxGraph external(String name, String file, long offset, long... dimensions) {
    ProtoWriter tensor = tensor(name, FLOAT, dimensions);
    tensor.message(13, new ProtoWriter().text(1, "location").text(2, file));
    tensor.message(13, new ProtoWriter().text(1, "offset").text(2, Long.toString(offset)));
    graph.message(5, tensor.number(14, 1));
    return this;
  }

  private static ProtoWriter tensor(String name, int type, long... dimensions) {
    ProtoWriter tensor = new ProtoWriter();
    for (long dimension : dimensions) {
      tensor.number(1, dimension);
    }
    return tensor.number(2, type).text(8, name);
  }

  private static ByteBuffer bytes(int count) {
    return ByteBuffer.allocate(count).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** An input of float32, in the order of the model's or node's inputs. */
  public OnnxGraph input(String name, long... dimensions) {
    return inputOf(FLOAT, name, dimensions);
  }

  /** An input, in the order of the model's or node's inputs. */
  public OnnxGraph inputOf(int type, String name, long... dimensions) {
    graph.message(11, value(name, type, dimensions));
    return this;
  }

  /** In the order of the model's or node's outputs. */
  public OnnxGraph output(String name, long... dimensions) {
    graph.message(12, value(name, FLOAT, dimensions));
    return this;
  }

  private static ProtoWriter value(String name, int type, long... dimensions) {
    ProtoWriter shape = new ProtoWriter();
    for (long dimension : dimensions) {
      shape.message(
          1, dimension == ANY ? new ProtoWriter() : new ProtoWriter().number(1, dimension));
    }
    ProtoWriter tensor = new ProtoWriter().number(1, type).message(2, shape);
    return new ProtoWriter().text(1, name).message(2, new ProtoWriter().message(1, tensor));
  }

  /** The file of a model with this graph, which imports the standard's operators. */
  public ProtoWriter file() {
    return new ProtoWriter()
        .number(1, IR_VERSION)
        .message(7, graph)
        .message(8, opset(STANDARD, OPSET));
  }

  /** The file of a model with this graph, which imports further operators, too. */
  public byte[] model(String... domains) {
    ProtoWriter file = file();
    for (String domain : domains) {
      file.message(8, opset(domain, 1));
    }
    return file.toBytes();
  }

  /** What a model imports. */
  public static ProtoWriter opset(String domain, int version) {
    return new ProtoWriter().text(1, domain).number(2, version);
  }
}
