// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.experiment.Watcher;
import java.util.Locale;

/**
 * Tells how far an experiment is: a line for each run that has ended, and on a terminal below them
 * one that tells what runs and how long all will take. Not thread-safe.
 */
final class ExperimentProgress implements Watcher, AutoCloseable {
  private final Console console;
  private final TerminalLine terminal;
  private final int runs;
  private final long begun = System.nanoTime();

  ExperimentProgress(Console console, boolean shown, int runs) {
    this.console = console;
    terminal = new TerminalLine(console.err(), shown);
    this.runs = runs;
  }

  @Override
  public void progress(int run, double share, String text) {
    terminal.draw(() -> line(run, runs, share, text, (System.nanoTime() - begun) / 1e9));
  }

  /** What the line says. */
  static String line(int run, int runs, double share, String text, double seconds) {
    double done = (run + share) / runs;
    return String.format(
        Locale.ROOT,
        "%s  run %d of %d: %s, %s left",
        TerminalLine.bar(done),
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
    terminal.wipe();
  }
}
