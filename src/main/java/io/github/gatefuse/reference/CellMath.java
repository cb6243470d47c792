// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Cell;

/**
 * A cell: what it needs of the driver, and its pointwise mathematics for one unit.
 *
 * <p>The driver {@link LayerDirection} fills a {@link Step} with pre-activations, runs the
 * cumulative softmax of chunked blocks, and then calls {@link #forward} for every unit. On the way
 * back it calls {@link #backward} for every unit of the same step, and carries on what comes out.
 * Implementations have no state and are thread-safe.
 */
abstract class CellMath {
  /** Says that a cell has no block of some kind. */
  static final int NONE = -1;

  /** The mathematics of a cell. */
  static CellMath of(Cell cell) {
    return switch (cell) {
      case LSTM -> new Lstm();
      case LSTM_TIED -> new LstmTied();
      case LSTM_REFINE -> new LstmRefine();
      case LSTM_CUMAX -> new LstmCumax();
      case LSTM_CUMAX_REFINE -> new LstmCumaxRefine();
      case ONLSTM -> new Onlstm();
      case GRU -> new Gru();
      case GRU_REFINE -> new GruRefine();
      case GRU_RESET_BEFORE -> new GruResetBefore();
      case GRU_REFINE_RESET_BEFORE -> new GruRefineResetBefore();
    };
  }

  /**
   * The block whose W x + b and R h + b' stay apart, because the cell puts its pre-activation
   * together itself.
   */
  int apart() {
    return NONE;
  }

  /**
   * The block whose recurrent rows multiply {@link #gated} in place of h, after all other blocks
   * are known: a second product inside the step.
   */
  int secondProduct() {
    return NONE;
  }

  /** What the second product multiplies, for unit j. */
  double gated(Step s, int j) {
    return s.h[j];
  }

  /**
   * The way back through {@link #gated}, for unit j.
   *
   * @param dGated the gradient by what the second product multiplies
   */
  void gatedBackward(Step s, StepGradient d, int j, double dGated) {
    throw new UnsupportedOperationException("no second product");
  }

  /** One step of unit j: reads the pre-activations and the old state, sets the new state. */
  abstract void forward(Step s, int j);

  /**
   * The way back through {@link #forward}: reads the step and the gradient by the new state, sets
   * the gradient by every pre-activation and by the old state, products apart.
   */
  abstract void backward(Step s, StepGradient d, int j);
}
