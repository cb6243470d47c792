// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/** Direct buffers, from and to which the device copies. Thread-safe. */
final class HostBuffers {
  private HostBuffers() {}

  /**
   * Makes a buffer.
   *
   * @param count the number of values
   * @param name what it is for, in messages
   * @throws IllegalArgumentException if no Java buffer can hold so many
   */
  static FloatBuffer floats(long count, String name) {
    if (count > Integer.MAX_VALUE / Float.BYTES) {
      throw new IllegalArgumentException(
          ""
              + name
              + ": expected at most 2^29-1 values, which a Java buffer can hold; got "
              + count);
    }
    return bytes((int) count).asFloatBuffer();
  }

  static IntBuffer ints(int count) {
    return bytes(count).asIntBuffer();
  }

  private static ByteBuffer bytes(int values) {
    return ByteBuffer.allocateDirect(Float.BYTES * values).order(ByteOrder.nativeOrder());
  }
}
