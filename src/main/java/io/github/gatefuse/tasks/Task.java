// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.Objective;

/**
 * Something to learn: a network's inputs and outputs, what it practises on, and what it is judged
 * by.
 *
 * <p>Implementations are immutable and thread-safe.
 */
public interface Task {
  /**
   * The name on the command line and in reports.
   *
   * @return such as {@code copy}
   */
  String id();

  /**
   * What is to be learned, from what data.
   *
   * @return sentences for a report
   */
  String description();

  /**
   * The network: its inputs and outputs are the task's.
   *
   * @param cell the cell
   * @param hiddenSize H
   * @return one layer with a head
   */
  RnnSpec network(Cell cell, int hiddenSize);

  /**
   * The longest sequence.
   *
   * @return T
   */
  int steps();

  /**
   * What a training makes small.
   *
   * @return the objective of batches that {@link #sample} gives
   */
  Objective objective();

  /**
   * What matters in the end.
   *
   * @return the number, what it is without memory, and when the task is solved
   */
  Goal goal();

  /**
   * Begins to practise.
   *
   * @param seed any number; the same gives the same batches
   * @param sequences B, at least 1
   * @return steps of training and evaluations
   */
  Practice practice(long seed, int sequences);

  /**
   * Sequences that nobody learns from, to look into a network with.
   *
   * @param sequences B, at least 1
   * @return a batch; fewer sequences where there are fewer
   */
  Batch sample(int sequences);
}
