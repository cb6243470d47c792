// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.experiment.Watcher;
import java.util.Locale;

/**
 * Tells how far an experiment is: a line for each run that has ended, and on a terminal below them
 * one that tells what runs and how long all will take. Not thread-safe.
 */
final class ExperimentProgress implements Watcher, AutoCloseable {
  private static final long INTERVAL_NANOS = 200_000_000;
  private static final int BAR = 24;
  private static final String WIPE = "\r\033[K";

  private final Console console;
  private final boolean shown;
  private final int runs;
  private final long begun = System.nanoTime();
  private long drawn = begun;
  private boolean onScreen;

  ExperimentProgress(Console console, boolean shown, int runs) {
    this.console = console;
    this.shown = shown;
    this.runs = runs;
  }

  @Override
  public void progress(int run, double share, String text) {
    long now = System.nanoTime();
    if (shown && now - drawn >= INTERVAL_NANOS) {
      drawn = now;
      onScreen = true;
      console.err().print(WIPE + line(run, runs, share, text, (now - begun) / 1e9));
      console.err().flush();
    }
  }

  /** What the line says. */
  static String line(int run, int runs, double share, String text, double seconds) {
    double done = (run + share) / runs;
    int full = (int) (done * BAR);
    return String.format(
        Locale.ROOT,
        "[%s%s] %3d%%  run %d of %d: %s, %s left",
        "#".repeat(full),
        " ".repeat(BAR - full),
        (int) (done * 100),
        run + 1,
        runs,
        text,
        done == 0 ? "?" : Units.duration(seconds * (1 - done) / done));
  }

  @Override
  public void ended(String text) {
    close();
    console.out().println(text);
    console.out().flush();
  }

  @Override
  public void close() {
    if (onScreen) {
      console.err().print(WIPE);
      console.err().flush();
      onScreen = false;
    }
  }
}
