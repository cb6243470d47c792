// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.tasks.Metric;
import io.github.gatefuse.training.Evaluation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A point of a learning curve.
 *
 * @param step the steps taken
 * @param metric the task's own, on held-out data
 */
record Point(long step, double metric) {
  // The columns of a file of metrics that are read, as a training loop writes them.
  private static final int STEP = 0;
  private static final int LOSS = 5;
  private static final int ACCURACY = 6;
  private static final int COLUMNS = 7;

  /** Reads the points of a file of metrics; none where there is no file. */
  static List<Point> read(Path metrics, Metric metric) {
    List<Point> points = new ArrayList<>();
    try {
      List<String> lines = Files.exists(metrics) ? Files.readAllLines(metrics) : List.of();
      for (String line : lines.subList(Math.min(1, lines.size()), lines.size())) {
        String[] cells = line.split(",", -1);
        if (cells.length != COLUMNS) {
          throw new GatefuseException(
              Code.BAD_FILE, "%s: expected %d columns, got %s".formatted(metrics, COLUMNS, line));
        }
        double loss = Double.parseDouble(cells[LOSS]);
        double accuracy = Double.parseDouble(cells[ACCURACY]);
        points.add(
            new Point(Long.parseLong(cells[STEP]), metric.of(new Evaluation(loss, accuracy, 1))));
      }
    } catch (IOException | NumberFormatException e) {
      throw new GatefuseException(Code.BAD_FILE, metrics + ": cannot read: " + e, e);
    }
    return points;
  }
}
