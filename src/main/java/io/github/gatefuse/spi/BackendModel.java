// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.SessionOptions;

/**
 * A network with its weights packed for a backend.
 *
 * <p>Implementations are immutable and thread-safe; the caller closes a model once, after all of
 * its sessions.
 */
public interface BackendModel extends AutoCloseable {
  /**
   * Makes a session. Any number may be open.
   *
   * @param options its capacity
   * @return a session that the caller owns
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
