// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.training.TrainingLoop;
import java.io.PrintStream;
import java.util.Locale;
import java.util.function.Consumer;

/** One line on a terminal that tells how far a training is; closing it wipes the line. */
final class TrainProgress implements Consumer<TrainingLoop.Progress>, AutoCloseable {
  private static final long INTERVAL_NANOS = 200_000_000;
  private static final int BAR = 24;
  private static final String WIPE = "\r\033[K";

  private final PrintStream out;
  private final boolean shown;
  private long drawn;
  private boolean written;

  TrainProgress(PrintStream out, boolean shown) {
    this.out = out;
    this.shown = shown;
  }

  @Override
  public void accept(TrainingLoop.Progress progress) {
    long now = System.nanoTime();
    if (shown && (!written || now - drawn >= INTERVAL_NANOS)) {
      drawn = now;
      written = true;
      out.print(WIPE + text(progress));
      out.flush();
    }
  }

  /** What the line says. */
  static String text(TrainingLoop.Progress progress) {
    int full = (int) (progress.share() * BAR);
    double seconds = progress.elapsed().toNanos() / 1e9;
    double left = progress.share() > 0 ? seconds / progress.share() - seconds : 0;
    String heldOut =
        progress.evaluation() == null
            ? ""
            : String.format(
                Locale.ROOT, ", held out %.3f", TrainCommand.bits(progress.evaluation()));
    return String.format(
        Locale.ROOT,
        "[%s%s] %3d%%  step %d, %.3f bits per byte%s, %s left",
        "#".repeat(full),
        " ".repeat(BAR - full),
        (int) (progress.share() * 100),
        progress.last().step() + 1,
        progress.meanLoss() / Math.log(2),
        heldOut,
        Units.duration(left));
  }

  @Override
  public void close() {
    if (written) {
      out.print(WIPE);
      out.flush();
    }
  }
}
