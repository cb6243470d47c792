// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.PrintStream;
import java.util.Locale;
import java.util.function.LongConsumer;

/**
 * One line on a terminal that tells how far the scoring is; closing it wipes the line. Not
 * thread-safe.
 */
final class Progress implements LongConsumer, AutoCloseable {
  private static final long INTERVAL_NANOS = 200_000_000;
  private static final int BAR = 24;
  private static final String WIPE = "\r\033[K";

  private final PrintStream out;
  private final boolean shown;
  private final long total;
  private final long begun = System.nanoTime();
  private long drawn = begun;
  private long done;

  /**
   * Begins.
   *
   * @param shown whether anything is written at all
   * @param total the bytes of the whole input, or -1 if that is not known
   */
  Progress(PrintStream out, boolean shown, long total) {
    this.out = out;
    this.shown = shown;
    this.total = total;
  }

  @Override
  public void accept(long bytes) {
    done += bytes;
    long now = System.nanoTime();
    if (shown && now - drawn >= INTERVAL_NANOS) {
      drawn = now;
      out.print(WIPE + text(done, total, (now - begun) / 1e9));
      out.flush();
    }
  }

  /** What the line says. */
  static String text(long done, long total, double seconds) {
    double rate = done / seconds;
    String speed = Units.bytes(done) + ", " + Units.bytes(rate) + "/s";
    if (total <= 0) {
      return speed;
    }
    // A last line without a line feed is one prediction more than the file has bytes.
    double share = Math.min(1, (double) done / total);
    int full = (int) (share * BAR);
    return String.format(
        Locale.ROOT,
        "[%s%s] %3d%%  %s, %s left",
        "#".repeat(full),
        " ".repeat(BAR - full),
        (int) (share * 100),
        speed,
        Units.duration(Math.max(0, total - done) / rate));
  }

  @Override
  public void close() {
    if (shown && drawn != begun) {
      out.print(WIPE);
      out.flush();
    }
  }
}
