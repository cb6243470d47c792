// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import java.util.Arrays;
import java.util.Comparator;

/**
 * What a header says of its tensors, in columns: 26 bytes a tensor, where an object for each would
 * be several times what it takes in the file.
 */
final class TensorTable {
  private static final Dtype[] DTYPES = Dtype.values();

  private final int[] names;
  private final byte[] dtypes;
  private final int[] shapes;
  private final byte[] ranks;
  private final long[] begins;
  private final long[] ends;
  private int count;

  /** Makes an empty table for at most so many tensors. */
  TensorTable(int most) {
    names = new int[most];
    dtypes = new byte[most];
    shapes = new int[most];
    ranks = new byte[most];
    begins = new long[most];
    ends = new long[most];
  }

  /**
   * Adds a tensor.
   *
   * @param name where its name begins in the header
   * @param shape where the list of its dimensions begins
   */
  void add(int name, Dtype dtype, int shape, int rank, long begin, long end) {
    names[count] = name;
    dtypes[count] = (byte) dtype.ordinal();
    shapes[count] = shape;
    ranks[count] = (byte) rank;
    begins[count] = begin;
    ends[count] = end;
    count++;
  }

  int count() {
    return count;
  }

  /** Where the names begin, perhaps followed by unused elements; to be left alone. */
  int[] names() {
    return names;
  }

  Dtype dtype(int tensor) {
    return DTYPES[dtypes[tensor]];
  }

  int shapeAt(int tensor) {
    return shapes[tensor];
  }

  int rank(int tensor) {
    return ranks[tensor];
  }

  long begin(int tensor) {
    return begins[tensor];
  }

  long end(int tensor) {
    return ends[tensor];
  }

  /** The tensors in the order of the data; null if that is the order in which they are. */
  Integer[] order() {
    Comparator<Integer> byRange =
        Comparator.<Integer>comparingLong(i -> begins[i]).thenComparingLong(i -> ends[i]);
    boolean ordered = true;
    for (int i = 1; i < count; i++) {
      ordered &= begins[i - 1] < begins[i] || begins[i - 1] == begins[i] && ends[i - 1] <= ends[i];
    }
    if (ordered) {
      return null;
    }
    Integer[] order = new Integer[count];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, byRange);
    return order;
  }
}
