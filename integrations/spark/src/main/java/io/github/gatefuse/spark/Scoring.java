// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.serving.BatcherOptions;
import io.github.gatefuse.serving.Output;
import java.io.Serializable;
import java.time.Duration;

/**
 * What is done with the elements of a dataset.
 *
 * @param what names an element's sequence in messages
 * @param maxSteps the most steps of one native call
 */
record Scoring<IN, OUT>(
    String what,
    Sequences<IN> sequences,
    Output output,
    ResultBuilder<IN, OUT> result,
    Invalid invalid,
    int batchSize,
    int maxSteps)
    implements Serializable {
  /** So many batches are read ahead, so that another sequence joins where one ends. */
  private static final int BATCHES = 16;

  /**
   * What a network gives if nobody says what.
   *
   * @param bytes whether it is given bytes, whose successors are known
   */
  static Output usualOutput(RnnSpec spec, boolean bytes) {
    if (bytes && Sequences.isByteModel(spec)) {
      return Output.TARGET_LOG_PROBABILITIES;
    }
    return spec.outputs() > 0 ? Output.LAST_LOGITS : Output.LAST_HIDDEN;
  }

  /**
   * Holds it against a network, before any job runs.
   *
   * @throws IllegalArgumentException if the network does not have the output
   */
  void check(RnnSpec spec) {
    boolean hidden = output == Output.HIDDEN || output == Output.LAST_HIDDEN;
    if (!hidden && spec.outputs() == 0) {
      throw new IllegalArgumentException(
          "output: expected HIDDEN or LAST_HIDDEN of a network without a head, got " + output);
    }
    if (output == Output.TARGET_LOG_PROBABILITIES && !Sequences.isByteModel(spec)) {
      throw new IllegalArgumentException(
          "output: expected a byte model (an embedding of 256 rows, a head of 256, one direction)"
              + (" for " + output + ", got " + spec));
    }
  }

  /** The most elements of a task that wait for their scores. */
  int window() {
    return Math.multiplyExact(BATCHES, batchSize);
  }

  /** One session a task, which computes while the task's own thread reads and writes rows. */
  BatcherOptions options(Regularization regularization, int threads) {
    return BatcherOptions.of(output)
        .withSizes(batchSize, maxSteps)
        .withQueue(window(), BatcherOptions.WhenFull.BLOCK)
        .withMaxDelay(Duration.ofMillis(1))
        .withWorkers(1, threads)
        .withRegularization(regularization);
  }
}
