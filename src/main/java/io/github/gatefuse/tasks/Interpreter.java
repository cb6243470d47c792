// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import java.util.HashMap;
import java.util.Map;

/**
 * Runs the programs of {@link ProgramGenerator}: assignments, loops with one assignment, and at the
 * end a print. For one program.
 *
 * <pre>
 * program    = { line "\n" }
 * line       = name "=" expression
 *            | "for x in range(" number "):" name ("+=" | "-=") expression
 *            | "print(" expression ")"
 * expression = number | name | "(" expression rest ")"
 * rest       = ("+" | "-" | "*") expression
 *            | " if " expression ("&lt;" | "&gt;") expression " else " expression
 * </pre>
 */
final class Interpreter {
  private final String text;
  private final Map<Character, Long> variables = new HashMap<>();
  private int at;

  private Interpreter(String text) {
    this.text = text;
  }

  /**
   * What a program prints.
   *
   * @throws IllegalArgumentException if it is none of those programs
   * @throws ArithmeticException if a number is beyond 64 bits
   */
  static long run(String program) {
    return new Interpreter(program).program();
  }

  private long program() {
    while (!skip("print(")) {
      if (skip("for x in range(")) {
        loop();
      } else {
        char name = name();
        expect("=");
        variables.put(name, expression());
      }
      expect("\n");
    }
    long printed = expression();
    expect(")\n");
    if (at != text.length()) {
      throw unexpected("the end");
    }
    return printed;
  }

  private void loop() {
    long count = expression();
    expect("):");
    char name = name();
    boolean plus = skip("+=");
    if (!plus) {
      expect("-=");
    }
    int begin = at;
    for (long i = 0; i < count; i++) {
      at = begin;
      long change = expression();
      long before = variables.get(name);
      variables.put(
          name, plus ? Math.addExact(before, change) : Math.subtractExact(before, change));
    }
  }

  private long expression() {
    if (skip("(")) {
      long value = rest(expression());
      expect(")");
      return value;
    }
    if (at < text.length() && Character.isDigit(text.charAt(at))) {
      return number();
    }
    Long value = variables.get(name());
    if (value == null) {
      throw unexpected("a variable that has a value");
    }
    return value;
  }

  private long rest(long left) {
    if (skip("+")) {
      return Math.addExact(left, expression());
    }
    if (skip("-")) {
      return Math.subtractExact(left, expression());
    }
    if (skip("*")) {
      return Math.multiplyExact(left, expression());
    }
    expect(" if ");
    long a = expression();
    boolean less = skip("<");
    if (!less) {
      expect(">");
    }
    long b = expression();
    expect(" else ");
    long right = expression();
    return (less ? a < b : a > b) ? left : right;
  }

  private long number() {
    int begin = at;
    while (at < text.length() && Character.isDigit(text.charAt(at))) {
      at++;
    }
    return Long.parseLong(text.substring(begin, at));
  }

  private char name() {
    if (at == text.length() || text.charAt(at) < 'a' || text.charAt(at) > 'z') {
      throw unexpected("a name");
    }
    return text.charAt(at++);
  }

  private boolean skip(String word) {
    if (!text.startsWith(word, at)) {
      return false;
    }
    at += word.length();
    return true;
  }

  private void expect(String word) {
    if (!skip(word)) {
      throw unexpected("\"" + word + "\"");
    }
  }

  private IllegalArgumentException unexpected(String expected) {
    return new IllegalArgumentException(
        "program: expected %s at character %d of:\n%s".formatted(expected, at, text));
  }
}
