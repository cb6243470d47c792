// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Tier;
import java.util.Set;

/**
 * A network with its weights packed for a backend.
 *
 * <p>Implementations are immutable and thread-safe; the caller closes a model once, after all of
 * its sessions.
 */
public interface BackendModel extends AutoCloseable {
  /**
   * The tiers that may be asked for. Which one fits, {@link #session} says.
   *
   * @return {@link Tier#AUTO} alone, unless an implementation has more
   */
  default Set<Tier> tiers() {
    return Set.of(Tier.AUTO);
  }

  /**
   * Whether a session can multiply with its device's vendor's library.
   *
   * @return false, unless an implementation has that
   */
  default boolean hasVendorProducts() {
    return false;
  }

  /**
   * Whether calls take device memory and streams, and can be enqueued.
   *
   * @return false, unless an implementation has them
   */
  default boolean hasStreams() {
    return false;
  }

  /**
   * Makes a session. Any number may be open.
   *
   * @param options its capacity, one of the tiers, and products that there are
   * @return a session that the caller owns
   * @throws IllegalArgumentException if the tier does not fit the network or the device
   * @throws GatefuseException if memory runs out
   */
  BackendSession session(SessionOptions options);

  /**
   * The size of the packed weights.
   *
   * @return bytes, outside or inside the Java heap
   */
  long bytes();

  /** Frees the weights. Called once, when no session is open. */
  @Override
  void close();
}
