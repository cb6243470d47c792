// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.experiment.RunResult.Status;
import io.github.gatefuse.tasks.Variant;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/**
 * Compares variants on a task: trains each from every seed and writes a folder with what came of
 * it. The folder is up to date after every run, and one may stop at any time: an experiment of the
 * same settings in the same folder goes on where the other stood, to the same bits.
 *
 * <p>For one thread.
 */
public final class Experiment {
  /** Sequences that networks are looked into with. */
  private static final int PROBED = 16;

  private final Plan plan;
  private final Path root;
  private final String command;
  private final Map<String, ?> machine;
  private final Watcher watcher;
  private final boolean figures;
  private final List<RunResult> results = new ArrayList<>();

  /**
   * Prepares an experiment.
   *
   * @param plan what is compared
   * @param folder where its files go: a new or empty one, or that of an unfinished experiment with
   *     the same settings
   * @param command the exact command, for the report
   * @param machine facts by name, for the report
   * @param watcher is told how far it is
   * @param figures whether figures are wanted
   */
  public Experiment(
      Plan plan,
      Path folder,
      String command,
      Map<String, ?> machine,
      Watcher watcher,
      boolean figures) {
    this.plan = plan;
    this.root = folder;
    this.command = command;
    this.machine = machine;
    this.watcher = watcher;
    this.figures = figures;
  }

  /**
   * Runs it.
   *
   * @return what is missing for a whole report: figures that could not be drawn, and why
   * @throws IllegalArgumentException in words, if the folder is of something else; nothing has been
   *     changed then
   * @throws GatefuseException if no run at all could be trained, or the folder cannot be written
   */
  public List<String> run() {
    Folder folder = Folder.open(root, plan.settings());
    Probe probe =
        new Probe(
            plan.task().sample(Math.min(PROBED, plan.sequences())),
            plan.network(),
            plan.regularization());
    // Seed by seed, so that all variants can be compared early.
    for (long seed : plan.seeds()) {
      for (Variant variant : plan.variants()) {
        Probe own = seed == plan.seeds().get(0) ? probe : null;
        RunResult result = new Run(plan, variant, seed, own, results.size(), folder, watcher).go();
        results.add(result);
        watcher.ended(line(result));
        writeTables(List.of(), List.of());
      }
    }
    if (results.stream().allMatch(result -> result.status() == Status.FAILED)) {
      throw new GatefuseException(
          Code.BACKEND_UNAVAILABLE, "no run could be trained: " + results.get(0).reason());
    }
    List<String> troubles = figures ? drawFigures() : List.of();
    folder.finish();
    return troubles;
  }

  private List<String> drawFigures() {
    List<String> troubles = new ArrayList<>();
    List<Figure> drawn = new ArrayList<>();
    ChartLibrary.missing().ifPresent(troubles::add);
    if (troubles.isEmpty()) {
      for (Figure figure : new Figures(plan, results).all()) {
        Optional<String> trouble = ChartLibrary.draw(figure, root);
        trouble.ifPresentOrElse(troubles::add, () -> drawn.add(figure));
      }
    }
    writeTables(drawn, troubles);
    return troubles;
  }

  private String line(RunResult result) {
    String end =
        switch (result.status()) {
          case COMPLETE ->
              String.format(
                  Locale.ROOT, "%s %.4g", plan.task().goal().metric().label(), result.metric());
          case DIVERGED -> "diverged: " + result.reason();
          case FAILED -> "failed: " + result.reason();
        };
    return String.format(
        Locale.ROOT,
        "%-6s seed %d  %s  (%d steps, %.1f s)",
        result.variant().id(),
        result.seed(),
        end,
        result.steps(),
        result.seconds());
  }

  private void writeTables(List<Figure> figures, List<String> troubles) {
    Report report = new Report(plan, results);
    write(root.resolve("results.csv"), report.resultsCsv());
    write(root.resolve("report.md"), report.markdown(command, machine, figures, troubles));
  }

  private static void write(Path file, String text) {
    try {
      Files.writeString(file, text);
    } catch (IOException e) {
      throw new GatefuseException(Code.IO_FAILED, file + ": cannot write: " + e, e);
    }
  }
}
