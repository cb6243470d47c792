// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.GatefuseException;
import java.nio.Buffer;

/**
 * One prepared call of a session: the buffers, the shape, and then runs without any allocation.
 *
 * <p>Used by one thread at a time together with its session; the caller sees to that.
 */
public interface BackendCall {
  /**
   * Sets or removes a buffer. It stays in use until it is replaced; the implementation keeps it
   * reachable.
   *
   * @param argument which one
   * @param buffer direct, of native byte order, naturally aligned, whose values begin at index 0; a
   *     {@link java.nio.FloatBuffer}, or a {@link java.nio.IntBuffer} for an argument of integers;
   *     null for none
   */
  void bind(Argument argument, Buffer buffer);

  /**
   * Sets the shape of the runs that follow. Called before the first run and whenever the shape
   * changes.
   *
   * @param steps T, 1 to the session's largest
   * @param batch B, 1 to the session's largest
   * @param batchMajor whether the first two indices are [B, T] and not [T, B]
   */
  void shape(int steps, int batch, boolean batchMajor);

  /**
   * Runs the network on the buffers as they are set.
   *
   * @throws IllegalArgumentException if the backend refuses the arguments
   * @throws GatefuseException if the backend fails
   */
  void run();
}
