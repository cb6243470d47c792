// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import java.nio.FloatBuffer;

/** Finds numbers that are none. Stateless. */
final class Finite {
  private static final int CHUNK = 2048;

  private Finite() {}

  /** The index of the first value that is infinite or NaN; -1 for none. */
  static int firstOther(float[] values) {
    return isFinite(values, values.length) ? -1 : search(values, values.length);
  }

  /** The same of the first values of a buffer from its position on. */
  static int firstOther(FloatBuffer values, int count, float[] chunk) {
    for (int first = 0; first < count; first += chunk.length) {
      int size = Math.min(chunk.length, count - first);
      values.get(values.position() + first, chunk, 0, size);
      if (!isFinite(chunk, size)) {
        return first + search(chunk, size);
      }
    }
    return -1;
  }

  static float[] chunk() {
    return new float[CHUNK];
  }

  /** A difference from itself is 0, or else NaN; four sums, so that none waits for another. */
  private static boolean isFinite(float[] values, int count) {
    float a = 0;
    float b = 0;
    float c = 0;
    float d = 0;
    int i = 0;
    for (; i < count - 3; i += 4) {
      a += values[i] - values[i];
      b += values[i + 1] - values[i + 1];
      c += values[i + 2] - values[i + 2];
      d += values[i + 3] - values[i + 3];
    }
    for (; i < count; i++) {
      a += values[i] - values[i];
    }
    return a + b + c + d == 0;
  }

  private static int search(float[] values, int count) {
    int i = 0;
    while (i < count && Float.isFinite(values[i])) {
      i++;
    }
    return i;
  }
}
