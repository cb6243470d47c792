// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.training.BatchSource;
import java.util.Objects;

/**
 * What a network is judged by and never learns from: the same for every seed.
 *
 * <p>Immutable and thread-safe.
 *
 * @param source the batches 0 to count-1
 * @param count of batches
 */
public record HeldOut(BatchSource source, long count) {
  /**
   * Checks that there is a batch.
   *
   * @param source not null
   * @param count at least 1
   */
  public HeldOut {
    Objects.requireNonNull(source, "source");
    if (count < 1) {
      throw new IllegalArgumentException("held-out batches: expected at least 1, got " + count);
    }
  }

  /**
   * The first few batches, for a quick look.
   *
   * @param most at least 1
   * @return these, or fewer where there are fewer
   */
  public HeldOut first(long most) {
    return new HeldOut(source, Math.min(count, most));
  }
}
