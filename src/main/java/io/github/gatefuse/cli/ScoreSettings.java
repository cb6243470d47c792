// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * What {@code score} was asked for, checked as far as it can be before anything is scored.
 * Immutable.
 *
 * @param sources what to score
 * @param model the model's file
 * @param cell the model's cell by name, if that was given
 * @param options what to compute with, in what numbers
 * @param threads the most threads; 0 for all
 * @param batch the most lines that run together
 * @param maxLine the bytes of the longest line that is held as a whole
 * @param top how many surprising lines to show
 * @param json whether the summary is JSON
 * @param perLine whether every line's score is wanted
 * @param perLineFile where; empty for standard output
 * @param progress whether progress may be shown
 */
record ScoreSettings(
    List<Source> sources,
    Path model,
    Optional<String> cell,
    RnnOptions options,
    int threads,
    int batch,
    int maxLine,
    int top,
    boolean json,
    boolean perLine,
    Optional<Path> perLineFile,
    boolean progress) {

  /** Where the launcher says that the project lies. */
  static final String HOME_PROPERTY = "gatefuse.home";

  private static final String DEFAULT_MODEL = "models/bytes-ur-lstm-256.safetensors";

  static ScoreSettings of(Arguments arguments) {
    boolean json = arguments.has("--json");
    Optional<String> perLine = arguments.value("--per-line");
    Optional<String> perLineFile =
        perLine.filter(name -> !name.isEmpty() && !name.equals(Source.STANDARD_INPUT));
    if (json && perLine.isPresent() && perLineFile.isEmpty()) {
      throw new CommandException(
          "--json and --per-line: both write to standard output; expected --per-line=FILE");
    }
    ScoreSettings settings =
        new ScoreSettings(
            Source.all(arguments.operands()),
            model(arguments.value("--model")),
            arguments.value("--cell"),
            options(
                arguments.value("--backend").orElse(Backend.AUTO.id()),
                arguments.value("--precision").orElse(Precision.FLOAT32.id())),
            arguments.integer("--threads", 1, 1024, 0),
            arguments.integer("--batch", 1, 4096, 256),
            arguments.integer("--max-line", 1, 1 << 30, 1 << 20),
            arguments.integer("--top", 0, 1_000_000, 10),
            json,
            perLine.isPresent(),
            perLineFile.map(Source::path),
            !arguments.has("--no-progress"));
    settings.perLineFile.ifPresent(settings::refuseToOverwrite);
    return settings;
  }

  private static Path model(Optional<String> option) {
    if (option.isPresent()) {
      return Source.readable(option.get());
    }
    String home = System.getProperty(HOME_PROPERTY);
    if (home == null) {
      throw new CommandException(
          "--model: expected a FILE, since " + HOME_PROPERTY + " is not set");
    }
    return Source.readable(Path.of(home, DEFAULT_MODEL).toString());
  }

  private static RnnOptions options(String backend, String precision) {
    try {
      return RnnOptions.of(Backend.of(backend)).withPrecision(Precision.of(precision));
    } catch (IllegalArgumentException e) {
      throw new CommandException("--" + e.getMessage(), e);
    }
  }

  private void refuseToOverwrite(Path output) {
    Destinations files = new Destinations();
    for (Source source : sources) {
      if (source.path() != null) {
        files.read(source.path(), "what is to be scored");
      }
    }
    files.read(model, "the model").write("--per-line=" + output, output, "the scores");
  }

  /** The bytes of all sources, or -1 if that is not known. */
  long totalBytes() {
    boolean known = sources.stream().allMatch(source -> source.size() >= 0);
    return known ? sources.stream().mapToLong(Source::size).sum() : -1;
  }

  List<String> names() {
    return sources.stream().map(Source::name).toList();
  }
}
