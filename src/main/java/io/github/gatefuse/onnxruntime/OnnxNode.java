// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a NodeProto of onnx.proto says, less its graphs. Immutable, as long as nobody writes to its
 * collections.
 *
 * @param name of the node, or of its first output where it has none
 * @param operator its type
 * @param domain "" for the standard's
 * @param inputs their names, "" for one that is left out
 * @param outputs the same
 * @param attributes by name
 */
record OnnxNode(
    String name,
    String operator,
    String domain,
    List<String> inputs,
    List<String> outputs,
    Map<String, Attribute> attributes) {

  // Fields of NodeProto.
  static final int ATTRIBUTE = 5;
  static final int DOMAIN = 7;
  private static final int INPUT = 1;
  private static final int OUTPUT = 2;
  private static final int NAME = 3;
  private static final int OPERATOR = 4;

  /**
   * An attribute.
   *
   * @param integer its number, 0 for none
   * @param text its text, "" for none
   * @param texts its list of texts
   * @param isReference whether its value is that of a function's attribute
   */
  record Attribute(long integer, String text, List<String> texts, boolean isReference) {
    // Fields of AttributeProto.
    static final int GRAPH = 6;
    static final int GRAPHS = 11;
    private static final int NAME = 1;
    private static final int INTEGER = 3;
    private static final int TEXT = 4;
    private static final int TEXTS = 9;
    private static final int REFERENCE = 21;

    static String nameOf(ProtoReader attribute) {
      String name = "";
      while (attribute.next()) {
        if (attribute.isBytes(NAME)) {
          name = attribute.text();
        }
      }
      return name;
    }

    static Attribute of(ProtoReader attribute) {
      long integer = 0;
      String text = "";
      List<String> texts = new ArrayList<>();
      boolean isReference = false;
      while (attribute.next()) {
        if (attribute.isNumber(INTEGER)) {
          integer = attribute.number();
        } else if (attribute.isBytes(TEXT)) {
          text = attribute.text();
        } else if (attribute.isBytes(TEXTS)) {
          texts.add(attribute.text());
        } else if (attribute.isBytes(REFERENCE)) {
          isReference = true;
        }
      }
      return new Attribute(integer, text, texts, isReference);
    }
  }

  static OnnxNode of(ProtoReader node) {
    String name = "";
    String operator = "";
    String domain = "";
    List<String> inputs = new ArrayList<>();
    List<String> outputs = new ArrayList<>();
    Map<String, Attribute> attributes = new LinkedHashMap<>();
    while (node.next()) {
      if (node.isBytes(INPUT)) {
        inputs.add(node.text());
      } else if (node.isBytes(OUTPUT)) {
        outputs.add(node.text());
      } else if (node.isBytes(NAME)) {
        name = node.text();
      } else if (node.isBytes(OPERATOR)) {
        operator = node.text();
      } else if (node.isBytes(DOMAIN)) {
        domain = node.text();
      } else if (node.isBytes(ATTRIBUTE)) {
        attributes.put(Attribute.nameOf(node.message()), Attribute.of(node.message()));
      }
    }
    if (name.isEmpty()) {
      name = outputs.stream().filter(o -> !o.isEmpty()).findFirst().orElse("");
    }
    return new OnnxNode(
        name, operator, domain.equals("ai.onnx") ? "" : domain, inputs, outputs, attributes);
  }

  boolean isRecurrent() {
    return operator.equals("LSTM") || operator.equals("GRU");
  }

  @Override
  public String toString() {
    return operator + " \"" + name + "\"";
  }
}
