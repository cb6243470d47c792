// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;

/** A CSV file of what a training finds on its way; or none. */
final class Metrics implements AutoCloseable {
  private static final String HEADER =
      "step,seconds,loss,gradient_norm,learning_rate,held_out_loss,held_out_accuracy\n";

  private final Path path;
  private final Writer out;

  private Metrics(Path path, Writer out) {
    this.path = path;
    this.out = out;
  }

  /**
   * Opens the file.
   *
   * @param path null for none
   * @param steps how far the training is; lines of an earlier run up to there stay
   */
  static Metrics open(Path path, long steps) {
    if (path == null) {
      return new Metrics(null, null);
    }
    try {
      List<String> kept = steps == 0 || !Files.exists(path) ? List.of() : linesUpTo(path, steps);
      Metrics metrics = new Metrics(path, Files.newBufferedWriter(path));
      metrics.line(HEADER);
      kept.forEach(line -> metrics.line(line + "\n"));
      return metrics;
    } catch (IOException e) {
      throw failed(path, e);
    }
  }

  /** A run that was killed may have written lines that it did not keep in its checkpoint. */
  private static List<String> linesUpTo(Path path, long steps) throws IOException {
    return Files.readAllLines(path).stream()
        .filter(line -> line.matches("\\d{1,18},.*"))
        .filter(line -> Long.parseLong(line.substring(0, line.indexOf(','))) <= steps)
        .toList();
  }

  /** Writes a line, at once. */
  void write(long step, Duration elapsed, double loss, StepReport last, Evaluation evaluation) {
    line(
        String.format(
            Locale.ROOT,
            "%d,%.3f,%s,%s,%s,%s,%s\n",
            step,
            elapsed.toNanos() / 1e9,
            loss,
            last.gradientNorm(),
            last.learningRate(),
            evaluation.loss(),
            evaluation.accuracy()));
  }

  private void line(String text) {
    if (out == null) {
      return;
    }
    try {
      out.write(text);
      out.flush();
    } catch (IOException e) {
      throw failed(path, e);
    }
  }

  private static GatefuseException failed(Path path, IOException e) {
    return new GatefuseException(Code.IO_FAILED, path + ": cannot write: " + e, e);
  }

  @Override
  public void close() {
    if (out == null) {
      return;
    }
    try {
      out.close();
    } catch (IOException e) {
      throw failed(path, e);
    }
  }
}
