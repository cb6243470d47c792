// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.SessionOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** {@code gatefuse score}: how surprising the lines of files are. */
final class ScoreCommand implements Command {
  private static final String DESCRIPTION =
      """
      Scores each line of the files (- is standard input) by a byte model: the mean of -log2 p
      over its bytes and the line feed that ends it. Prints the bits per byte of the whole and the
      lines that surprise the model most. Lines end at line feeds only; any bytes are allowed.
      """;

  /**
   * Lines gathered before they are sorted: many batches' worth, so that a batch's lines are of like
   * lengths.
   */
  private static final int WINDOW_BYTES = 1 << 20;

  @Override
  public String name() {
    return "score";
  }

  @Override
  public String usage() {
    return "score [OPTION...] FILE...";
  }

  @Override
  public String description() {
    return DESCRIPTION;
  }

  @Override
  public List<Option> options() {
    return List.of(
        Option.value(
            "--top", "N", "show the N most surprising lines (10); empty lines are not shown"),
        Option.optionalValue(
            "--per-line",
            "FILE",
            "write every line's score as CSV to FILE, or to standard output,\n"
                + "the summary then going to standard error"),
        Option.flag("--json", "print the summary as JSON"),
        Option.value("--model", "FILE", "a byte model as safetensors (the one that comes along)"),
        Option.value("--cell", "NAME", "the model's cell, where its file does not name it"),
        Option.value("--backend", "NAME", "reference, cpu, cuda or auto (auto)"),
        Option.value(
            "--precision",
            "NAME",
            "what the operands of products are rounded to: float32, tf32,\nbfloat16, float16 or int8 (float32)"),
        Option.value("--threads", "N", "use at most N threads (all that the process may use)"),
        Option.value("--batch", "N", "score up to N lines at a time (256)"),
        Option.value(
            "--max-line",
            "N",
            "hold lines of up to N bytes (1048576); a longer one is scored\nwhile it is read"),
        Option.flag("--no-progress", "show no progress on the terminal"),
        Option.flag("--debug", "show where an error came from"),
        Option.flag("--help", "show this help"));
  }

  @Override
  public void run(Arguments arguments, Console console) {
    ScoreSettings settings = ScoreSettings.of(arguments);
    Output out = console.out();
    try (ByteModel.Loaded model =
            ByteModel.load(settings.model(), settings.cell(), settings.options());
        Output file = settings.perLineFile().map(ScoreCommand::open).orElse(null)) {
      Output lines = file == null && settings.perLine() ? out : file;
      ScoreSummary summary = score(settings, model, lines, console);
      String text = settings.json() ? Json.of(summary.json()) + "\n" : summary.text();
      if (lines == out) {
        console.err().print(text);
      } else {
        out.print(text);
      }
    }
  }

  private static Output open(Path path) {
    try {
      return new Output(path.toString(), Files.newOutputStream(path));
    } catch (IOException e) {
      throw new CommandException(path + ": cannot write: " + e, e);
    }
  }

  /**
   * Scores all sources.
   *
   * @param lines receives every line's score; null if that is not wanted
   */
  private static ScoreSummary score(
      ScoreSettings settings, ByteModel.Loaded model, Output lines, Console console) {
    boolean shown = settings.progress() && console.terminal();
    SessionOptions options =
        SessionOptions.of(Scorer.STEPS, settings.batch())
            .withThreads(settings.threads())
            .withRegularization(model.regularization());
    try (Progress progress = new Progress(console.err(), shown, settings.totalBytes());
        Scorer scorer = new Scorer(model.rnn(), options, progress)) {
      ScoreTotals totals =
          new ScoreTotals(
              new SurprisingLines(settings.top()),
              lines == null ? null : new PerLineReport(lines, settings.names()));
      LineSplitter splitter = new LineSplitter(scorer, totals, WINDOW_BYTES, settings.maxLine());
      long begun = System.nanoTime();
      long bytes = 0;
      for (int i = 0; i < settings.sources().size(); i++) {
        bytes += settings.sources().get(i).read(splitter, i, console.in());
      }
      splitter.flush();
      double seconds = (System.nanoTime() - begun) / 1e9;
      if (lines != null) {
        lines.flush();
      }
      return totals.summary(settings, scorer.path(), bytes, seconds);
    }
  }
}
