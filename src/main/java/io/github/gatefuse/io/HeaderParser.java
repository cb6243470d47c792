// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the JSON header of a safetensors file, which may be hostile.
 *
 * <p>It accepts the one structure that the format has and nothing else, so values nest no deeper
 * than the format's three levels whatever the text does, and it makes hardly any objects but those
 * of the result, of which there are at most {@link #MAX_ENTRIES} of at most {@link #MAX_RANK}
 * dimensions.
 */
final class HeaderParser {
  /** The most tensors and metadata entries together; a hundred times those of large models. */
  static final int MAX_ENTRIES = 100_000;

  /** The most dimensions of a tensor. */
  static final int MAX_RANK = 32;

  private static final String METADATA = "__metadata__";

  /** What is wrong with a header; the caller adds the file. */
  static final class BadHeader extends Exception {
    private static final long serialVersionUID = 1L;

    BadHeader(String message) {
      super(message);
    }
  }

  /** A tensor as the header has it: bytes from {@code begin} to before {@code end} of the data. */
  record Entry(Dtype dtype, long[] shape, long begin, long end) {}

  /** A whole header. */
  record Header(Map<String, String> metadata, Map<String, Entry> tensors) {}

  private final byte[] text;
  private final CharsetDecoder utf8 = StandardCharsets.UTF_8.newDecoder();
  private int at;
  private int entries;

  private HeaderParser(byte[] text) {
    this.text = text;
  }

  /**
   * Parses a header and holds it against the data.
   *
   * @param text the JSON object, perhaps followed by spaces
   * @param dataBytes the bytes after the header, which the tensors must fill without gap or overlap
   */
  static Header parse(byte[] text, long dataBytes) throws BadHeader {
    HeaderParser parser = new HeaderParser(text);
    Header header = parser.header();
    while (parser.at < text.length) {
      if (text[parser.at] != ' ') {
        throw parser.unexpected("only spaces after the object");
      }
      parser.at++;
    }
    checkCoverage(header.tensors(), dataBytes);
    return header;
  }

  private Header header() throws BadHeader {
    Map<String, String> metadata = null;
    Map<String, Entry> tensors = new LinkedHashMap<>();
    if (text.length == 0 || text[0] != '{') {
      throw unexpected("'{'");
    }
    expect('{');
    if (skip('}')) {
      return new Header(Map.of(), tensors);
    }
    do {
      String name = string();
      expect(':');
      if (name.equals(METADATA)) {
        refuseTwice(METADATA, metadata);
        metadata = metadata();
      } else {
        refuseTwice(name, tensors.put(name, namedEntry(name)));
      }
    } while (skip(','));
    expect('}');
    return new Header(metadata == null ? Map.of() : metadata, tensors);
  }

  private Map<String, String> metadata() throws BadHeader {
    Map<String, String> metadata = new LinkedHashMap<>();
    expect('{');
    if (skip('}')) {
      return metadata;
    }
    do {
      count();
      String key = string();
      expect(':');
      refuseTwice(key, metadata.put(key, string()));
    } while (skip(','));
    expect('}');
    return metadata;
  }

  private Entry namedEntry(String name) throws BadHeader {
    try {
      return entry();
    } catch (BadHeader bad) {
      throw new BadHeader("tensor " + quote(name) + ": " + bad.getMessage());
    }
  }

  private Entry entry() throws BadHeader {
    count();
    Dtype dtype = null;
    long[] shape = null;
    long[] offsets = null;
    expect('{');
    do {
      String field = string();
      expect(':');
      switch (field) {
        case "dtype" -> {
          refuseTwice(field, dtype);
          dtype = dtype();
        }
        case "shape" -> {
          refuseTwice(field, shape);
          shape = integers(field, MAX_RANK);
        }
        case "data_offsets" -> {
          refuseTwice(field, offsets);
          offsets = integers(field, 2);
        }
        default ->
            throw new BadHeader("expected dtype, shape and data_offsets, got " + quote(field));
      }
    } while (skip(','));
    expect('}');
    if (dtype == null || shape == null || offsets == null || offsets.length != 2) {
      throw new BadHeader("expected dtype, shape and two data_offsets, got less");
    }
    checkBytes(dtype, shape, offsets);
    return new Entry(dtype, shape, offsets[0], offsets[1]);
  }

  private Dtype dtype() throws BadHeader {
    String name = string();
    Dtype dtype = Dtype.find(name);
    if (dtype == null) {
      String all = Arrays.toString(Dtype.values());
      throw new BadHeader("dtype: expected one of " + all + ", got " + quote(name));
    }
    return dtype;
  }

  private static void checkBytes(Dtype dtype, long[] shape, long[] offsets) throws BadHeader {
    long bytes = dtype.bytes();
    try {
      for (long dimension : shape) {
        bytes = Math.multiplyExact(bytes, dimension);
      }
    } catch (ArithmeticException overflow) {
      throw new BadHeader("shape: expected below 2^63 bytes, got " + Arrays.toString(shape));
    }
    // Both offsets are non-negative, so their difference does not overflow.
    if (offsets[1] - offsets[0] != bytes) {
      throw new BadHeader(
          String.format(
              "data_offsets: expected %d bytes for %s %s, got %s",
              bytes, dtype, Arrays.toString(shape), Arrays.toString(offsets)));
    }
  }

  private long[] integers(String field, int most) throws BadHeader {
    long[] values = new long[2];
    int count = 0;
    expect('[');
    if (!skip(']')) {
      do {
        if (count == most) {
          throw new BadHeader(field + ": expected at most " + most + " numbers, got more");
        }
        values = count == values.length ? Arrays.copyOf(values, most) : values;
        values[count++] = integer(field);
      } while (skip(','));
      expect(']');
    }
    return count == values.length ? values : Arrays.copyOf(values, count);
  }

  private long integer(String field) throws BadHeader {
    skipSpace();
    int start = at;
    long value = 0;
    while (at < text.length && text[at] >= '0' && text[at] <= '9') {
      int digit = text[at++] - '0';
      if (value > (Long.MAX_VALUE - digit) / 10) {
        throw new BadHeader(field + ": expected numbers below 2^63, got a larger one");
      }
      value = 10 * value + digit;
    }
    boolean leadingZero = at - start > 1 && text[start] == '0';
    boolean goesOn = at < text.length && ".eE+-".indexOf(text[at]) >= 0;
    if (at == start || leadingZero || goesOn) {
      throw new BadHeader(field + ": expected non-negative integers, got something else");
    }
    return value;
  }

  /** A JSON string: strict UTF-8, escapes resolved, no control characters, no lone surrogates. */
  private String string() throws BadHeader {
    expect('"');
    StringBuilder escaped = null;
    int start = at;
    while (at < text.length) {
      byte b = text[at];
      if (b == '"') {
        String last = decode(start, at++);
        return escaped == null ? last : paired(escaped.append(last));
      } else if (b == '\\') {
        escaped = escaped == null ? new StringBuilder() : escaped;
        escaped.append(decode(start, at++)).append(escape());
        start = at;
      } else if (b >= 0 && b < 0x20) {
        throw unexpected("no control character in a string");
      } else {
        at++;
        if (escaped != null && b >= 0 && start == at - 1) {
          escaped.append((char) b); // what stands between escapes is short: no string for each
          start = at;
        }
      }
    }
    throw unexpected("the end of a string");
  }

  private char escape() throws BadHeader {
    byte b = at < text.length ? text[at++] : 0;
    int simple = "\"\\/bfnrt".indexOf(b);
    if (simple >= 0) {
      return "\"\\/\b\f\n\r\t".charAt(simple);
    }
    if (b != 'u' || at + 4 > text.length) {
      throw unexpected("a JSON escape before");
    }
    int value = 0;
    for (int end = at + 4; at < end; at++) {
      int digit = text[at] < 0 ? -1 : Character.digit(text[at], 16);
      if (digit < 0) {
        throw unexpected("four hexadecimal digits");
      }
      value = 16 * value + digit;
    }
    return (char) value;
  }

  private static String paired(StringBuilder text) throws BadHeader {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        if (i + 1 == text.length()
            || !Character.isSurrogatePair(text.charAt(i), text.charAt(i + 1))) {
          throw new BadHeader("expected paired surrogates in a string, got a lone one");
        }
        i++;
      }
    }
    return text.toString();
  }

  private String decode(int start, int end) throws BadHeader {
    if (ascii(start, end)) {
      return new String(text, start, end - start, StandardCharsets.ISO_8859_1);
    }
    try {
      return utf8.decode(ByteBuffer.wrap(text, start, end - start)).toString();
    } catch (CharacterCodingException invalid) {
      throw new BadHeader("expected UTF-8, got other bytes between " + start + " and " + end);
    }
  }

  private boolean ascii(int start, int end) {
    for (int i = start; i < end; i++) {
      if (text[i] < 0) {
        return false;
      }
    }
    return true;
  }

  private void count() throws BadHeader {
    if (++entries > MAX_ENTRIES) {
      throw new BadHeader("expected at most " + MAX_ENTRIES + " entries, got more");
    }
  }

  private void skipSpace() {
    while (at < text.length && " \t\n\r".indexOf(text[at]) >= 0) {
      at++;
    }
  }

  private boolean skip(char c) {
    skipSpace();
    boolean found = at < text.length && text[at] == c;
    at += found ? 1 : 0;
    return found;
  }

  private void expect(char c) throws BadHeader {
    if (!skip(c)) {
      throw unexpected("'" + c + "'");
    }
  }

  private BadHeader unexpected(String expected) {
    String got = at < text.length ? String.format("byte 0x%02x", text[at]) : "its end";
    return new BadHeader("expected " + expected + " at byte " + at + " of the header, got " + got);
  }

  private static void refuseTwice(String field, Object earlier) throws BadHeader {
    if (earlier != null) {
      throw new BadHeader(quote(field) + ": expected once, got twice");
    }
  }

  /** A name from the file as a message may show it: short and without control characters. */
  static String quote(String name) {
    String shown = name.length() > 80 ? name.substring(0, 80) + "..." : name;
    return '"' + shown.replaceAll("\\p{Cntrl}", "?") + '"';
  }

  /** Checks that the tensors fill the data from its first byte to its last, each byte once. */
  private static void checkCoverage(Map<String, Entry> tensors, long size) throws BadHeader {
    List<Map.Entry<String, Entry>> inOrder = new ArrayList<>(tensors.entrySet());
    inOrder.sort(
        Comparator.comparingLong((Map.Entry<String, Entry> e) -> e.getValue().begin())
            .thenComparingLong(e -> e.getValue().end()));
    long end = 0;
    for (Map.Entry<String, Entry> named : inOrder) {
      Entry tensor = named.getValue();
      if (tensor.begin() != end || tensor.end() > size) {
        throw new BadHeader(
            String.format(
                "tensor %s: data_offsets: expected a range from %d, where its predecessor ends, "
                    + "within %d bytes of data, got [%d, %d]",
                quote(named.getKey()), end, size, tensor.begin(), tensor.end()));
      }
      end = tensor.end();
    }
    if (end != size) {
      throw new BadHeader(
          "data: expected " + end + " bytes, as the header says, got " + size + " in the file");
    }
  }
}
