// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.io;

import io.github.gatefuse.internal.Printable;
import java.nio.charset.StandardCharsets;

/**
 * The bytes of a header, and the JSON strings in it. A string is named by the position of the first
 * byte after its opening quote, and decoded where it lies: only {@link #string} makes an object.
 *
 * <p>Immutable and thread-safe.
 */
final class HeaderText {
  /** In place of a character: the closing quote. */
  static final int END = -1;

  /** The most characters of a text from a file that a message shows. */
  private static final int SHOWN = 80;

  /** What is wrong with a header; the reader adds the file. */
  static final class BadHeader extends RuntimeException {
    private static final long serialVersionUID = 1L;

    BadHeader(String message) {
      super(message);
    }
  }

  private final byte[] bytes;

  HeaderText(byte[] bytes) {
    this.bytes = bytes;
  }

  int length() {
    return bytes.length;
  }

  /** The byte there, or 0, which no JSON text has, behind the end. */
  byte at(int position) {
    return position < bytes.length ? bytes[position] : 0;
  }

  /** The position of the next byte that is no white space. */
  int skipSpace(int position) {
    int at = position;
    while (at < bytes.length && " \t\n\r".indexOf(bytes[at]) >= 0) {
      at++;
    }
    return at;
  }

  /**
   * Decodes one character of a string: strict UTF-8, escapes resolved, no control characters, no
   * lone surrogates. The result is for {@link #point} and {@link #next}; two numbers in one, so
   * that nothing is allocated.
   */
  long decode(int position) {
    byte b = at(position);
    if (b == '"') {
      return decoded(END, position + 1);
    }
    if (b == '\\') {
      return escape(position + 1);
    }
    if (b < 0) {
      return utf8(position);
    }
    if (position >= bytes.length) {
      throw unexpected("the end of a string", position);
    }
    if (b < 0x20) {
      throw unexpected("no control character in a string", position);
    }
    return decoded(b, position + 1);
  }

  private static long decoded(int point, int next) {
    return (long) point << 32 | next;
  }

  /** The code point of what was decoded, or {@link #END}. */
  static int point(long decoded) {
    return (int) (decoded >> 32);
  }

  /** Where the next character begins, or the byte after the string. */
  static int next(long decoded) {
    return (int) decoded;
  }

  private long escape(int position) {
    byte b = at(position);
    int simple = "\"\\/bfnrt".indexOf(b);
    if (simple >= 0) {
      return decoded("\"\\/\b\f\n\r\t".charAt(simple), position + 1);
    }
    if (b != 'u') {
      throw unexpected("a JSON escape", position);
    }
    char first = unit(position + 1);
    int next = position + 5;
    if (!Character.isSurrogate(first)) {
      return decoded(first, next);
    }
    char second = at(next) == '\\' && at(next + 1) == 'u' ? unit(next + 2) : 0;
    if (!Character.isSurrogatePair(first, second)) {
      throw new BadHeader("expected paired surrogates in a string, got a lone one");
    }
    return decoded(Character.toCodePoint(first, second), next + 6);
  }

  private char unit(int position) {
    int value = 0;
    for (int at = position; at < position + 4; at++) {
      int digit = at(at) < 0 ? -1 : Character.digit(at(at), 16);
      if (digit < 0) {
        throw unexpected("four hexadecimal digits", at);
      }
      value = 16 * value + digit;
    }
    return (char) value;
  }

  private long utf8(int position) {
    int lead = bytes[position] & 0xff;
    int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    int point = lead & (0x3f >> more);
    boolean valid = lead >= 0xc2 && lead < 0xf5;
    for (int i = 1; i <= more; i++) {
      int b = at(position + i);
      valid &= (b & 0xc0) == 0x80;
      point = point << 6 | b & 0x3f;
    }
    boolean shortest = point >= (more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000);
    boolean scalar = point <= Character.MAX_CODE_POINT && (point < 0xd800 || point > 0xdfff);
    if (!valid || !shortest || !scalar) {
      throw unexpected("UTF-8", position);
    }
    return decoded(point, position + 1 + more);
  }

  /** The byte after the string's closing quote. */
  int end(int string) {
    long decoded = decode(string);
    while (point(decoded) != END) {
      decoded = decode(next(decoded));
    }
    return next(decoded);
  }

  boolean equal(int string, int other) {
    long a = decode(string);
    long b = decode(other);
    while (point(a) == point(b) && point(a) != END) {
      a = decode(next(a));
      b = decode(next(b));
    }
    return point(a) == point(b);
  }

  boolean equal(int string, String other) {
    int rest = after(string, other);
    return rest >= 0 && point(decode(rest)) == END;
  }

  boolean startsWith(int string, String prefix) {
    return after(string, prefix) >= 0;
  }

  /** The position behind a prefix of a string, or -1 if it has not that prefix. */
  private int after(int string, String prefix) {
    int at = string;
    for (int i = 0; i < prefix.length(); i += Character.charCount(prefix.codePointAt(i))) {
      long decoded = decode(at);
      if (point(decoded) != prefix.codePointAt(i)) {
        return -1;
      }
      at = next(decoded);
    }
    return at;
  }

  /** Makes a string an object of its own. */
  String string(int string) {
    int chars = 0;
    boolean plain = true;
    long decoded = decode(string);
    for (int at = string; point(decoded) != END; decoded = decode(at)) {
      plain &= point(decoded) < 0x80 && next(decoded) == at + 1;
      chars += Character.charCount(point(decoded));
      at = next(decoded);
    }
    if (plain) {
      return new String(bytes, string, chars, StandardCharsets.ISO_8859_1);
    }
    StringBuilder out = new StringBuilder(chars);
    for (long c = decode(string); point(c) != END; c = decode(next(c))) {
      out.appendCodePoint(point(c));
    }
    return out.toString();
  }

  String quote(int string) {
    return '"' + shown(string) + '"';
  }

  /** A string as a message may show it: short, and harmless on a terminal. */
  String shown(int string) {
    StringBuilder out = new StringBuilder();
    long decoded = decode(string);
    for (int i = 0; i < SHOWN && point(decoded) != END; i++) {
      out.append(Printable.of(point(decoded)));
      decoded = decode(next(decoded));
    }
    return out.append(point(decoded) == END ? "" : "...").toString();
  }

  /** The same of a text that is not in a header. */
  static String shown(String text) {
    boolean whole = text.codePointCount(0, text.length()) <= SHOWN;
    return whole
        ? Printable.of(text)
        : Printable.of(text.substring(0, text.offsetByCodePoints(0, SHOWN))) + "...";
  }

  BadHeader unexpected(String expected, int position) {
    String got =
        position < bytes.length ? String.format("byte 0x%02x", bytes[position]) : "its end";
    return new BadHeader(
        "expected " + expected + " at byte " + position + " of the header, got " + got);
  }
}
