// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.ndarray.types.Shape;
import io.github.gatefuse.RnnSpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What a prediction can give. */
enum Output {
  Y("y"),
  LOGITS("logits"),
  LOG_PROBABILITIES("log_probabilities"),
  TARGET_LOG_PROBABILITIES("target_log_probabilities"),
  HN("hn"),
  CN("cn");

  private final String id;

  Output(String id) {
    this.id = id;
  }

  String id() {
    return id;
  }

  boolean isState() {
    return this == HN || this == CN;
  }

  private boolean isIn(RnnSpec spec) {
    return switch (this) {
      case Y, HN -> true;
      case CN -> spec.cell().hasCellState();
      default -> spec.outputs() > 0;
    };
  }

  /** The shape with B first. */
  Shape shape(RnnSpec spec, long batch, long steps) {
    return switch (this) {
      case Y -> new Shape(batch, steps, spec.outputSize());
      case LOGITS, LOG_PROBABILITIES -> new Shape(batch, steps, spec.outputs());
      case TARGET_LOG_PROBABILITIES -> new Shape(batch, steps);
      case HN, CN -> new Shape(batch, spec.slots(), spec.hiddenSize());
    };
  }

  /**
   * The outputs of a network.
   *
   * @param names as the option {@code outputs} lists them; empty for the usual ones
   * @throws IllegalArgumentException if the network does not have one, or one is named twice
   */
  static List<Output> of(RnnSpec spec, List<String> names) {
    List<Output> all = Arrays.stream(values()).filter(output -> output.isIn(spec)).toList();
    if (names.isEmpty()) {
      Output last = spec.outputs() > 0 ? LOGITS : Y;
      return all.stream().filter(output -> output == last || output.isState()).toList();
    }
    List<Output> outputs = new ArrayList<>();
    for (String name : names) {
      Output output =
          all.stream()
              .filter(any -> any.id.equals(name) && !outputs.contains(any))
              .findFirst()
              .orElseThrow(
                  () ->
                      new IllegalArgumentException(
                          ("option outputs: expected some of "
                                  + all.stream().map(Output::id).toList())
                              + (", each once, got " + names)));
      outputs.add(output);
    }
    return outputs;
  }
}
