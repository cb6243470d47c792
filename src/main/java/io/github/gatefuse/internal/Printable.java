// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import java.util.Set;

/**
 * Text from outside as a message may show it: nothing that a terminal would obey, and nothing that
 * is not seen or that changes how the rest is seen.
 */
public final class Printable {
  /** Kinds of characters that are not seen, or that change how others are seen. */
  private static final Set<Byte> HIDDEN =
      Set.of(
          Character.FORMAT,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.PRIVATE_USE,
          Character.SURROGATE,
          Character.UNASSIGNED);

  private Printable() {}

  /**
   * A text with its control and invisible characters as escapes.
   *
   * @param text any
   * @return the text, such as {@code a\x1b[31m} with a backslash in place of the escape character
   */
  public static String of(String text) {
    StringBuilder out = new StringBuilder(text.length());
    text.codePoints().forEach(point -> out.append(of(point)));
    return out.toString();
  }

  /**
   * A character, or its escape if it is a control or invisible character.
   *
   * @param point its code point
   * @return such as {@code a}, {@code \t}, {@code \x1b}, <code>&#92;u{202e}</code>
   */
  public static String of(int point) {
    if (point == '\t') {
      return "\\t";
    }
    if (point == '\r') {
      return "\\r";
    }
    if (Character.isISOControl(point)) {
      return String.format("\\x%02x", point);
    }
    boolean hidden = HIDDEN.contains((byte) Character.getType(point));
    return hidden ? String.format("\\u{%x}", point) : Character.toString(point);
  }
}
