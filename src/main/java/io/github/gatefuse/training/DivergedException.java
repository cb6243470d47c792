// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

/**
 * A training met a number that is not finite: in its data, in the loss or in the gradient. The
 * parameters are those of before the step, and may be saved or gone on from with another batch.
 */
public final class DivergedException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The step that was not taken. */
  private final long step;

  DivergedException(long step, String what) {
    super("step " + step + ": " + what);
    this.step = step;
  }

  /**
   * The step that was not taken.
   *
   * @return 0 for the first
   */
  public long step() {
    return step;
  }
}
