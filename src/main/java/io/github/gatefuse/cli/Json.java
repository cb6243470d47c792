// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.util.Collection;
import java.util.Map;

/** Writes maps, collections, texts, numbers and booleans as JSON (RFC 8259), indented. */
final class Json {
  private Json() {}

  /** The text of a value; a number that JSON does not know (NaN, infinity) is null. */
  static String of(Object value) {
    StringBuilder out = new StringBuilder();
    write(value, "\n", out);
    return out.toString();
  }

  private static void write(Object value, String newline, StringBuilder out) {
    if (value instanceof Map<?, ?> map) {
      String separator = "{";
      for (Map.Entry<?, ?> entry : map.entrySet()) {
        out.append(separator).append(newline).append("  ");
        quote(String.valueOf(entry.getKey()), out);
        out.append(": ");
        write(entry.getValue(), newline + "  ", out);
        separator = ",";
      }
      out.append(map.isEmpty() ? "{}" : newline + "}");
    } else if (value instanceof Collection<?> collection) {
      String separator = "[";
      for (Object element : collection) {
        out.append(separator).append(newline).append("  ");
        write(element, newline + "  ", out);
        separator = ",";
      }
      out.append(collection.isEmpty() ? "[]" : newline + "]");
    } else if (value instanceof Double number && !Double.isFinite(number)) {
      out.append("null");
    } else if (value == null || value instanceof Number || value instanceof Boolean) {
      out.append(value);
    } else {
      quote(value.toString(), out);
    }
  }

  private static void quote(String text, StringBuilder out) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < ' ' || Character.isSurrogate(c)) {
        out.append(String.format("\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    out.append('"');
  }
}
