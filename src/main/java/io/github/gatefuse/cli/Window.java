// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.util.Arrays;

/**
 * Some consecutive lines, held together so that they can be scored in the order of their lengths.
 * The bytes of all lines lie in one array; the last line may still be growing. Not thread-safe.
 */
final class Window {
  private final int capacity;
  private byte[] bytes = new byte[1 << 16];
  private int used;

  private int count;
  private int[] starts = new int[1 << 10];
  private int[] lengths = new int[1 << 10];
  private int[] files = new int[1 << 10];
  private long[] numbers = new long[1 << 10];

  /**
   * Makes an empty window.
   *
   * @param capacity bytes and line ends after which it is full
   */
  Window(int capacity) {
    this.capacity = capacity;
  }

  /** Adds bytes to the growing line. */
  void append(byte[] source, int offset, int length) {
    if (length > bytes.length - used) {
      long wanted = Math.max((long) used + length, 2L * bytes.length);
      bytes = Arrays.copyOf(bytes, (int) Math.min(wanted, Integer.MAX_VALUE - 8));
    }
    System.arraycopy(source, offset, bytes, used, length);
    used += length;
  }

  /** Ends the growing line. */
  void endLine(int file, long number) {
    if (count == starts.length) {
      starts = Arrays.copyOf(starts, 2 * count);
      lengths = Arrays.copyOf(lengths, 2 * count);
      files = Arrays.copyOf(files, 2 * count);
      numbers = Arrays.copyOf(numbers, 2 * count);
    }
    starts[count] = used - growing();
    lengths[count] = growing();
    files[count] = file;
    numbers[count] = number;
    count++;
  }

  /** The bytes of the growing line. */
  int growing() {
    return count == 0 ? used : used - starts[count - 1] - lengths[count - 1];
  }

  /** The bytes of the growing line, which are taken out of the window. */
  byte[] takeGrowing() {
    int length = growing();
    used -= length;
    return Arrays.copyOfRange(bytes, used, used + length);
  }

  boolean isFull() {
    return (long) used + count >= capacity;
  }

  /** Forgets all lines that have ended; there must be no growing one. */
  void clear() {
    count = 0;
    used = 0;
  }

  /** The number of lines that have ended. */
  int count() {
    return count;
  }

  byte[] bytes() {
    return bytes;
  }

  int start(int line) {
    return starts[line];
  }

  int length(int line) {
    return lengths[line];
  }

  int file(int line) {
    return files[line];
  }

  long number(int line) {
    return numbers[line];
  }

  /** The lines from the longest to the shortest. */
  int[] byLength() {
    long[] keys = new long[count];
    for (int i = 0; i < count; i++) {
      keys[i] = (long) lengths[i] << 32 | i;
    }
    Arrays.sort(keys);
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      order[i] = (int) keys[count - 1 - i];
    }
    return order;
  }
}
