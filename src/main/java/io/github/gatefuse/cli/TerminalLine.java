// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.PrintStream;
import java.util.Locale;
import java.util.function.Supplier;

/**
 * One line on a terminal that is drawn over and over, a few times a second, and wiped at the end.
 * Not thread-safe.
 */
final class TerminalLine {
  private static final long INTERVAL_NANOS = 200_000_000;
  private static final int BAR = 24;
  private static final String WIPE = "\r\033[K";

  private final PrintStream out;
  private final boolean shown;
  private long drawn = System.nanoTime();
  private boolean onScreen;

  /**
   * Begins; nothing is drawn yet.
   *
   * @param shown whether anything is written at all
   */
  TerminalLine(PrintStream out, boolean shown) {
    this.out = out;
    this.shown = shown;
  }

  /** Draws the line, if it is time to. */
  void draw(Supplier<String> text) {
    long now = System.nanoTime();
    if (shown && now - drawn >= INTERVAL_NANOS) {
      drawn = now;
      onScreen = true;
      out.print(WIPE + text.get());
      out.flush();
    }
  }

  /** Wipes the line, if there is one. */
  void wipe() {
    if (onScreen) {
      onScreen = false;
      out.print(WIPE);
      out.flush();
    }
  }

  /** Such as {@code [###### ] 50%}, for a share of 0 to 1. */
  static String bar(double share) {
    int full = (int) (share * BAR);
    return String.format(
        Locale.ROOT, "[%s%s] %3d%%", "#".repeat(full), " ".repeat(BAR - full), (int) (share * 100));
  }
}
