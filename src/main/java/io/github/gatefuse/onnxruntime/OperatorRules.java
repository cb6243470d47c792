// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import io.github.gatefuse.onnxruntime.OnnxNode.Attribute;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** What our operators have, and so which nodes of the standard they can stand for. Stateless. */
final class OperatorRules {
  static final String ACTIVATIONS = "activations";

  private static final Set<String> COMMON =
      Set.of(
          ACTIVATIONS, "activation_alpha", "activation_beta", "direction", "hidden_size", "layout");
  private static final int FLOAT = 1;

  private OperatorRules() {}

  /** One of our operators. */
  private record Operator(
      Set<String> attributes, List<String> activations, int inputs, int outputs) {
    static final Operator LSTM = new Operator(Set.of(), List.of("sigmoid", "tanh", "tanh"), 7, 3);
    static final Operator GRU =
        new Operator(Set.of("linear_before_reset"), List.of("sigmoid", "tanh"), 6, 2);
    static final Map<String, Operator> ALL =
        Map.of("LSTM", LSTM, "GRU", GRU, "RefineLSTM", LSTM, "RefineGRU", GRU);
  }

  /**
   * Why a node of the standard's LSTM or GRU cannot be moved.
   *
   * @param types of the tensors that the node sees
   */
  static Optional<String> refusal(OnnxNode node, ModelRewriting.Types types) {
    Operator operator = Operator.ALL.get(node.operator());
    for (Map.Entry<String, Attribute> entry : node.attributes().entrySet()) {
      Optional<String> refusal = refusal(operator, node, entry.getKey(), entry.getValue());
      if (refusal.isPresent()) {
        return refusal;
      }
    }
    if (!node.attributes().containsKey("hidden_size")) {
      return Optional.of("attribute hidden_size: expected one, got none");
    }
    return refusalOfTensors(operator, node, types);
  }

  private static Optional<String> refusal(
      Operator operator, OnnxNode node, String name, Attribute attribute) {
    if (attribute.isReference()) {
      return Optional.of("attribute " + name + ": its value is that of a function's attribute");
    }
    boolean fits =
        switch (name) {
          case "direction" ->
              List.of("forward", "reverse", "bidirectional").contains(attribute.text());
          case "hidden_size" -> attribute.integer() >= 1;
          case "layout", "linear_before_reset" ->
              attribute.integer() == 0 || attribute.integer() == 1;
          case "input_forget" -> attribute.integer() == 0;
          case ACTIVATIONS -> isUsual(operator, node, attribute.texts());
          default -> true;
        };
    boolean known =
        COMMON.contains(name)
            || operator.attributes.contains(name)
            || name.equals("input_forget") && operator == Operator.LSTM;
    if (known && fits) {
      return Optional.empty();
    }
    String value = known ? " of this value" : "";
    return Optional.of("attribute " + name + ": GateFuse's operator has none" + value);
  }

  /** Names of activations are written in upper and in lower case. */
  private static boolean isUsual(Operator operator, OnnxNode node, List<String> given) {
    Attribute direction = node.attributes().get("direction");
    int directions = direction != null && direction.text().equals("bidirectional") ? 2 : 1;
    int each = operator.activations.size();
    boolean usual = given.size() == directions * each;
    for (int i = 0; usual && i < given.size(); i++) {
      usual = given.get(i).equalsIgnoreCase(operator.activations.get(i % each));
    }
    return usual;
  }

  private static Optional<String> refusalOfTensors(
      Operator operator, OnnxNode node, ModelRewriting.Types types) {
    for (int i = operator.inputs; i < node.inputs().size(); i++) {
      if (!node.inputs().get(i).isEmpty()) {
        String what = operator == Operator.LSTM && i == operator.inputs ? "P (peepholes)" : "" + i;
        return Optional.of("input " + what + ": GateFuse's operator has none");
      }
    }
    if (node.outputs().size() > operator.outputs) {
      return Optional.of("outputs: expected at most " + operator.outputs);
    }
    for (String input : node.inputs().subList(0, Math.min(3, node.inputs().size()))) {
      long type = types.of(input, FLOAT);
      if (type != FLOAT) {
        return Optional.of("input " + input + ": expected float32, got elements of type " + type);
      }
    }
    return Optional.empty();
  }

  /**
   * Checks a node of our domain, whose attributes nobody else checks.
   *
   * @throws IllegalArgumentException for an operator or attribute that there is not
   */
  static void check(OnnxNode node) {
    Operator operator = Operator.ALL.get(node.operator());
    if (operator == null) {
      throw new IllegalArgumentException(
          "node " + node + ": expected one of LSTM, GRU, RefineLSTM, RefineGRU");
    }
    for (Map.Entry<String, Attribute> entry : node.attributes().entrySet()) {
      if (!entry.getValue().isReference()) {
        refusal(operator, node, entry.getKey(), entry.getValue())
            .ifPresent(
                refusal -> {
                  throw new IllegalArgumentException("node " + node + ": " + refusal);
                });
      }
    }
  }
}
