// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.GatefuseException;
import java.nio.Buffer;
import org.bytedeco.javacpp.Pointer;

/**
 * One prepared call of a session: the memory, the shape, and then runs without any allocation.
 *
 * <p>Used by one thread at a time together with its session; the caller sees to that.
 */
public interface BackendCall {
  /**
   * Sets a buffer in host memory, or removes what is set. It stays in use until it is replaced; the
   * implementation keeps it reachable.
   *
   * @param argument which one
   * @param buffer direct, of native byte order, naturally aligned, whose values begin at index 0; a
   *     {@link java.nio.FloatBuffer}, or a {@link java.nio.IntBuffer} for an argument of integers;
   *     null for none
   */
  void bind(Argument argument, Buffer buffer);

  /**
   * Sets memory of the model's device. Called only where there is {@link BackendModel#hasStreams}.
   *
   * @param argument which one, none of {@link Argument#perSequence}
   * @param memory naturally aligned, whose values begin at its position; a {@link
   *     org.bytedeco.javacpp.FloatPointer}, or an {@link org.bytedeco.javacpp.IntPointer} for an
   *     argument of integers; nobody changes the object
   */
  default void bind(Argument argument, Pointer memory) {
    throw new UnsupportedOperationException("device memory");
  }

  /**
   * Sets the stream of the runs that follow. Called only where there is {@link
   * BackendModel#hasStreams}.
   *
   * @param stream whose address is the stream's handle; null for the session's own
   */
  default void stream(Pointer stream) {
    throw new UnsupportedOperationException("streams");
  }

  /**
   * Says what the regularization of the session does in the runs that follow; at first nothing is
   * drawn. Without regularization it does nothing.
   *
   * @param training whether masks are drawn
   * @param draw the number of the draw, where they are
   */
  default void training(boolean training, long draw) {}

  /**
   * Sets the rows of the states for runs with {@link Argument#STATE_ROWS}. Called before {@link
   * #shape}, and only where there is {@link BackendModel#hasStateRows}.
   *
   * @param rows of each slot, at least 1
   */
  default void stateCapacity(int rows) {
    throw new UnsupportedOperationException("state rows");
  }

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
   * Runs the network on the memory as it is set, all of it of one kind but what is {@linkplain
   * Argument#perSequence per sequence}; states may be on the device where the rest is on the host.
   *
   * @throws IllegalArgumentException if the backend refuses the arguments
   * @throws GatefuseException if the backend fails
   */
  void run();

  /**
   * Puts a run on the stream and returns; {@link BackendSession#synchronize} waits for it. Without
   * streams it is a run.
   *
   * @throws IllegalArgumentException if the backend refuses the arguments
   * @throws GatefuseException if the backend fails, in an earlier run perhaps
   */
  default void enqueue() {
    run();
  }
}
