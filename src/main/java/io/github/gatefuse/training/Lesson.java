// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

/**
 * What a training does at each of its steps, where that is more than to learn from the next batch:
 * such as to act with the network first, and to learn from what came of it.
 *
 * <p>What happens depends on the step's number and the network alone, so that a training that
 * resumes goes on as if it had never stopped.
 */
@FunctionalInterface
public interface Lesson {
  /**
   * Takes one step.
   *
   * @param trainer of the network, on which it calls {@code step} once
   * @param index the number of the step, 0 for the first
   * @return what the step found
   */
  StepReport step(Trainer trainer, long index);
}
