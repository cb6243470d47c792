// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.internal.Printable;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/**
 * How a line of any bytes is shown on a terminal: one row, nothing that the terminal would obey.
 */
final class Excerpt {
  /** The bytes of a line that need to be kept: more than are ever shown. */
  static final int KEPT_BYTES = 512;

  /** The most characters that are shown, without the ellipsis. */
  static final int MAX_CHARACTERS = 120;

  private Excerpt() {}

  /**
   * The beginning of a line. Valid UTF-8 is shown as text with its invisible characters escaped; of
   * anything else the ASCII is shown and the other bytes are escaped.
   *
   * @param bytes holds the line, or its first {@link #KEPT_BYTES} bytes, from {@code offset}
   * @param length the bytes of the whole line
   */
  static String of(byte[] bytes, int offset, long length) {
    int shown = (int) Math.min(length, KEPT_BYTES - 1);
    if (shown < length) {
      // Not in the middle of a character, or valid UTF-8 would no longer be.
      for (int back = 0; back < 3 && (bytes[offset + shown] & 0xC0) == 0x80; back++) {
        shown--;
      }
    }
    String text = decode(bytes, offset, shown);
    StringBuilder out = new StringBuilder();
    int at = 0;
    for (int count = 0; at < text.length() && count < MAX_CHARACTERS; count++) {
      int point = text.codePointAt(at);
      out.append(Printable.of(point));
      at += Character.charCount(point);
    }
    return at < text.length() || shown < length ? out.append('…').toString() : out.toString();
  }

  private static String decode(byte[] bytes, int offset, int length) {
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(bytes, offset, length))
          .toString();
    } catch (CharacterCodingException e) {
      StringBuilder out = new StringBuilder();
      for (int i = offset; i < offset + length; i++) {
        out.append(bytes[i] < 0 ? String.format("\\x%02x", bytes[i]) : (char) bytes[i]);
      }
      return out.toString();
    }
  }
}
