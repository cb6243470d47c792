// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import static java.nio.file.StandardOpenOption.APPEND;
import static java.util.stream.Collectors.joining;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.internal.WholeFile;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
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
      if (kept.isEmpty()) {
        Metrics metrics = new Metrics(path, Files.newBufferedWriter(path));
        metrics.line(HEADER);
        return metrics;
      }
      // As a whole or not at all: who is killed here must not lose lines that were kept.
      String text = HEADER + kept.stream().map(line -> line + "\n").collect(joining());
      WholeFile.write(path, text.getBytes(StandardCharsets.UTF_8));
      return new Metrics(path, Files.newBufferedWriter(path, APPEND));
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
  void write(
      long step,
      Duration elapsed,
      double loss,
      double gradientNorm,
      double learningRate,
      Evaluation evaluation) {
    line(
        String.format(
            Locale.ROOT,
            "%d,%.3f,%s,%s,%s,%s,%s\n",
            step,
            elapsed.toNanos() / 1e9,
            number(loss),
            number(gradientNorm),
            number(learningRate),
            evaluation.loss(),
            evaluation.accuracy()));
  }

  /** Before the first step there is nothing to tell of steps. */
  private static String number(double value) {
    return Double.isNaN(value) ? "" : Double.toString(value);
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
