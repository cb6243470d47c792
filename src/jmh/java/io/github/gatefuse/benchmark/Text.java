// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.Locale;

/** How numbers and tables of a report look. Stateless. */
final class Text {
  private Text() {}

  static void row(StringBuilder out, Object... cells) {
    for (Object cell : cells) {
      out.append("| ").append(cell).append(' ');
    }
    out.append("|\n");
  }

  enum Time {
    NANOSECONDS("ns", 1),
    MICROSECONDS("µs", 1e3),
    MILLISECONDS("ms", 1e6);

    private final String symbol;
    private final double nanos;

    Time(String symbol, double nanos) {
      this.symbol = symbol;
      this.nanos = nanos;
    }

    static Time unit(double value) {
      return value < 1e3 ? NANOSECONDS : value < 1e5 ? MICROSECONDS : MILLISECONDS;
    }

    static String of(double value) {
      return unit(value).text(value);
    }

    String text(double value) {
      return number(value / nanos) + " " + symbol;
    }
  }

  static String time(Spread spread) {
    Time unit = Time.unit(spread.median());
    return unit.text(spread.median()) + " " + quartiles(spread, unit.nanos);
  }

  static String quartiles(Spread spread, double unit) {
    return "(" + number(spread.lower() / unit) + " to " + number(spread.upper() / unit) + ")";
  }

  /** The median and the quartiles of ratios. */
  static String ratio(Spread spread) {
    return "**" + number(spread.median()) + "** " + quartiles(spread, 1);
  }

  /** Three digits or more. */
  static String number(double value) {
    if (value >= 100) {
      return format("%.0f", value);
    }
    if (value >= 10) {
      return format("%.1f", value);
    }
    return value >= 0.1 ? format("%.2f", value) : format("%.3g", value);
  }

  static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
