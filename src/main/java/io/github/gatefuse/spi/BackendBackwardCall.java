// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.GatefuseException;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;

/**
 * One prepared way back through a session's last forward call: the memory, the shape, and then runs
 * without any allocation.
 *
 * <p>Used by one thread at a time together with its session; the caller sees to that, and that
 * there was a forward call which succeeded, whose input is as it was and still reachable, and after
 * which the model was not updated.
 */
public interface BackendBackwardCall {
  /**
   * Sets a buffer in host memory, or removes what is set. It stays in use until it is replaced; the
   * implementation keeps it reachable.
   *
   * @param gradient which one
   * @param buffer direct, of native byte order, naturally aligned, whose values begin at index 0;
   *     null for none
   */
  void bind(Gradient gradient, FloatBuffer buffer);

  /**
   * Sets memory of the model's device. Called only where there is {@link BackendModel#hasStreams}.
   *
   * @param gradient which one
   * @param memory naturally aligned, whose values begin at its position; nobody changes the object
   */
  default void bind(Gradient gradient, FloatPointer memory) {
    throw new UnsupportedOperationException("device memory");
  }

  /**
   * Says what happens to the gradients by the parameters.
   *
   * @param value true: they are added to what is there; false, as at first: they are written
   */
  void accumulate(boolean value);

  /**
   * Tells the shape of the forward call that the runs which follow go back through. Called before
   * the first run and whenever the shape or a buffer changes.
   *
   * @param steps T
   * @param batch B
   * @param batchMajor whether the first two indices are [B, T] and not [T, B]
   */
  void shape(int steps, int batch, boolean batchMajor);

  /**
   * Goes back through the session's last forward call. May be called again after the same one.
   *
   * @throws IllegalArgumentException if the backend refuses the arguments
   * @throws GatefuseException if the backend fails
   */
  void run();

  /**
   * Puts a run on the stream of the forward call and returns; {@link BackendSession#synchronize}
   * waits for it. Without streams it is a run.
   *
   * @throws IllegalArgumentException if the backend refuses the arguments
   * @throws GatefuseException if the backend fails, in an earlier run perhaps
   */
  default void enqueue() {
    run();
  }
}
