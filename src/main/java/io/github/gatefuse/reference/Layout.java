// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * How the buffers of a call are laid out, and copies between them and the reference's time-major
 * arrays. Immutable and thread-safe.
 */
record Layout(int steps, int batch, boolean batchMajor) {
  /** Copies a tensor; a sequence's first two indices are steps and rows. Null stays null. */
  double[] read(FloatBuffer buffer, long count, boolean sequence) {
    if (buffer == null) {
      return null;
    }
    double[] values = new double[(int) count];
    for (int i = 0; i < values.length; i++) {
      values[i] = buffer.get(index(i, values.length, sequence));
    }
    return values;
  }

  /** The same for integers. */
  int[] read(IntBuffer buffer, long count, boolean sequence) {
    if (buffer == null) {
      return null;
    }
    int[] values = new int[(int) count];
    for (int i = 0; i < values.length; i++) {
      values[i] = buffer.get(index(i, values.length, sequence));
    }
    return values;
  }

  /** Copies a tensor back; a buffer of null does nothing. */
  void write(double[] values, FloatBuffer buffer, boolean sequence) {
    for (int i = 0; buffer != null && i < values.length; i++) {
      buffer.put(index(i, values.length, sequence), (float) values[i]);
    }
  }

  /** Where the buffer has what is at {@code i} in time-major order. */
  private int index(int i, int count, boolean sequence) {
    if (!batchMajor || !sequence) {
      return i;
    }
    int width = count / (steps * batch);
    int row = i / width;
    return ((row % batch) * steps + row / batch) * width + i % width;
  }
}
