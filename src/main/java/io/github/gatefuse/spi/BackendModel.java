// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.Backward;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.Parameters;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Tier;
import java.util.Set;

/**
 * A network with its weights packed for a backend.
 *
 * <p>Implementations are thread-safe, and immutable but for {@link #update}; the caller closes a
 * model once, after all of its sessions.
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
   * Allocates memory of the model's device. Called only where there is {@link #hasStreams}.
   *
   * @param floats at least 1
   * @return memory of zeros, that the caller owns; it may outlive the model
   * @throws GatefuseException if memory runs out
   */
  default DeviceBlock deviceMemory(long floats) {
    throw new UnsupportedOperationException("device memory");
  }

  /**
   * What sessions can keep for a way back.
   *
   * @return {@link Backward#NONE} alone, unless an implementation has more
   */
  default Set<Backward> backwards() {
    return Set.of(Backward.NONE);
  }

  /**
   * Whether sessions can have a {@link io.github.gatefuse.Regularization}.
   *
   * @return false, unless an implementation has that
   */
  default boolean hasRegularization() {
    return false;
  }

  /**
   * Whether calls take {@link Argument#STATE_ROWS}, in sessions that keep nothing for a way back.
   *
   * @return false, unless an implementation has that
   */
  default boolean hasStateRows() {
    return false;
  }

  /**
   * Replaces the values of all parameters. Called when no session is in use and no call enqueued,
   * and by one thread at a time.
   *
   * @param parameters of the model's network, read before the call returns
   * @throws GatefuseException if the backend fails
   */
  default void update(Parameters parameters) {
    throw new UnsupportedOperationException(
        "update: the backend cannot replace the parameters of a network");
  }

  /**
   * Makes a session. Any number may be open.
   *
   * @param options its capacity, one of the tiers, products that there are and one of the ways back
   * @return a session that the caller owns
   * @throws IllegalArgumentException if the tier does not fit the network or the device
   * @throws GatefuseException if memory runs out
   */
  BackendSession session(SessionOptions options);

  /**
   * The size of the workspace that such a session would have. Makes one to find out, unless an
   * implementation knows.
   *
   * @param options as for a session
   * @return bytes, outside or inside the Java heap
   * @throws IllegalArgumentException if the tier does not fit the network or the device
   * @throws GatefuseException if memory runs out
   */
  default long sessionBytes(SessionOptions options) {
    try (BackendSession session = session(options)) {
      return session.bytes();
    }
  }

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
