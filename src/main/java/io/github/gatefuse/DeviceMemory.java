// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.DeviceBlock;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Memory of the device that a network is on, for programs without a CUDA runtime of their own:
 * states above all, which then never cross the bus. {@link Rnn#deviceMemory} makes it.
 *
 * <pre>{@code
 * try (DeviceMemory states = rnn.deviceMemory(2 * size)) {          // size: L*D * capacity * H
 *   FloatPointer h = states.floats(0, size), c = states.floats(size, size);
 *   ForwardCall call = session.call().input(x).state(h, c).stateRows(rows, capacity).output(y);
 *   ...
 * }
 * }</pre>
 *
 * <p>Copies are complete on return, but they do not wait for calls that were {@linkplain
 * ForwardCall#enqueue enqueued}: the caller does, by {@link Session#synchronize}.
 *
 * <p>Not thread-safe: one thread at a time.
 */
public final class DeviceMemory implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(DeviceMemory.class);

  private final DeviceBlock block;
  private final long count;
  private final LeakReport leak;
  private boolean closed;

  /** Through which arrays are copied. */
  private FloatBuffer staged = direct(0);

  DeviceMemory(DeviceBlock block, long count) {
    this.block = block;
    this.count = count;
    this.leak =
        LeakReport.watch(
            this, "Device memory", report -> LOG.warn(report.message(), report.creation()));
  }

  /**
   * The size.
   *
   * @return values of float32
   */
  public long count() {
    return count;
  }

  /**
   * A part of the memory, for a {@link ForwardCall} or a {@link BackwardCall}.
   *
   * @param at the first value
   * @param count how many, at least 1
   * @return a new pointer, good until close
   * @throws IllegalArgumentException if there are not so many
   * @throws IllegalStateException after close
   */
  public FloatPointer floats(long at, long count) {
    checkOpen();
    if (at < 0 || count < 1 || at > this.count - count) {
      throw new IllegalArgumentException(
          ("floats: expected a part of the " + this.count + " values, got ")
              + ("at " + at + ", count " + count));
    }
    return block.memory().getPointer(at).capacity(count);
  }

  /**
   * Copies pieces that lie apart to the host, such as one stream's part of every slot of a state.
   *
   * @param at the first value of the first piece
   * @param stride from the beginning of a piece to that of the next one, at least the width
   * @param width the values of a piece, at least 1
   * @param values where the pieces go, one after another: a whole number of them
   * @throws IllegalArgumentException if the pieces are not within the memory
   * @throws IllegalStateException after close
   * @throws GatefuseException if the backend fails
   */
  public void read(long at, long stride, int width, float[] values) {
    int pieces = checkedPieces(at, stride, width, values.length);
    block.read(at, stride, pieces, width, staged);
    Reference.reachabilityFence(this);
    staged.get(0, values);
  }

  /**
   * Copies from the host into pieces that lie apart; see {@link #read}.
   *
   * @param at the first value of the first piece
   * @param stride from the beginning of a piece to that of the next one, at least the width
   * @param width the values of a piece, at least 1
   * @param values of the pieces, one after another: a whole number of them
   * @throws IllegalArgumentException if the pieces are not within the memory
   * @throws IllegalStateException after close
   * @throws GatefuseException if the backend fails
   */
  public void write(long at, long stride, int width, float[] values) {
    int pieces = checkedPieces(at, stride, width, values.length);
    staged.put(0, values);
    block.write(at, stride, pieces, width, staged);
    Reference.reachabilityFence(this);
  }

  private int checkedPieces(long at, long stride, int width, int length) {
    checkOpen();
    if (width < 1 || length < 1 || length % width != 0) {
      throw new IllegalArgumentException(
          "values: expected a whole number of pieces of " + width + ", got " + length + " values");
    }
    if (length > Integer.MAX_VALUE / Float.BYTES) {
      throw new IllegalArgumentException(
          "values: expected at most 2^29-1 at a time, got " + length);
    }
    int pieces = length / width;
    if (at < 0
        || at > count - width
        || stride < width
        || pieces > 1 && stride > (count - width - at) / (pieces - 1)) {
      throw new IllegalArgumentException(
          ("pieces: expected " + pieces + " of " + width + " that lie within the ")
              + (count + " values, got at " + at + ", stride " + stride));
    }
    if (staged.capacity() < length) {
      staged = direct(length);
    }
    return pieces;
  }

  private static FloatBuffer direct(int count) {
    return ByteBuffer.allocateDirect(count * Float.BYTES)
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }

  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("device memory is closed");
    }
  }

  /** Frees the memory, which no call may use any more. A second close does nothing. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    leak.closed();
    block.close();
  }
}
