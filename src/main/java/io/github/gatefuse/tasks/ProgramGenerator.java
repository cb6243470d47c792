// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import java.util.ArrayList;
import java.util.List;

/**
 * Writes small programs in a part of Python, after Zaremba and Sutskever's "Learning to Execute":
 * sums, differences, products with small numbers, assignments, loops and conditions, one wrapped in
 * another, and at the end a number is printed. Immutable and thread-safe.
 */
final class ProgramGenerator {
  private static final int FORMS = 6;

  /** Names of variables; x counts in loops. */
  private static final String NAMES = "abcdefghijklmnopqrstuvwyz";

  private final int length;
  private final int nesting;

  /**
   * Makes a generator.
   *
   * @param length the most digits of a number
   * @param nesting how many operations there are
   */
  ProgramGenerator(int length, int nesting) {
    this.length = length;
    this.nesting = nesting;
  }

  /** No program is longer. */
  int longest() {
    // The longest form is a condition with three numbers, or a loop with its two lines.
    return "print()".length() + length + nesting * (40 + 3 * length);
  }

  /** A program, each line ended by a line feed. */
  String program(Draw draw) {
    Writer writer = new Writer(draw);
    for (int i = 0; i < nesting; i++) {
      writer.wrap();
    }
    return writer.end();
  }

  /** One program on its way. */
  private final class Writer {
    private final Draw draw;
    private final List<String> lines = new ArrayList<>();
    private final List<Character> free = new ArrayList<>();
    private String expression;

    Writer(Draw draw) {
      this.draw = draw;
      for (char name : NAMES.toCharArray()) {
        free.add(name);
      }
      expression = number();
    }

    /** A number of up to so many digits, each count of digits as likely. */
    private String number() {
      int digits = draw.between(1, length);
      int value = draw.below((int) Math.pow(10, digits));
      return Integer.toString(value);
    }

    private String small() {
      return Integer.toString(draw.between(1, 4 * length));
    }

    private String name() {
      return free.remove(draw.below(free.size())).toString();
    }

    /** Makes the expression so far a part of a larger one. */
    void wrap() {
      switch (draw.below(FORMS)) {
        case 0 -> expression = twoSided("+");
        case 1 -> expression = twoSided("-");
        case 2 -> expression = "(" + small() + "*" + expression + ")";
        case 3 -> assign();
        case 4 -> loop();
        default -> expression = condition();
      }
    }

    private String twoSided(String operator) {
      boolean first = draw.chance();
      String left = first ? expression : number();
      String right = first ? number() : expression;
      return "(" + left + operator + right + ")";
    }

    private void assign() {
      String name = name();
      lines.add(name + "=" + expression);
      expression = name;
    }

    private void loop() {
      String name = name();
      lines.add(name + "=" + expression);
      String sign = draw.chance() ? "+" : "-";
      lines.add("for x in range(" + small() + "):" + name + sign + "=" + number());
      expression = name;
    }

    private String condition() {
      String comparison = number() + (draw.chance() ? "<" : ">") + number();
      boolean first = draw.chance();
      String then = first ? expression : number();
      String otherwise = first ? number() : expression;
      return "(" + then + " if " + comparison + " else " + otherwise + ")";
    }

    String end() {
      lines.add("print(" + expression + ")");
      return String.join("\n", lines) + "\n";
    }
  }
}
