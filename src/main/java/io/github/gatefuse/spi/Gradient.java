// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.RnnSpec;

/**
 * The gradients that a way back reads and writes: each has the shape of the {@link Argument} that
 * it is the gradient by, and the layout of the session's last forward call.
 *
 * <p>Immutable and thread-safe.
 */
public enum Gradient {
  /** By y, read; zeros without it. Not read past a sequence's length. */
  OUTPUT("outputGradient", Argument.OUTPUT, false),
  /** By h after the last step, read; zeros without it. */
  FINAL_HIDDEN("finalStateGradient.h", Argument.FINAL_HIDDEN, false),
  /** By c after the last step, read; zeros without it. */
  FINAL_CELL("finalStateGradient.c", Argument.FINAL_CELL, false),
  /** By the logits, read; zeros without it. Not read past a sequence's length. */
  LOGITS("logitsGradient", Argument.LOGITS, false),
  /** By x, written; 0 past a sequence's length. */
  INPUT("inputGradient", Argument.INPUT, true),
  /** By h before the first step, written. May be the same memory as {@link #FINAL_HIDDEN}. */
  INITIAL_HIDDEN("initialStateGradient.h", Argument.INITIAL_HIDDEN, true),
  /** By c before the first step, written. May be the same memory as {@link #FINAL_CELL}. */
  INITIAL_CELL("initialStateGradient.c", Argument.INITIAL_CELL, true),
  /**
   * By all parameters, one tensor after another in the order of {@link RnnSpec#parameters()},
   * written or added to.
   */
  PARAMETERS("parameterGradients", null, true);

  private final String label;

  /** Null for the parameters. */
  private final Argument argument;

  private final boolean written;

  Gradient(String label, Argument argument, boolean written) {
    this.label = label;
    this.argument = argument;
    this.written = written;
  }

  /**
   * The name in messages, that of the setter in {@link io.github.gatefuse.BackwardCall}.
   *
   * @return such as {@code outputGradient}
   */
  public String label() {
    return label;
  }

  /**
   * Whether a call writes it.
   *
   * @return true for a result, false for what is given
   */
  public boolean written() {
    return written;
  }

  /**
   * Whether the first two indices are steps and rows, in the order of the forward call.
   *
   * @return false for states and parameters
   */
  public boolean sequence() {
    return argument != null && argument.sequence();
  }

  /**
   * The number of values.
   *
   * @param spec the network
   * @param steps T of the forward call
   * @param batch B of the forward call
   * @return the product of the shape
   */
  public long count(RnnSpec spec, int steps, int batch) {
    return argument == null
        ? spec.parameters().stream().mapToLong(RnnSpec.Parameter::count).sum()
        : argument.count(spec, steps, batch);
  }

  /**
   * The shape in words.
   *
   * @param spec the network
   * @param steps T of the forward call
   * @param batch B of the forward call
   * @param batchMajor whether a sequence's first two indices are [B, T]
   * @return such as {@code [T=20, B=8, I=64]}
   */
  public String shape(RnnSpec spec, int steps, int batch, boolean batchMajor) {
    return argument == null
        ? "[" + count(spec, steps, batch) + "]"
        : argument.shape(spec, steps, batch, batchMajor);
  }
}
