// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * How the CUDA backend gets the hidden state of one step to all units of the next. All tiers give
 * results within the same accuracy contract; the bits of two tiers may differ.
 *
 * <p>Immutable and thread-safe.
 */
public enum Tier {
  /** The fastest that fits the network and the device. */
  AUTO,
  /** A product and a pointwise kernel for each step: any size. */
  ALTERNATING,
  /** One block for each slice of the batch: small H. */
  SLICE,
  /** A cluster of blocks for each slice of the batch: compute capability 9.0 and later. */
  CLUSTER,
  /** The whole device for each slice of the batch. */
  GRID;

  /**
   * The name in paths and messages, such as {@code cluster}.
   *
   * @return the name, lower case
   */
  public String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * Finds a tier by its {@link #id()}.
   *
   * @param id such as {@code grid}; case does not matter
   * @return the tier
   * @throws IllegalArgumentException if there is none, naming all that there are
   */
  public static Tier of(String id) {
    for (Tier tier : values()) {
      if (tier.id().equals(id.toLowerCase(Locale.ROOT))) {
        return tier;
      }
    }
    throw new IllegalArgumentException(
        "tier: expected one of "
            + Stream.of(values()).map(Tier::id).collect(Collectors.joining(", "))
            + "; got "
            + id);
  }
}
