// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import io.github.gatefuse.tasks.Variant;
import io.github.gatefuse.training.Evaluation;
import java.util.List;
import java.util.OptionalLong;

/**
 * What came of one training.
 *
 * @param variant that was trained
 * @param seed of weights and batches
 * @param parameters the number of values
 * @param status how it ended
 * @param reason a sentence, where it did not end well; else ""
 * @param steps taken
 * @param seconds that it took
 * @param curve the evaluations on the way
 * @param last on all held-out data, at the end; null where the run failed before
 * @param metric of that evaluation; NaN where there is none
 * @param stepsToGoal after how many steps an evaluation first reached the goal
 * @param path what the network ran on
 * @param before the network before the training; null where it was not looked into
 * @param after the network after the training; null where it was not looked into
 */
record RunResult(
    Variant variant,
    long seed,
    long parameters,
    Status status,
    String reason,
    long steps,
    double seconds,
    List<Point> curve,
    Evaluation last,
    double metric,
    OptionalLong stepsToGoal,
    String path,
    Insight before,
    Insight after) {

  /** How a run ended. */
  enum Status {
    /** All steps were taken, or the time was up. */
    COMPLETE,
    /** A number was not finite. */
    DIVERGED,
    /** Something else went wrong. */
    FAILED
  }
}
