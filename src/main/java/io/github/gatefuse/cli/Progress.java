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
  private final TerminalLine line;
  private final long total;
  private final long begun = System.nanoTime();
  private long done;

  /**
   * Begins.
   *
   * @param shown whether anything is written at all
   * @param total the bytes of the whole input, or -1 if that is not known
   */
  Progress(PrintStream out, boolean shown, long total) {
    line = new TerminalLine(out, shown);
    this.total = total;
  }

  @Override
  public void accept(long bytes) {
    done += bytes;
    line.draw(() -> text(done, total, (System.nanoTime() - begun) / 1e9));
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
    return String.format(
        Locale.ROOT,
        "%s  %s, %s left",
        TerminalLine.bar(share),
        speed,
        Units.duration(Math.max(0, total - done) / rate));
  }

  @Override
  public void close() {
    line.wipe();
  }
}
