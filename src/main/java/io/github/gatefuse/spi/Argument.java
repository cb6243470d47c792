// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.RnnSpec;
import java.util.function.ToIntFunction;

/**
 * The inputs and outputs of a call, with their shapes. Buffers of a session's calls may be larger
 * than the shape; only its values are read or written.
 *
 * <p>Immutable and thread-safe.
 */
public enum Argument {
  /** x [T, B, I], read; for networks without an embedding. */
  INPUT("input", Form.SEQUENCE, false, false, "I", RnnSpec::inputSize),
  /** Tokens [T, B], read, each 0 to V-1; for networks with an embedding. */
  TOKENS("tokens", Form.SEQUENCE, true, false, "", spec -> 1),
  /** Lengths [B], read, each 1 to T; without them every sequence has T steps. */
  LENGTHS("lengths", Form.ROWS, true, false, "", spec -> 1),
  /**
   * h before the first step [L*D, B, H], read; zeros without it. May be the same memory as {@link
   * #FINAL_HIDDEN}.
   */
  INITIAL_HIDDEN("initialState.h", Form.STATE, false, false, "H", RnnSpec::hiddenSize),
  /**
   * c before the first step [L*D, B, H], read; zeros without it. May be the same memory as {@link
   * #FINAL_CELL}.
   */
  INITIAL_CELL("initialState.c", Form.STATE, false, false, "H", RnnSpec::hiddenSize),
  /** y [T, B, D*H], written: the hidden states of the last layer, 0 past a sequence's length. */
  OUTPUT("output", Form.SEQUENCE, false, true, "D*H", RnnSpec::outputSize),
  /** h after each sequence's last step [L*D, B, H], written. */
  FINAL_HIDDEN("finalState.h", Form.STATE, false, true, "H", RnnSpec::hiddenSize),
  /** c after each sequence's last step [L*D, B, H], written. */
  FINAL_CELL("finalState.c", Form.STATE, false, true, "H", RnnSpec::hiddenSize),
  /** Targets [T, B], read, each 0 to O-1; for {@link #TARGET_LOG_PROBABILITIES}. */
  TARGETS("targets", Form.SEQUENCE, true, false, "", spec -> 1),
  /** The head's outputs [T, B, O], written. */
  LOGITS("logits", Form.SEQUENCE, false, true, "O", RnnSpec::outputs),
  /** The log-softmax of the head's outputs [T, B, O], written. */
  LOG_PROBABILITIES("logProbabilities", Form.SEQUENCE, false, true, "O", RnnSpec::outputs),
  /** The natural logarithm of each target's probability [T, B], written. */
  TARGET_LOG_PROBABILITIES("targetLogProbabilities", Form.SEQUENCE, false, true, "", spec -> 1),
  /**
   * Rows of the states [B], read, no two the same: sequence b begins with and leaves that row of
   * them, and the B in the shapes of states is their capacity. Without them row b is sequence b's.
   */
  STATE_ROWS("stateRows", Form.ROWS, true, false, "", spec -> 1);

  private enum Form {
    SEQUENCE,
    ROWS,
    STATE
  }

  private final String label;
  private final Form form;
  private final boolean integers;
  private final boolean written;
  private final String width;
  private final ToIntFunction<RnnSpec> widthOf;

  Argument(
      String label,
      Form form,
      boolean integers,
      boolean written,
      String width,
      ToIntFunction<RnnSpec> widthOf) {
    this.label = label;
    this.form = form;
    this.integers = integers;
    this.written = written;
    this.width = width;
    this.widthOf = widthOf;
  }

  /**
   * The name in messages, that of the setter in {@link io.github.gatefuse.ForwardCall}.
   *
   * @return such as {@code input}
   */
  public String label() {
    return label;
  }

  /**
   * Whether the values are 32-bit integers.
   *
   * @return true for integers, false for floats
   */
  public boolean integers() {
    return integers;
  }

  /**
   * Whether a call writes it.
   *
   * @return true for an output, false for an input
   */
  public boolean written() {
    return written;
  }

  /**
   * Whether the first two indices are steps and rows, in the order that the call chooses.
   *
   * @return false for lengths and states
   */
  public boolean sequence() {
    return form == Form.SEQUENCE;
  }

  /**
   * Whether it is a state.
   *
   * @return true for h and c, initial and final
   */
  public boolean state() {
    return form == Form.STATE;
  }

  /**
   * Whether it is one number for each sequence, always in host memory.
   *
   * @return true for lengths and state rows
   */
  public boolean perSequence() {
    return form == Form.ROWS;
  }

  /**
   * The number of values in a call.
   *
   * @param spec the network
   * @param steps T
   * @param batch B, with T * B at most 2^31-1; for a state with {@link #STATE_ROWS} its capacity
   * @return the product of the shape
   */
  public long count(RnnSpec spec, int steps, int batch) {
    return switch (form) {
      case SEQUENCE -> (long) steps * batch * widthOf.applyAsInt(spec);
      case ROWS -> batch;
      case STATE -> (long) spec.slots() * batch * widthOf.applyAsInt(spec);
    };
  }

  /**
   * The shape of a call in words.
   *
   * @param spec the network
   * @param steps T
   * @param batch B
   * @param batchMajor whether a sequence's first two indices are [B, T]
   * @return such as {@code [T=20, B=8, I=64]}
   */
  public String shape(RnnSpec spec, int steps, int batch, boolean batchMajor) {
    String t = "T=" + steps;
    String b = "B=" + batch;
    String first =
        switch (form) {
          case SEQUENCE -> batchMajor ? b + ", " + t : t + ", " + b;
          case ROWS -> b;
          case STATE -> "L*D=" + spec.slots() + ", " + b;
        };
    return "["
        + first
        + (width.isEmpty() ? "" : ", " + width + "=" + widthOf.applyAsInt(spec))
        + "]";
  }
}
