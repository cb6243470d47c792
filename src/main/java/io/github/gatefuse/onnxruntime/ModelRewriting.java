// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import io.github.gatefuse.onnxruntime.OnnxRewriter.Kept;
import io.github.gatefuse.onnxruntime.OnnxRewriter.Result;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** One run of {@link OnnxRewriter}. Field numbers are those of onnx.proto. Not thread-safe. */
final class ModelRewriting {
  // ModelProto.
  private static final int GRAPH = 7;
  private static final int MODEL_IMPORT = 8;
  private static final int FUNCTION = 25;
  // GraphProto.
  private static final int NODE = 1;
  private static final int INITIALIZER = 5;
  private static final int INPUT = 11;
  private static final int VALUE = 13;
  // FunctionProto.
  private static final int FUNCTION_NODE = 7;
  private static final int FUNCTION_IMPORT = 9;
  // OperatorSetIdProto.
  private static final int IMPORT_DOMAIN = 1;
  private static final int IMPORT_VERSION = 2;
  // TensorProto.
  private static final int TENSOR_TYPE = 2;
  private static final int TENSOR_NAME = 8;
  // ValueInfoProto, TypeProto and TypeProto.Tensor: name; type; its tensor; its element type.
  private static final int VALUE_NAME = 1;
  private static final int VALUE_TYPE = 2;
  private static final int TYPE_TENSOR = 1;
  private static final int ELEMENT_TYPE = 1;

  /** Graphs within nodes within graphs; readers of Protocol Buffers have a limit like this. */
  private static final int MOST_DEPTH = 50;

  private final byte[] model;
  private final List<String> moved = new ArrayList<>();
  private final List<Kept> kept = new ArrayList<>();
  private int ours;
  private int depth;

  /**
   * The element types of tensors, as far as they are told.
   *
   * @param own by the names of a graph
   * @param outer those of the graph around it, which it sees, too; null for none
   */
  record Types(Map<String, Long> own, Types outer) {
    /** That of a tensor, or else {@code otherwise}. */
    long of(String name, long otherwise) {
      for (Types types = this; types != null; types = types.outer) {
        Long type = types.own.get(name);
        if (type != null) {
          return type;
        }
      }
      return otherwise;
    }
  }

  ModelRewriting(byte[] model) {
    this.model = model;
  }

  Result run() {
    EditedMessage out = new EditedMessage(model);
    ProtoReader field = new ProtoReader(model, 0, model.length);
    boolean imported = false;
    boolean hasGraph = false;
    while (field.next()) {
      if (field.isBytes(GRAPH)) {
        hasGraph = true;
        out.replace(field, graph(field.message(), field.message(), null));
      } else if (field.isBytes(FUNCTION)) {
        out.replace(field, function(field.message()));
      } else {
        imported |= field.isBytes(MODEL_IMPORT) && isOurs(field.message());
        out.keep(field);
      }
    }
    if (!hasGraph) {
      throw ProtoReader.bad(0, "expected a graph, got none");
    }
    if (moved.isEmpty() && kept.isEmpty() && ours == 0) {
      throw new IllegalArgumentException("ONNX model: expected an LSTM or GRU node, got none");
    }
    if (!imported && !moved.isEmpty()) {
      addImport(out, MODEL_IMPORT);
    }
    byte[] bytes = out.isEdited() ? out.toBytes() : model.clone();
    return new Result(bytes, List.copyOf(moved), List.copyOf(kept));
  }

  private EditedMessage function(ProtoReader field) {
    EditedMessage out = new EditedMessage(model);
    int before = moved.size();
    boolean imported = false;
    while (field.next()) {
      if (field.isBytes(FUNCTION_NODE)) {
        out.replace(field, node(field, new Types(Map.of(), null)));
      } else {
        imported |= field.isBytes(FUNCTION_IMPORT) && isOurs(field.message());
        out.keep(field);
      }
    }
    if (!imported && moved.size() > before) {
      addImport(out, FUNCTION_IMPORT);
    }
    return out;
  }

  private void addImport(EditedMessage out, int field) {
    EditedMessage entry = new EditedMessage(model);
    entry.text(IMPORT_DOMAIN, GatefuseOrt.DOMAIN);
    entry.number(IMPORT_VERSION, 1);
    out.message(field, entry);
  }

