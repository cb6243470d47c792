// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.BatchSource;
import io.github.gatefuse.training.Evaluation;
import io.github.gatefuse.training.Loss;
import io.github.gatefuse.training.StepReport;
import io.github.gatefuse.training.Trainer;

/**
 * A task whose right answers are known.
 *
 * <p>Implementations are immutable and thread-safe.
 */
public interface SupervisedTask extends Task {
  /**
   * The loss.
   *
   * @return of training and of the held-out set
   */
  Loss loss();

  /**
   * Batches to learn from.
   *
   * @param seed any number; the same gives the same batches
   * @param sequences B, at least 1
   * @return a source without an end
   */
  BatchSource training(long seed, int sequences);

  /**
   * What the network is judged by.
   *
   * @param sequences B at most, at least 1
   * @return the same sequences for every B, as far as the task allows
   */
  HeldOut heldOut(int sequences);

  @Override
  default Loss objective() {
    return loss();
  }

  @Override
  default Batch sample(int sequences) {
    return heldOut(sequences).source().batch(0);
  }

  @Override
  default Practice practice(long seed, int sequences) {
    BatchSource training = training(seed, sequences);
    HeldOut heldOut = heldOut(sequences);
    return new Practice() {
      @Override
      public StepReport step(Trainer trainer, long index) {
        return trainer.step(training.batch(index));
      }

      @Override
      public Evaluation evaluate(Trainer trainer, long mostBatches) {
        HeldOut part = heldOut.first(mostBatches);
        return trainer.evaluate(part.source()::batch, part.count());
      }
    };
  }
}
