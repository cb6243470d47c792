// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import io.github.gatefuse.io.HeaderText.BadHeader;
import java.util.Arrays;

/**
 * Reads the JSON header of a safetensors file, which may be hostile.
 *
 * <p>It accepts the one structure that the format has and nothing else, so values nest no deeper
 * than the format's three levels whatever the text does. Beside the header's bytes it takes the
 * arrays of the result, of at most {@link #MAX_ENTRIES} elements, and a few objects.
 */
final class HeaderParser {
  /** The most tensors and metadata entries together; a hundred times those of large models. */
  static final int MAX_ENTRIES = 100_000;

  /** The most dimensions of a tensor. */
  static final int MAX_RANK = 32;

  private static final String METADATA = "__metadata__";

  /** What a metadata entry, and a tensor, take at least: so many are the most in a header. */
  private static final int LEAST_TEXT = "\"\":\"\"".length();

  private static final int LEAST_TENSOR =
      "\"\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,0]}".length();

  private static final Dtype[] DTYPES = Dtype.values();

  private final HeaderText text;
  private int at;

  private int entries;
  private final TensorTable tensors;
  private int[] keys = {};
  private int keyCount;
  private boolean hasMetadata;

  /** What the entry being read has said so far; a position or rank of -1 is not yet said. */
  private Dtype dtype;

  private int shapeAt;
  private int rank;
  private final long[] shape = new long[MAX_RANK];
  private int offsetCount;
  private final long[] offsets = new long[2];

  private HeaderParser(HeaderText text) {
    this.text = text;
    this.tensors = new TensorTable(most(LEAST_TENSOR));
  }

  /**
   * Parses a header and holds it against the data.
   *
   * @param bytes the JSON object, perhaps followed by spaces; kept, not copied
   * @param dataBytes the bytes after the header, which the tensors must fill without gap or overlap
   * @throws BadHeader naming the field that is not as it must be
   */
  static Header parse(byte[] bytes, long dataBytes) {
    return new HeaderParser(new HeaderText(bytes)).header(dataBytes);
  }

  private int most(int least) {
    return Math.min(MAX_ENTRIES, text.length() / least);
  }

  private Header header(long dataBytes) {
    if (text.at(0) != '{') {
      throw text.unexpected("'{'", 0);
    }
    object();
    while (at < text.length()) {
      if (text.at(at) != ' ') {
        throw text.unexpected("only spaces after the object", at);
      }
      at++;
    }
    NameIndex names = new NameIndex(text, tensors.names(), tensors.count());
    NameIndex metadata = new NameIndex(text, keys, keyCount);
    checkCoverage(dataBytes);
    return new Header(text, names, metadata, tensors);
  }

  private void object() {
    expect('{');
    if (skip('}')) {
      return;
    }
    do {
      int name = string();
      expect(':');
      if (text.equal(name, METADATA)) {
        metadata();
      } else {
        tensor(name);
      }
    } while (skip(','));
    expect('}');
  }

  private void metadata() {
    refuseTwice(METADATA, hasMetadata);
    hasMetadata = true;
    expect('{');
    if (skip('}')) {
      return;
    }
    keys = new int[most(LEAST_TEXT)];
    do {
      count();
      int key = string();
      expect(':');
      string();
      keys[keyCount++] = key;
    } while (skip(','));
    expect('}');
  }

  private void tensor(int name) {
    count();
    try {
      fields();
      checkBytes();
    } catch (BadHeader bad) {
      throw new BadHeader("tensor " + text.quote(name) + ": " + bad.getMessage());
    }
    tensors.add(name, dtype, shapeAt, rank, offsets[0], offsets[1]);
  }

  private void fields() {
    dtype = null;
    rank = -1;
    offsetCount = -1;
    expect('{');
    do {
      int field = string();
      expect(':');
      if (text.equal(field, "dtype")) {
        refuseTwice("dtype", dtype != null);
        dtype = dtype();
      } else if (text.equal(field, "shape")) {
        refuseTwice("shape", rank >= 0);
        shapeAt = at;
        rank = integers("shape", shape);
      } else if (text.equal(field, "data_offsets")) {
        refuseTwice("data_offsets", offsetCount >= 0);
        offsetCount = integers("data_offsets", offsets);
      } else {
        throw new BadHeader("expected dtype, shape and data_offsets, got " + text.quote(field));
      }
    } while (skip(','));
    expect('}');
    if (dtype == null || rank < 0 || offsetCount != 2) {
      throw new BadHeader("expected dtype, shape and two data_offsets, got less");
    }
  }

