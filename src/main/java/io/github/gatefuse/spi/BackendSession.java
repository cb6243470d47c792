// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.GatefuseException;

/**
 * A workspace of a backend's model.
 *
 * <p>Used by one thread at a time, its calls included; the caller sees to that.
 */
public interface BackendSession extends AutoCloseable {
  /**
   * Makes a call that can be prepared once and run many times.
   *
   * @return a call without any buffer; it needs no close, and is not run after the session's close
   */
  BackendCall call();

  /**
   * Makes a way back that can be prepared once and run many times. Called only where the session's
   * options keep something for it, one of {@link BackendModel#backwards}.
   *
   * @return a call without any buffer; it needs no close, and is not run after the session's close
   */
  default BackendBackwardCall backward() {
    throw new UnsupportedOperationException("backward: the backend goes forward only");
  }

  /**
   * How this session runs.
   *
   * @return the same path at every time
   */
  ExecutionPath path();

  /**
   * The size of the workspace.
   *
   * @return bytes, outside or inside the Java heap
   */
  long bytes();

  /**
   * Waits until all enqueued calls are complete. There are none without {@link
   * BackendModel#hasStreams}.
   *
   * @throws GatefuseException if one of them failed
   */
  default void synchronize() {}

  /** Frees the workspace. Called once, never during a call, and after {@link #synchronize}. */
  @Override
  void close();
}
