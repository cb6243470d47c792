// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import java.util.Objects;
import java.util.OptionalDouble;

/**
 * What a task asks of a network.
 *
 * <p>Immutable and thread-safe.
 *
 * @param metric the number that matters
 * @param baseline what a network reaches that remembers nothing; empty where that is not known
 * @param solved from which value on the task counts as solved; empty where there is no such value
 */
public record Goal(Metric metric, OptionalDouble baseline, OptionalDouble solved) {
  /**
   * Checks that nothing is null.
   *
   * @param metric not null
   * @param baseline not null
   * @param solved not null
   */
  public Goal {
    Objects.requireNonNull(metric, "metric");
    Objects.requireNonNull(baseline, "baseline");
    Objects.requireNonNull(solved, "solved");
  }

  /**
   * A task that can be solved.
   *
   * @param metric the number that matters
   * @param baseline what a network reaches that remembers nothing
   * @param solved from which value on the task counts as solved
   * @return the goal
   */
  static Goal of(Metric metric, double baseline, double solved) {
    return new Goal(metric, OptionalDouble.of(baseline), OptionalDouble.of(solved));
  }

  /**
   * A task in which one can always be better.
   *
   * @param metric the number that matters
   * @param baseline what a network reaches that remembers nothing
   * @return the goal
   */
  static Goal open(Metric metric, double baseline) {
    return new Goal(metric, OptionalDouble.of(baseline), OptionalDouble.empty());
  }

  /**
   * Whether the task counts as solved.
   *
   * @param value of the metric
   * @return false where nothing counts as that
   */
  public boolean isSolved(double value) {
    return solved.isPresent() && metric.reaches(value, solved.getAsDouble());
  }
}
