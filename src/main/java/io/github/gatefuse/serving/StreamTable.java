// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.serving.ServingException.Reason;
import java.util.Arrays;

/**
 * Which rows of a pool are whose, and in what order they were used last. A stream is a number of
 * its row and of how often that row was given and taken back, so that a number is never given twice
 * (but after 2^30 streams of one row). Not thread-safe.
 */
final class StreamTable {
  private static final int NONE = -1;

  /** By row. Odd while the row is somebody's. */
  private final int[] generation;

  /** When the row was used last, in nanoseconds. */
  private final long[] used;

  // A list of the rows that are somebody's, longest unused first.
  private final int[] before;
  private final int[] after;
  private int oldest = NONE;
  private int newest = NONE;

  private final boolean[] marked;
  private final int[] free;
  private int freeCount;

  StreamTable(int capacity) {
    generation = new int[capacity];
    used = new long[capacity];
    before = new int[capacity];
    after = new int[capacity];
    marked = new boolean[capacity];
    free = new int[capacity];
    Arrays.setAll(free, i -> capacity - 1 - i);
    freeCount = capacity;
  }

  int capacity() {
    return generation.length;
  }

  int open() {
    return capacity() - freeCount;
  }

  long bytes() {
    return capacity() * (4L * Integer.BYTES + Long.BYTES + 1);
  }

  boolean isFull() {
    return freeCount == 0;
  }

  /** Gives a row; the table must not be full. */
  long add(long now) {
    int row = free[--freeCount];
    generation[row]++;
    used[row] = now;
    append(row);
    return (long) generation[row] << Integer.SIZE | row;
  }

  boolean has(long stream) {
    int row = (int) stream;
    return row >= 0
        && row < capacity()
        && generation[row] == stream >> Integer.SIZE
        && generation[row] % 2 != 0;
  }

  /** The row of a stream. */
  int row(long stream) {
    int row = (int) stream;
    if (!has(stream)) {
      throw new ServingException(
          Reason.NO_SUCH_STREAM,
          "stream "
              + stream
              + ": expected an open stream, got one that was closed or evicted, or"
              + " never opened");
    }
    return row;
  }

  void remove(int row) {
    unlink(row);
    generation[row]++;
    free[freeCount++] = row;
  }

  void touch(int row, long now) {
    used[row] = now;
    unlink(row);
    append(row);
  }

  /** The stream that has not been used for longest; the table must not be empty. */
  long oldest() {
    return (long) generation[oldest] << Integer.SIZE | oldest;
  }

  long lastUse(int row) {
    return used[row];
  }

  /**
   * Marks a row of an open stream.
   *
   * @return false if it is marked already
   */
  boolean mark(int row) {
    if (marked[row]) {
      return false;
    }
    marked[row] = true;
    return true;
  }

  void unmark(int row) {
    marked[row] = false;
  }

  private void append(int row) {
    before[row] = newest;
    after[row] = NONE;
    if (newest == NONE) {
      oldest = row;
    } else {
      after[newest] = row;
    }
    newest = row;
  }

  private void unlink(int row) {
    if (before[row] == NONE) {
      oldest = after[row];
    } else {
      after[before[row]] = after[row];
    }
    if (after[row] == NONE) {
      newest = before[row];
    } else {
      before[after[row]] = before[row];
    }
  }
}