  private Dtype dtype() {
    int name = string();
    for (Dtype known : DTYPES) {
      if (text.equal(name, known.name())) {
        return known;
      }
    }
    throw new BadHeader(
        "dtype: expected one of " + Arrays.toString(DTYPES) + ", got " + text.quote(name));
  }

  private void checkBytes() {
    long bytes = dtype.bytes();
    try {
      for (int i = 0; i < rank; i++) {
        bytes = Math.multiplyExact(bytes, shape[i]);
      }
    } catch (ArithmeticException overflow) {
      throw new BadHeader("shape: expected below 2^63 bytes, got " + shape());
    }
    // Both offsets are non-negative, so their difference does not overflow.
    if (offsets[1] - offsets[0] != bytes) {
      throw new BadHeader(
          String.format(
              "data_offsets: expected %d bytes for %s %s, got %s",
              bytes, dtype, shape(), Arrays.toString(offsets)));
    }
  }

  private String shape() {
    return Arrays.toString(Arrays.copyOf(shape, rank));
  }

  /** Reads a list of integers into an array that must be large enough; their number. */
  private int integers(String field, long[] values) {
    int count = 0;
    expect('[');
    if (!skip(']')) {
      do {
        if (count == values.length) {
          throw new BadHeader(field + ": expected at most " + count + " numbers, got more");
        }
        values[count++] = integer(field);
      } while (skip(','));
      expect(']');
    }
    return count;
  }

  private long integer(String field) {
    at = text.skipSpace(at);
    int start = at;
    long value = 0;
    while (text.at(at) >= '0' && text.at(at) <= '9') {
      int digit = text.at(at++) - '0';
      if (value > (Long.MAX_VALUE - digit) / 10) {
        throw new BadHeader(field + ": expected numbers below 2^63, got a larger one");
      }
      value = 10 * value + digit;
    }
    boolean leadingZero = at - start > 1 && text.at(start) == '0';
    boolean goesOn = ".eE+-".indexOf(text.at(at)) >= 0;
    if (at == start || leadingZero || goesOn) {
      throw new BadHeader(field + ": expected non-negative integers, got something else");
    }
    return value;
  }

  /** Passes over a string, checking it; its position for {@link HeaderText}. */
  private int string() {
    expect('"');
    int string = at;
    at = text.end(string);
    return string;
  }

  private void count() {
    if (++entries > MAX_ENTRIES) {
      throw new BadHeader("expected at most " + MAX_ENTRIES + " entries, got more");
    }
  }

  private boolean skip(char c) {
    at = text.skipSpace(at);
    boolean found = text.at(at) == c;
    at += found ? 1 : 0;
    return found;
  }

  private void expect(char c) {
    if (!skip(c)) {
      throw text.unexpected("'" + c + "'", at);
    }
  }

  private static void refuseTwice(String field, boolean earlier) {
    if (earlier) {
      throw new BadHeader('"' + field + "\": expected once, got twice");
    }
  }

  /** Checks that the tensors fill the data from its first byte to its last, each byte once. */
  private void checkCoverage(long size) {
    Integer[] order = tensors.order();
    long end = 0;
    for (int i = 0; i < tensors.count(); i++) {
      int tensor = order == null ? i : order[i];
      if (tensors.begin(tensor) != end || tensors.end(tensor) > size) {
        throw new BadHeader(
            String.format(
                "tensor %s: data_offsets: expected a range from %d, where its predecessor ends, "
                    + "within %d bytes of data, got [%d, %d]",
                text.quote(tensors.names()[tensor]),
                end,
                size,
                tensors.begin(tensor),
                tensors.end(tensor)));
      }
      end = tensors.end(tensor);
    }
    if (end != size) {
      throw new BadHeader(
          "data: expected " + end + " bytes, as the header says, got " + size + " in the file");
    }
  }
}