  private static boolean isOurs(ProtoReader entry) {
    boolean ours = false;
    while (entry.next()) {
      if (entry.isBytes(IMPORT_DOMAIN)) {
        ours = entry.text().equals(GatefuseOrt.DOMAIN);
      }
    }
    return ours;
  }

  /** The graph is read twice: types first, which may follow the nodes. */
  private EditedMessage graph(ProtoReader first, ProtoReader second, Types outer) {
    Types types = new Types(new HashMap<>(), outer);
    while (first.next()) {
      if (first.isBytes(INITIALIZER)) {
        addTensor(first.message(), types.own);
      } else if (first.isBytes(INPUT) || first.isBytes(VALUE)) {
        addValue(first.message(), types.own);
      }
    }
    EditedMessage out = new EditedMessage(model);
    while (second.next()) {
      if (second.isBytes(NODE)) {
        out.replace(second, node(second, types));
      } else {
        out.keep(second);
      }
    }
    return out;
  }

  private static void addTensor(ProtoReader tensor, Map<String, Long> types) {
    String name = "";
    long type = 0;
    while (tensor.next()) {
      if (tensor.isBytes(TENSOR_NAME)) {
        name = tensor.text();
      } else if (tensor.isNumber(TENSOR_TYPE)) {
        type = tensor.number();
      }
    }
    types.put(name, type);
  }

  private static void addValue(ProtoReader value, Map<String, Long> types) {
    String name = "";
    long type = 0;
    while (value.next()) {
      if (value.isBytes(VALUE_NAME)) {
        name = value.text();
      } else if (value.isBytes(VALUE_TYPE)) {
        type = elementType(value.message());
      }
    }
    if (type != 0) {
      types.put(name, type);
    }
  }

  private static long elementType(ProtoReader type) {
    long element = 0;
    while (type.next()) {
      if (type.isBytes(TYPE_TENSOR)) {
        ProtoReader tensor = type.message();
        while (tensor.next()) {
          element = tensor.isNumber(ELEMENT_TYPE) ? tensor.number() : element;
        }
      }
    }
    return element;
  }

  private EditedMessage node(ProtoReader field, Types types) {
    OnnxNode node = OnnxNode.of(field.message());
    boolean moves = moves(node, types);
    EditedMessage out = new EditedMessage(model);
    ProtoReader part = field.message();
    while (part.next()) {
      if (part.isBytes(OnnxNode.ATTRIBUTE)) {
        attribute(part, moves, types, out);
      } else if (moves && part.isBytes(OnnxNode.DOMAIN)) {
        out.drop();
      } else {
        out.keep(part);
      }
    }
    if (moves) {
      out.text(OnnxNode.DOMAIN, GatefuseOrt.DOMAIN);
    }
    return out;
  }

  private boolean moves(OnnxNode node, Types types) {
    if (node.domain().equals(GatefuseOrt.DOMAIN)) {
      OperatorRules.check(node);
      ours++;
      return false;
    }
    if (!node.domain().isEmpty() || !node.isRecurrent()) {
      return false;
    }
    Optional<String> refusal = OperatorRules.refusal(node, types);
    refusal.ifPresent(reason -> kept.add(new Kept(node.toString(), reason)));
    if (refusal.isEmpty()) {
      moved.add(node.toString());
    }
    return refusal.isEmpty();
  }

  /** Before 1.26 ONNX Runtime lets no operator read a list of texts. */
  private void attribute(ProtoReader field, boolean moves, Types types, EditedMessage out) {
    if (moves && OnnxNode.Attribute.nameOf(field.message()).equals(OperatorRules.ACTIVATIONS)) {
      out.drop();
      return;
    }
    if (++depth > MOST_DEPTH) {
      throw ProtoReader.bad(field.begin(), "more than " + MOST_DEPTH + " graphs in one another");
    }
    EditedMessage edited = new EditedMessage(model);
    ProtoReader part = field.message();
    while (part.next()) {
      if (part.isBytes(OnnxNode.Attribute.GRAPH) || part.isBytes(OnnxNode.Attribute.GRAPHS)) {
        edited.replace(part, graph(part.message(), part.message(), types));
      } else {
        edited.keep(part);
      }
    }
    depth--;
    out.replace(field, edited);
  }
}
