// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * A file in the IDX format of unsigned bytes: two zeros, the type 8, the number of dimensions, each
 * dimension in four bytes, the values.
 *
 * @param shape the dimensions
 * @param values row-major
 */
record Idx(int[] shape, byte[] values) {
  private static final int UNSIGNED_BYTES = 0x08;

  /** Far beyond any set of images that is meant here, and well within an array. */
  private static final int MOST_BYTES = 1 << 30;

  /**
   * Reads a file, gzip or not.
   *
   * @param dimensions how many it must have
   */
  static Idx read(Path path, int dimensions) {
    byte[] bytes = DataFile.readUnpacked(path, MOST_BYTES);
    int header = 4 + 4 * dimensions;
    if (bytes.length < header) {
      throw DataFile.bad(
          path,
          "expected an IDX header of %d bytes, got %d bytes in all".formatted(header, bytes.length),
          null);
    }
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    int magic = buffer.getInt();
    int expected = UNSIGNED_BYTES << 8 | dimensions;
    if (magic != expected) {
      throw DataFile.bad(
          path,
          "expected an IDX file of unsigned bytes in %d dimensions, which begins with %08x, got %08x"
              .formatted(dimensions, expected, magic),
          null);
    }
    int[] shape = new int[dimensions];
    double count = 1;
    for (int i = 0; i < dimensions; i++) {
      shape[i] = buffer.getInt();
      count *= Integer.toUnsignedLong(shape[i]);
    }
    if (count != bytes.length - header || count == 0) {
      throw DataFile.bad(
          path,
          "expected %.0f values for the dimensions %s, and at least one, got %d"
              .formatted(count, unsigned(shape), bytes.length - header),
          null);
    }
    return new Idx(shape, Arrays.copyOfRange(bytes, header, bytes.length));
  }

  private static String unsigned(int[] shape) {
    return Arrays.toString(Arrays.stream(shape).mapToLong(Integer::toUnsignedLong).toArray());
  }
}
