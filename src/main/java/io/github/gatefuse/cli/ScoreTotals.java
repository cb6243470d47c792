// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.ExecutionPath;

/**
 * Adds up lines' scores as they come; what it holds does not grow with the input. Not thread-safe.
 */
final class ScoreTotals implements Results {
  private final SurprisingLines surprising;
  private final PerLineReport report;
  private long lines;
  private long predictions;
  private double bits;

  /**
   * Begins at zero.
   *
   * @param report told of every line; null for none
   */
  ScoreTotals(SurprisingLines surprising, PerLineReport report) {
    this.surprising = surprising;
    this.report = report;
  }

  @Override
  public void accept(LineScore line, byte[] bytes, int offset) {
    lines++;
    predictions += line.predictions();
    bits += line.bits();
    surprising.offer(line, bytes, offset);
    if (report != null) {
      report.add(line);
    }
  }

  ScoreSummary summary(ScoreSettings settings, ExecutionPath path, long bytes, double seconds) {
    return new ScoreSummary(
        settings.names(),
        settings.model().toString(),
        path,
        lines,
        bytes,
        predictions,
        bits,
        seconds,
        surprising.entries());
  }
}
