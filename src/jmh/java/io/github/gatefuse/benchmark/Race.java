// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Cell;
import java.util.Locale;

/**
 * What contenders are compared in: ours with the best peer of the same race. The weights and the
 * input are float32 in all, and so is the output.
 */
enum Race {
  /** The standard LSTM. */
  STANDARD(Cell.LSTM, "float32"),
  /** The refine LSTM. */
  REFINE(Cell.LSTM_REFINE, "float32"),
  /** The standard LSTM, operands of its products rounded to bfloat16. */
  BFLOAT16(Cell.LSTM, "bfloat16"),
  /** The standard LSTM, operands of its products rounded to int8. */
  INT8(Cell.LSTM, "int8");

  private final Cell cell;
  private final String precision;

  Race(Cell cell, String precision) {
    this.cell = cell;
    this.precision = precision;
  }

  /** The name on the command line and in reports. */
  String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** By its {@link #id}. */
  static Race of(String id) {
    return valueOf(id.toUpperCase(Locale.ROOT));
  }

  Cell cell() {
    return cell;
  }

  /** The id of a precision; the library need not have it. */
  String precision() {
    return precision;
  }

  /** Whether operands are rounded, which not every contender can do on every processor. */
  boolean isReduced() {
    return !precision.equals("float32");
  }

  /** Largest difference to our float32 outputs, which are below 1. */
  double tolerance() {
    return isReduced() ? 0.02 : 1e-5;
  }
}
