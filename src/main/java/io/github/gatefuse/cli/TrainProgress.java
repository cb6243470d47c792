// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.training.TrainingLoop;
import java.io.PrintStream;
import java.util.Locale;
import java.util.function.Consumer;

/** One line on a terminal that tells how far a training is; closing it wipes the line. */
final class TrainProgress implements Consumer<TrainingLoop.Progress>, AutoCloseable {
  private final TerminalLine line;

  TrainProgress(PrintStream out, boolean shown) {
    line = new TerminalLine(out, shown);
  }

  @Override
  public void accept(TrainingLoop.Progress progress) {
    line.draw(() -> text(progress));
  }

  /** What the line says. */
  static String text(TrainingLoop.Progress progress) {
    double seconds = progress.elapsed().toNanos() / 1e9;
    double left = progress.share() > 0 ? seconds / progress.share() - seconds : 0;
    String heldOut =
        progress.evaluation() == null
            ? ""
            : String.format(
                Locale.ROOT, ", held out %.3f", TrainCommand.bits(progress.evaluation()));
    return String.format(
        Locale.ROOT,
        "%s  step %d, %.3f bits per byte%s, %s left",
        TerminalLine.bar(progress.share()),
        progress.last().step() + 1,
        progress.meanLoss() / Math.log(2),
        heldOut,
        Units.duration(left));
  }

  @Override
  public void close() {
    line.wipe();
  }
}
