// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.RnnSpec;
import java.lang.reflect.Array;
import java.util.Arrays;

/** Holds the inputs of a call against its network. */
final class InputCheck {
  private InputCheck() {}

  /**
   * Checks everything that the call will read and gives the lengths, all T where there were none.
   */
  static int[] check(RnnSpec spec, ReferenceNetwork.Inputs in) {
    int steps = in.steps();
    int batch = in.batch();
    positive("steps", steps);
    positive("batch", batch);
    boolean tokens = spec.vocabulary() > 0;
    given("input", in.x(), !tokens, tokens ? "takes tokens" : "has no embedding");
    given("tokens", in.tokens(), tokens, tokens ? "takes tokens" : "has no embedding");
    shape("input", in.x(), "T", steps, "B", batch, "I", spec.inputSize());
    shape("tokens", in.tokens(), "T", steps, "B", batch);
    shape("lengths", in.lengths(), "B", batch);
    if (!spec.cell().hasCellState() && in.c0() != null) {
      throw new IllegalArgumentException(
          "initial cell state: expected none for cell " + spec.cell().id() + ", got one");
    }
    shape("initial hidden state", in.h0(), "L*D", spec.slots(), "B", batch, "H", spec.hiddenSize());
    shape("initial cell state", in.c0(), "L*D", spec.slots(), "B", batch, "H", spec.hiddenSize());
    if (spec.outputs() == 0 && (in.targets() != null || in.logits() || in.logProbabilities())) {
      throw new IllegalArgumentException(
          "targets, logits and log-probabilities: expected a network with a head, got outputs=0");
    }
    shape("targets", in.targets(), "T", steps, "B", batch);
    in.regularization().check(spec);
    int[] lengths = lengths(in);
    range("tokens", in.tokens(), spec.vocabulary(), batch, lengths);
    range("targets", in.targets(), spec.outputs(), batch, lengths);
    return lengths;
  }

  /** Checks the gradients that a way back begins with. */
  static void check(
      RnnSpec spec, ReferenceNetwork.Inputs in, ReferenceNetwork.Cotangents cotangents) {
    int steps = in.steps();
    int batch = in.batch();
    if (!spec.cell().hasCellState() && cotangents.dcn() != null) {
      throw new IllegalArgumentException(
          ("gradient by the final cell state: expected none for cell " + spec.cell().id())
              + ", got one");
    }
    if (spec.outputs() == 0 && cotangents.dlogits() != null) {
      throw new IllegalArgumentException(
          "gradient by the logits: expected a network with a head, got outputs=0");
    }
    int slots = spec.slots();
    int hidden = spec.hiddenSize();
    shape("gradient by y", cotangents.dy(), "T", steps, "B", batch, "D*H", spec.outputSize());
    String state = "gradient by the final ";
    shape(state + "hidden state", cotangents.dhn(), "L*D", slots, "B", batch, "H", hidden);
    shape(state + "cell state", cotangents.dcn(), "L*D", slots, "B", batch, "H", hidden);
    shape(
        "gradient by the logits",
        cotangents.dlogits(),
        "T",
        steps,
        "B",
        batch,
        "O",
        spec.outputs());
  }

  private static int[] lengths(ReferenceNetwork.Inputs in) {
    int[] lengths = in.lengths();
    if (lengths == null) {
      lengths = new int[in.batch()];
      Arrays.fill(lengths, in.steps());
    }
    for (int b = 0; b < lengths.length; b++) {
      if (lengths[b] < 1 || lengths[b] > in.steps()) {
        throw new IllegalArgumentException(
            "lengths[" + b + "]: expected 1 to T=" + in.steps() + ", got " + lengths[b]);
      }
    }
    return lengths;
  }

  /** The product of the dimensions, as the length of one Java array. */
  static int count(String name, int... dimensions) {
    long count = 1;
    for (int dimension : dimensions) {
      count *= dimension;
      if (count > Integer.MAX_VALUE) {
        throw new IllegalArgumentException(
            name + ": expected at most 2^31-1 values, got shape " + Arrays.toString(dimensions));
      }
    }
    return (int) count;
  }

  private static void positive(String name, int value) {
    if (value < 1) {
      throw new IllegalArgumentException(name + ": expected at least 1, got " + value);
    }
  }

  private static void given(String name, Object array, boolean expected, String why) {
    if ((array != null) != expected) {
      throw new IllegalArgumentException(
          name + ": expected " + (expected ? "an array" : "null") + ", as the network " + why);
    }
  }

  /** Checks an array, where there is one, against names and sizes of dimensions in turn. */
  private static void shape(String name, Object array, Object... dimensions) {
    if (array == null) {
      return;
    }
    StringBuilder text = new StringBuilder();
    int[] sizes = new int[dimensions.length / 2];
    for (int i = 0; i < sizes.length; i++) {
      sizes[i] = (Integer) dimensions[2 * i + 1];
      text.append(i == 0 ? "" : ", ").append(dimensions[2 * i]).append("=").append(sizes[i]);
    }
    int expected = count(name, sizes);
    if (Array.getLength(array) != expected) {
      throw new IllegalArgumentException(
          name
              + ": expected ["
              + text
              + "] = "
              + expected
              + " values, got "
              + Array.getLength(array));
    }
  }

  private static void range(String name, int[] values, int end, int batch, int[] lengths) {
    for (int at = 0; values != null && at < values.length; at++) {
      boolean valid = at / batch < lengths[at % batch];
      if (valid && (values[at] < 0 || values[at] >= end)) {
        throw new IllegalArgumentException(
            String.format(
                "%s[%d, %d]: expected 0 to %d, got %d",
                name, at / batch, at % batch, end - 1, values[at]));
      }
    }
  }
}
