// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.training.LearningRate;
import io.github.gatefuse.training.TrainingLoop;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

/**
 * What {@code train} was asked for, checked before anything is read. Immutable.
 *
 * @param files the texts
 * @param out where the model goes
 * @param steps at most so many; no limit where only the time counts
 * @param time at most so long
 * @param spec the network
 * @param batch lines of a batch
 * @param longestLine bytes of a piece
 * @param rate of learning
 * @param regularization what is left to chance
 * @param interval steps between evaluations
 * @param seed of everything that is drawn
 * @param checkpoint null for none
 * @param metrics null for none
 * @param network what computes
 * @param threads at most; 0 for all
 * @param progress whether it may be shown
 */
record TrainSettings(
    List<Path> files,
    Path out,
    long steps,
    Duration time,
    RnnSpec spec,
    int batch,
    int longestLine,
    LearningRate rate,
    Regularization regularization,
    long interval,
    long seed,
    Path checkpoint,
    Path metrics,
    RnnOptions network,
    int threads,
    boolean progress) {
  /** More of them would take longer than what they tell is worth. */
  static final long HELD_OUT_BATCHES = 20;

  private static final int BYTES = 256;

  /** The most numbers that a buffer of a training can hold. */
  private static final int LARGEST = Integer.MAX_VALUE / Float.BYTES;

  /** Over so many steps the rate falls where the time alone is known. */
  private static final long STEPS_OF_DECAY = 20_000;

  static TrainSettings of(Arguments arguments) {
    if (arguments.operands().isEmpty()) {
      throw new CommandException("train: expected a FILE, got none");
    }
    if (arguments.has("--steps") && arguments.has("--minutes")) {
      throw new CommandException("--steps and --minutes: expected one of them, got both");
    }
    List<Path> files = arguments.operands().stream().map(Source::readable).toList();
    boolean bySteps = arguments.has("--steps");
    long steps = arguments.integer("--steps", 1, Integer.MAX_VALUE, Integer.MAX_VALUE);
    double minutes = number(arguments, "--minutes", 5, 0.001, 1e6);
    LearningRate rate =
        LearningRate.constant(number(arguments, "--rate", 0.002, 1e-9, 10))
            .withWarmup(20)
            .withCosineDecay(bySteps ? steps : STEPS_OF_DECAY, 0.1);
    RnnSpec spec = spec(arguments);
    Path out = out(arguments);
    Path checkpoint = arguments.value("--checkpoint").map(Source::path).orElse(null);
    Path metrics = arguments.value("--metrics").map(Source::path).orElse(null);
    refuseToOverwrite(files, out, checkpoint, metrics);
    Stream.of(out, checkpoint, metrics)
        .filter(Objects::nonNull)
        .forEach(TrainSettings::refuseUnplaced);
    int batch = arguments.integer("--batch", 1, 4096, 32);
    int longestLine = arguments.integer("--max-line", 1, 1 << 16, 160);
    int mostLines = LARGEST / BYTES / (longestLine + 1);
    if (batch > mostLines) {
      throw new CommandException(
          "--batch: expected at most %d with lines of %d bytes, got %d"
              .formatted(mostLines, longestLine, batch));
    }
    return new TrainSettings(
        files,
        out,
        steps,
        bySteps ? Duration.ofDays(3650) : Duration.ofNanos((long) (minutes * 60e9)),
        spec,
        batch,
        longestLine,
        rate,
        regularization(arguments, spec),
        bySteps ? Math.max(1, Math.min(200, steps / 5)) : 200,
        arguments.integer("--seed", 0, Integer.MAX_VALUE, 1),
        checkpoint,
        metrics,
        network(arguments),
        arguments.integer("--threads", 1, 1024, 0),
        !arguments.has("--no-progress"));
  }

  private static Path out(Arguments arguments) {
    return Source.path(
        arguments
            .value("--out")
            .orElseThrow(() -> new CommandException("--out: expected a MODEL, got none")));
  }

  /** Refuses, before any work, a file to be written where there is no place for it. */
  private static void refuseUnplaced(Path file) {
    Path folder = file.toAbsolutePath().getParent();
    if (folder == null || !Files.isDirectory(folder)) {
      throw new CommandException(file + ": expected a folder that exists, got " + folder);
    }
    if (Files.isDirectory(file)) {
      throw new CommandException(file + ": expected a file, got a directory");
    }
  }

  private static void refuseToOverwrite(List<Path> files, Path out, Path checkpoint, Path metrics) {
    Destinations all = new Destinations();
    files.forEach(file -> all.read(file, "what is to be learnt from"));
    all.write("--out=" + out, out, "the model");
    if (checkpoint != null) {
      String name = "--checkpoint=" + checkpoint;
      Path best = TrainingLoop.bestFile(checkpoint);
      all.write(name, checkpoint, "the checkpoint");
      all.write(name + " with " + best, best, "the checkpoint's best parameters");
    }
    if (metrics != null) {
      all.write("--metrics=" + metrics, metrics, "the metrics");
    }
  }

  private static RnnSpec spec(Arguments arguments) {
    try {
      RnnSpec spec =
          RnnSpec.of(
                  Cell.of(arguments.value("--cell").orElse(Cell.LSTM_REFINE.id())),
                  arguments.integer("--embedding", 1, 1 << 16, 64),
                  arguments.integer("--hidden", 1, 1 << 16, 256))
              .withLayers(arguments.integer("--layers", 1, 64, 1))
              .withVocabulary(BYTES)
              .withOutputs(BYTES);
      checkSize(spec);
      return spec;
    } catch (IllegalArgumentException e) {
      throw new CommandException("--" + e.getMessage(), e);
    }
  }

  private static void checkSize(RnnSpec spec) {
    double count = spec.parameters().stream().mapToDouble(RnnSpec.Parameter::count).sum();
    if (count > LARGEST) {
      throw new CommandException(
          ("--hidden %d, --layers %d, --embedding %d:"
                  + " expected a network of at most %d parameters, got %.0f")
              .formatted(spec.hiddenSize(), spec.layers(), spec.inputSize(), LARGEST, count));
    }
  }

  private static Regularization regularization(Arguments arguments, RnnSpec spec) {
    if (arguments.has("--dropout") && spec.layers() == 1) {
      throw new CommandException(
          "--dropout: expected --layers of at least 2, since it is between layers, got 1");
    }
    try {
      Regularization regularization =
          Rates.of(arguments).withSeed(arguments.integer("--seed", 0, Integer.MAX_VALUE, 1));
      regularization.check(spec);
      return regularization;
    } catch (IllegalArgumentException e) {
      throw new CommandException(e.getMessage(), e);
    }
  }

  private static RnnOptions network(Arguments arguments) {
    try {
      return RnnOptions.of(Backend.of(arguments.value("--backend").orElse(Backend.AUTO.id())));
    } catch (IllegalArgumentException e) {
      throw new CommandException("--" + e.getMessage(), e);
    }
  }

  private static double number(
      Arguments arguments, String name, double standard, double least, double most) {
    String text = arguments.value(name).orElse(null);
    if (text == null) {
      return standard;
    }
    try {
      double value = Double.parseDouble(text);
      if (value >= least && value <= most) {
        return value;
      }
    } catch (NumberFormatException e) {
      // The same message as for a number out of range.
    }
    throw new CommandException(
        name + ": expected a number from " + least + " to " + most + ", got " + text);
  }
}
