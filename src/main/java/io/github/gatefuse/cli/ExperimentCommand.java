// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.experiment.Experiment;
import java.util.List;

/** {@code gatefuse experiment}: compares variants of gates on a task. */
final class ExperimentCommand implements Command {
  private static final String DESCRIPTION =
      """
      Trains variants of gates on a task, each from every seed, and writes a folder with a report
      (report.md), tables (results.csv, runs/) and figures.

      Tasks:
        adding           the sum of two marked numbers of a long sequence (--length)
        copy             ten symbols again after a long delay (--delay)
        mnist            MNIST pixel by pixel, from IDX files in a folder (--data)
        mnist-rows       MNIST row by row
        mnist-permuted   MNIST pixel by pixel in one random order
        cifar10          CIFAR-10 pixel by pixel, from the binary version's files (--data)
        text             a language model of bytes, of a file or a folder's files (--data, --length)
        program          what small programs print, digit by digit (--length, --nesting)
        match            a colour to be remembered and walked to, learnt from reward (--delay)

      Variants, as in the paper of the refine gate: --, C-, O-, U-, -R, OM, OR, UR; and LSTM, GRU,
      UR-GRU.
      """;

  @Override
  public String name() {
    return "experiment";
  }

  @Override
  public String usage() {
    return "experiment [OPTION...] TASK";
  }

  @Override
  public String description() {
    return DESCRIPTION;
  }

  @Override
  public List<Option> options() {
    return List.of(
        Option.value("--variants", "LIST", "what is compared, separated by commas (LSTM,UR)"),
        Option.value(
            "--seeds", "N|LIST", "so many seeds from 1 on, or these, separated by commas (1)"),
        Option.value("--hidden", "N", "units of the layer (128)"),
        Option.value("--batch", "N", "sequences in a batch (32)"),
        Option.value("--steps", "N", "steps of each run (2000)"),
        Option.value("--minutes", "M", "minutes of each run, in place of --steps"),
        Option.value("--rate", "R", "learning rate of Adam (0.001)"),
        Option.value(
            "--zoneout",
            "H,C",
            "zoneout with rate H of hidden and, where all variants have any, C of\ncell states (0)"),
        Option.value("--recurrent-dropout", "P", "dropout of candidates with rate P (0)"),
        Option.value(
            "--length",
            "N",
            "length of a sequence: adding (200), text (100); digits of a number:\nprogram (3)"),
        Option.value("--nesting", "N", "operations of a program: program (2)"),
        Option.value(
            "--delay", "N", "steps from what is shown to its recall: copy (100), match (20)"),
        Option.value("--data", "PATH", "where the data lie: mnist, cifar10, text"),
        Option.value(
            "--out",
            "DIR",
            "a new or empty folder for the results, or that of a stopped experiment, which then\ngoes on (experiment-TASK)"),
        Option.value("--backend", "NAME", "reference, cpu, cuda or auto (auto)"),
        Option.value("--threads", "N", "use at most N threads (all that the process may use)"),
        Option.flag("--no-figures", "draw no figures"),
        Option.flag("--no-progress", "show no progress on the terminal"),
        Option.flag("--debug", "show where an error came from"),
        Option.flag("--help", "show this help"));
  }

  @Override
  public void run(Arguments arguments, Console console) {
    ExperimentSettings settings = ExperimentSettings.of(arguments);
    boolean shown = console.terminal() && !arguments.has("--no-progress");
    Output out = console.out();
    try (ExperimentProgress progress =
        new ExperimentProgress(console, shown, settings.plan().runs())) {
      Experiment experiment =
          new Experiment(
              settings.plan(),
              settings.out(),
              settings.command(),
              Machine.facts(),
              progress,
              !arguments.has("--no-figures"));
      experiment.run().forEach(trouble -> console.err().println("gatefuse: " + trouble));
      out.println("report: " + settings.out().resolve("report.md"));
    } catch (IllegalArgumentException e) {
      throw new CommandException(e.getMessage() + "; see --out", e);
    }
  }
}
