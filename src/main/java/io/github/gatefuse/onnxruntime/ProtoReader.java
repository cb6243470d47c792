// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * Reads a message of Protocol Buffers field by field, without a copy. What it reads may be hostile:
 * no field ends after its message. Not thread-safe.
 */
final class ProtoReader {
  static final int VARINT = 0;
  static final int LENGTH_DELIMITED = 2;
  private static final int FIXED64 = 1;
  private static final int FIXED32 = 5;
  private static final int MOST_BITS = 64;

  private final byte[] bytes;
  private final int end;
  private int at;
  private int begin;
  private int field;
  private int wireType;
  private int value;
  private int valueEnd;
  private long number;

  ProtoReader(byte[] bytes, int begin, int end) {
    this.bytes = bytes;
    this.at = begin;
    this.end = end;
  }

  /** The message that the field at hand holds. */
  ProtoReader message() {
    return new ProtoReader(bytes, value, valueEnd);
  }

  /** Goes to the next field; false at the end of the message. */
  boolean next() {
    if (at == end) {
      return false;
    }
    begin = at;
    long tag = varint();
    field = (int) (tag >>> 3);
    wireType = (int) (tag & 7);
    if (tag >>> 3 == 0 || tag >>> 32 != 0) {
      throw bad(begin, "expected a field's number and type, got " + tag);
    }
    long length =
        switch (wireType) {
          case VARINT -> 0;
          case FIXED64 -> Long.BYTES;
          case FIXED32 -> Integer.BYTES;
          case LENGTH_DELIMITED -> varint();
          default -> throw bad(begin, "field " + field + ": unknown type " + wireType);
        };
    value = at;
    if (wireType == VARINT) {
      number = varint();
    } else if (length < 0 || length > end - at) {
      throw bad(
          begin, "field " + field + ": expected at most " + (end - at) + " bytes, got " + length);
    } else {
      at += (int) length;
    }
    valueEnd = at;
    return true;
  }

  int field() {
    return field;
  }

  /** Whether the field at hand is of this number and holds a number. */
  boolean isNumber(int wanted) {
    return field == wanted && wireType == VARINT;
  }

  /** Whether the field at hand is of this number and holds bytes, a text or a message. */
  boolean isBytes(int wanted) {
    return field == wanted && wireType == LENGTH_DELIMITED;
  }

  long number() {
    return number;
  }

  String text() {
    return new String(copy(), StandardCharsets.UTF_8);
  }

  byte[] copy() {
    return Arrays.copyOfRange(bytes, value, valueEnd);
  }

  /** Where the field at hand begins, with its tag. */
  int begin() {
    return begin;
  }

  /** Where it ends. */
  int end() {
    return valueEnd;
  }

  private long varint() {
    long sum = 0;
    int from = at;
    for (int shift = 0; shift < MOST_BITS; shift += 7) {
      if (at == end) {
        throw bad(from, "expected a number, got the end of its message");
      }
      byte next = bytes[at++];
      sum |= (next & 0x7fL) << shift;
      if (next >= 0) {
        return sum;
      }
    }
    throw bad(from, "expected a number of at most 10 bytes, got more");
  }

  static GatefuseException bad(int position, String sentence) {
    return new GatefuseException(Code.BAD_FILE, "ONNX model, byte " + position + ": " + sentence);
  }
}
