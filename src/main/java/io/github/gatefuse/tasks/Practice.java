// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.training.Evaluation;
import io.github.gatefuse.training.Lesson;
import io.github.gatefuse.training.Trainer;

/**
 * How a network practises a task and is judged by it. What happens at a step depends on the seed,
 * the step's number and the network alone.
 *
 * <p>For one thread at a time.
 */
public interface Practice extends Lesson {
  /**
   * Judges a network by data that it does not learn from.
   *
   * @param trainer of the task's network
   * @param mostBatches at least 1; Long.MAX_VALUE for all that there are
   * @return loss and share of what is right
   */
  Evaluation evaluate(Trainer trainer, long mostBatches);
}
