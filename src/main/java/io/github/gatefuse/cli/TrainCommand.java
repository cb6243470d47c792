// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.SafetensorsWriter;
import io.github.gatefuse.training.Evaluation;
import io.github.gatefuse.training.Loss;
import io.github.gatefuse.training.TrainingLoop;
import io.github.gatefuse.training.TrainingOptions;
import java.util.List;
import java.util.Locale;

/** {@code gatefuse train}: a byte model of the lines of files. */
final class TrainCommand implements Command {
  private static final String DESCRIPTION =
      """
      Trains a byte model on the lines of the files: each byte of a line is predicted from those
      before it. The model is a file for gatefuse score --model. Every twentieth line, chosen at
      random, is held out; the model of the best evaluation on those is the one that is written.
      """;

  @Override
  public String name() {
    return "train";
  }

  @Override
  public String usage() {
    return "train --out MODEL [--minutes M | --steps N] [OPTION...] FILE...";
  }

  @Override
  public String description() {
    return DESCRIPTION;
  }

  @Override
  public List<Option> options() {
    return List.of(
        Option.value("--out", "MODEL", "where the model goes, as safetensors"),
        Option.value("--minutes", "M", "train for M minutes (5)"),
        Option.value("--steps", "N", "train for N batches, however long that takes"),
        Option.value("--cell", "NAME", "the cell (lstm_refine)"),
        Option.value("--hidden", "N", "hidden units (256)"),
        Option.value("--layers", "N", "layers of them (1)"),
        Option.value("--embedding", "N", "numbers for each byte (64)"),
        Option.value("--batch", "N", "lines that are learnt from together (32)"),
        Option.value("--max-line", "N", "longer lines go in pieces of N bytes (160)"),
        Option.value("--rate", "R", "the learning rate at the beginning (0.002)"),
        Option.value("--dropout", "P", "dropout between layers with rate P (0)"),
        Option.value(
            "--zoneout",
            "H,C",
            "zoneout with rate H of hidden and, where there are any, C of cell\nstates (0); score then does the same"),
        Option.value("--recurrent-dropout", "P", "dropout of candidates with rate P (0)"),
        Option.value("--seed", "N", "another seed gives another model (1)"),
        Option.value(
            "--checkpoint",
            "FILE",
            "keep in FILE how far it is, and go on from there if it exists"),
        Option.value("--metrics", "FILE", "write losses as CSV to FILE"),
        Option.value("--backend", "NAME", "reference, cpu, cuda or auto (auto)"),
        Option.value("--threads", "N", "use at most N threads (all that the process may use)"),
        Option.flag("--no-progress", "show no progress on the terminal"),
        Option.flag("--debug", "show where an error came from"),
        Option.flag("--help", "show this help"));
  }

  @Override
  public void run(Arguments arguments, Console console) {
    TrainSettings settings = TrainSettings.of(arguments);
    LineBatches.Split lines =
        LineBatches.read(
            settings.files(), settings.longestLine(), settings.batch(), settings.seed());
    RnnSpec spec = settings.spec();
    TrainingLoop.Result result;
    try (TrainProgress progress =
        new TrainProgress(console.err(), settings.progress() && console.terminal())) {
      Weights initial = WeightInit.uniform().weights(spec, settings.seed());
      result = loop(settings, lines, spec, initial).withListener(progress).run();
    } catch (IllegalArgumentException e) {
      throw new CommandException(e.getMessage(), e);
    }
    write(settings, spec, result);
    console.out().print(summary(settings, lines, spec, result));
    if (result.end() == TrainingLoop.End.DIVERGED) {
      throw new CommandException(
          "training diverged at " + result.why() + "; the model is that of the best evaluation");
    }
  }

  private static TrainingLoop loop(
      TrainSettings settings, LineBatches.Split lines, RnnSpec spec, Weights initial) {
    TrainingOptions options =
        TrainingOptions.of(settings.longestLine() + 1, settings.batch(), Loss.CROSS_ENTROPY)
            .withRate(settings.rate())
            .withNetwork(settings.network())
            .withThreads(settings.threads())
            .withRegularization(settings.regularization());
    TrainingLoop loop =
        TrainingLoop.of(spec, initial, options, lines.training()::batch)
            .untilStep(settings.steps())
            .atMost(settings.time())
            .evaluating(
                lines.heldOut()::batch,
                Math.min(lines.heldOut().batches(), TrainSettings.HELD_OUT_BATCHES),
                settings.interval());
    if (settings.checkpoint() != null) {
      loop = loop.withCheckpoint(settings.checkpoint());
    }
    return settings.metrics() == null ? loop : loop.withMetrics(settings.metrics());
  }

  private static void write(TrainSettings settings, RnnSpec spec, TrainingLoop.Result result) {
    SafetensorsWriter writer =
        SafetensorsWriter.create()
            .metadata("cell", spec.cell().id())
            .metadata("bos", "10")
            .metadata("eos", "10")
            .metadata("steps", Long.toString(result.steps()))
            .metadata("max_line", Integer.toString(settings.longestLine()));
    settings.regularization().rates().forEach(writer::metadata);
    if (result.bestEvaluation() != null) {
      writer.metadata(
          "held_out_bits_per_byte",
          String.format(Locale.ROOT, "%.4f", bits(result.bestEvaluation())));
    }
    writer.add("rnn.", result.best()).write(settings.out());
  }

  static double bits(Evaluation evaluation) {
    return evaluation.loss() / Math.log(2);
  }

  private static String summary(
      TrainSettings settings, LineBatches.Split lines, RnnSpec spec, TrainingLoop.Result result) {
    String quality =
        result.bestEvaluation() == null
            ? "no evaluation was reached"
            : String.format(
                Locale.ROOT,
                "%.3f bits per byte on %d held-out lines, after step %d",
                bits(result.bestEvaluation()),
                lines.heldOut().size(),
                result.bestStep());
    return String.format(
        Locale.ROOT,
        "%s: %s, hidden %d, %d lines, %d steps in %s%n%s%n",
        settings.out(),
        spec.cell().id(),
        spec.hiddenSize(),
        lines.training().size(),
        result.steps(),
        Units.duration(result.elapsed().toMillis() / 1e3),
        quality);
  }
}
