// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.Locale;

/**
 * What the runs of a {@link Session} keep for the way back, {@link Session#backward}. The gradients
 * have the same bits either way, but in the tiers slice, cluster and grid of CUDA, where
 * pre-activations that are computed again may differ in their last bits.
 *
 * <p>Immutable and thread-safe.
 */
public enum Backward {
  /** Nothing: the session has no way back. */
  NONE,
  /** Hidden states, cell states and pre-activations of all steps. */
  STORE,
  /**
   * Hidden and cell states. Pre-activations are computed again on the way back: less memory, a
   * little more time.
   */
  RECOMPUTE;

  /**
   * The name in messages, such as {@code recompute}.
   *
   * @return the name, lower case
   */
  public String id() {
    return name().toLowerCase(Locale.ROOT);
  }
}
