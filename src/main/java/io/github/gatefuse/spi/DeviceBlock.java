// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.GatefuseException;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;

/**
 * Memory of a model's device, and how its values come to the host and back.
 *
 * <p>Used by one thread at a time; the caller sees to that, and to bounds.
 */
public interface DeviceBlock extends AutoCloseable {
  /**
   * All of it, zeros at first.
   *
   * @return a pointer whose capacity is set; nobody changes the object
   */
  FloatPointer memory();

  /**
   * Copies pieces that lie apart to the host, one after another. Complete on return; calls that
   * write the memory are complete before.
   *
   * @param at the first value of the first piece
   * @param stride from a piece to the next one, in values
   * @param pieces how many
   * @param width the values of a piece
   * @param to direct and of native byte order, pieces * width values from index 0
   * @throws GatefuseException if the backend fails
   */
  void read(long at, long stride, int pieces, int width, FloatBuffer to);

  /**
   * The way back of {@link #read}.
   *
   * @param at the first value of the first piece
   * @param stride from a piece to the next one, in values
   * @param pieces how many
   * @param width the values of a piece
   * @param from direct and of native byte order, pieces * width values from index 0
   * @throws GatefuseException if the backend fails
   */
  void write(long at, long stride, int pieces, int width, FloatBuffer from);

  /** Frees the memory. Called once, when no call uses it any more. */
  @Override
  void close();
}
