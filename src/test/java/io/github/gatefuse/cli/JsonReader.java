// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads JSON strictly (RFC 8259) into maps, lists, strings, doubles, booleans and null. */
final class JsonReader {
  private final String text;
  private int at;

  private JsonReader(String text) {
    this.text = text;
  }

  static Object read(String text) {
    JsonReader reader = new JsonReader(text);
    Object value = reader.value();
    reader.space();
    reader.require(reader.at == text.length(), "the end");
    return value;
  }

  @SuppressWarnings("unchecked")
  static Map<String, Object> readObject(String text) {
    return (Map<String, Object>) read(text);
  }

  @SuppressWarnings("unchecked")
  static List<Map<String, Object>> objects(Object list) {
    return (List<Map<String, Object>>) list;
  }

  private Object value() {
    space();
    return switch (text.charAt(at)) {
      case '{' -> object();
      case '[' -> array();
      case '"' -> string();
      case 't' -> word("true", true);
      case 'f' -> word("false", false);
      case 'n' -> word("null", null);
      default -> number();
    };
  }

  private Map<String, Object> object() {
    Map<String, Object> out = new LinkedHashMap<>();
    at++;
    while (!skip('}')) {
      require(out.isEmpty() || skip(','), "a comma");
      space();
      String key = string();
      require(skip(':'), "a colon");
      require(!out.containsKey(key), "a new key");
      out.put(key, value());
    }
    return out;
  }

  private List<Object> array() {
    List<Object> out = new ArrayList<>();
    at++;
    while (!skip(']')) {
      require(out.isEmpty() || skip(','), "a comma");
      out.add(value());
    }
    return out;
  }

  private String string() {
    require(text.charAt(at++) == '"', "a quote");
    StringBuilder out = new StringBuilder();
    while (text.charAt(at) != '"') {
      char c = text.charAt(at++);
      require(c >= ' ', "an escaped control character");
      out.append(c == '\\' ? escape() : c);
    }
    at++;
    return out.toString();
  }

  private char escape() {
    char c = text.charAt(at++);
    if (c == 'u') {
      at += 4;
      return (char) Integer.parseInt(text.substring(at - 4, at), 16);
    }
    int known = "\"\\/bfnrt".indexOf(c);
    require(known >= 0, "an escape");
    return "\"\\/\b\f\n\r\t".charAt(known);
  }

  private Object word(String word, Object value) {
    require(text.startsWith(word, at), word);
    at += word.length();
    return value;
  }

  private Double number() {
    int from = at;
    while (at < text.length() && "+-.0123456789eE".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
    String number = text.substring(from, at);
    require(number.matches("-?(0|[1-9]\\d*)(\\.\\d+)?([eE][+-]?\\d+)?"), "a number");
    return Double.valueOf(number);
  }

  private boolean skip(char c) {
    space();
    boolean there = text.charAt(at) == c;
    at += there ? 1 : 0;
    return there;
  }

  private void space() {
    while (at < text.length() && " \n\r\t".indexOf(text.charAt(at)) >= 0) {
      at++;
    }
  }

  private void require(boolean condition, String expected) {
    if (!condition) {
      throw new AssertionError("JSON: expected " + expected + " at " + at + " of " + text);
    }
  }
}
