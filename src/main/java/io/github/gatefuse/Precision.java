// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What the operands of matrix products are rounded to: weights, inputs of layers, and hidden states
 * as a product reads them. Sums, biases, gates, cell states, and hidden states as they are carried
 * and given out are float32 in each.
 *
 * <p>Immutable and thread-safe.
 */
public enum Precision {
  /** Float32: operands are not rounded. */
  FLOAT32("float32"),
  /** 10 bits of fraction and the exponents of float32, to nearest, ties away from zero. */
  TF32("tf32"),
  /** 7 bits of fraction and the exponents of float32, to nearest, ties to even. */
  BFLOAT16("bfloat16"),
  /** IEEE binary16, to nearest, ties to even. A weight beyond 65504 becomes infinite. */
  FLOAT16("float16"),
  /**
   * Whole numbers from -127 to 127 times a scale, such that the largest magnitude is 127, ties to
   * even. The weights of each output have a scale; an input or a hidden state has one for itself,
   * found whenever a product reads it. For inference: nothing is trained in it.
   */
  INT8("int8");

  private final String id;

  Precision(String id) {
    this.id = id;
  }

  /**
   * The name in paths and on the command line, such as {@code bfloat16}.
   *
   * @return the name, lower case
   */
  public String id() {
    return id;
  }

  /**
   * Finds a precision by its {@link #id()}.
   *
   * @param id such as {@code tf32}; case does not matter
   * @return the precision
   * @throws IllegalArgumentException if there is none, naming all that there are
   */
  public static Precision of(String id) {
    for (Precision precision : values()) {
      if (precision.id.equals(id.toLowerCase(Locale.ROOT))) {
        return precision;
      }
    }
    throw new IllegalArgumentException(
        "precision: expected one of "
            + Stream.of(values()).map(Precision::id).collect(Collectors.joining(", "))
            + "; got "
            + id);
  }
}
