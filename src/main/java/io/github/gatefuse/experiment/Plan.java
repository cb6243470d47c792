// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import static java.util.stream.Collectors.joining;

import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.tasks.Task;
import io.github.gatefuse.tasks.Variant;
import java.time.Duration;
import java.util.List;

/**
 * What is to be compared, and how. Immutable and thread-safe.
 *
 * @param task what is learnt
 * @param variants that are compared
 * @param seeds of weights and batches
 * @param hidden H
 * @param sequences B
 * @param steps of each run; Long.MAX_VALUE where the time counts
 * @param minutes of each run; infinite where the steps count
 * @param rate the learning rate of Adam
 * @param regularization of all runs; each draws by its own seed
 * @param network backend, precision and device
 * @param threads at most so many; 0 for all
 */
public record Plan(
    Task task,
    List<Variant> variants,
    List<Long> seeds,
    int hidden,
    int sequences,
    long steps,
    double minutes,
    double rate,
    Regularization regularization,
    RnnOptions network,
    int threads) {

  /** Evaluations of a run, evenly over its steps or time, one at its beginning apart. */
  static final int EVALUATIONS = 40;

  /** Held-out sequences of an evaluation on the way; at the end all are used. */
  static final int QUICK_SEQUENCES = 500;

  /** As good as without an end. */
  private static final long LONGEST_DAYS = 3650;

  /**
   * The largest number of held-out batches of an evaluation on the way.
   *
   * @return at least 1
   */
  long quickBatches() {
    return Math.max(1, QUICK_SEQUENCES / sequences);
  }

  /** How long a run may take. */
  Duration time() {
    return Double.isInfinite(minutes)
        ? Duration.ofDays(LONGEST_DAYS)
        : Duration.ofNanos((long) (minutes * 60e9));
  }

  /**
   * What decides the numbers that come of it, a line for each setting. Threads do not: they change
   * no bit.
   */
  List<String> settings() {
    return List.of(
        "task: " + task.id(),
        task.description().replaceAll("\\R", " "),
        "variants: " + variants.stream().map(Variant::id).collect(joining(",")),
        "seeds: " + seeds.stream().map(String::valueOf).collect(joining(",")),
        "hidden units: " + hidden,
        "sequences in a batch: " + sequences,
        "steps: " + (steps == Long.MAX_VALUE ? "any" : steps),
        "minutes: " + (Double.isInfinite(minutes) ? "any" : minutes),
        "rate: " + rate,
        "left to chance: " + chance(),
        "network: " + network.backend().id() + " " + network.precision().id());
  }

  /** The rates of the regularization in words. */
  String chance() {
    return regularization.isNone()
        ? "nothing"
        : regularization.rates().entrySet().stream()
            .map(rate -> rate.getKey() + " " + rate.getValue())
            .collect(joining(", "));
  }

  /**
   * The number of trainings.
   *
   * @return variants times seeds
   */
  public int runs() {
    return variants.size() * seeds.size();
  }
}
