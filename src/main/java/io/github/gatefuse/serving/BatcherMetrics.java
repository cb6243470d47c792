// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.ExecutionPath;
import java.time.Duration;

/**
 * What a {@link Batcher} has done since it was made.
 *
 * <p>Immutable and thread-safe. Counts are taken one after another, so that those of requests just
 * on their way may not add up.
 *
 * @param submitted requests that were submitted
 * @param completed of them, those that were answered
 * @param failed those whose arguments were wrong, whose batch failed or whose answer did not fit
 *     the heap
 * @param rejected those that found the queue full, or the batcher closed
 * @param expired those whose time was up
 * @param cancelled those that their caller cancelled
 * @param queued those that wait now
 * @param batches native calls that were begun, each with the requests that a worker had then
 * @param steps steps of all answered requests together
 * @param batchFill requests of a call over the most that it may have, on average
 * @param uptime since the batcher was made
 * @param queueTime from a request's submission to the start of its first call
 * @param computeTime of a call, with what is copied before and after it
 * @param latency from a request's submission to its answer
 * @param path how the sessions run
 * @param bytes of sessions and buffers, without the network's weights
 */
public record BatcherMetrics(
    long submitted,
    long completed,
    long failed,
    long rejected,
    long expired,
    long cancelled,
    int queued,
    long batches,
    long steps,
    double batchFill,
    Duration uptime,
    Timing queueTime,
    Timing computeTime,
    Timing latency,
    ExecutionPath path,
    long bytes) {
  /**
   * Answered requests over the uptime.
   *
   * @return requests per second
   */
  public double requestsPerSecond() {
    return completed / seconds();
  }

  /**
   * Steps of answered requests over the uptime.
   *
   * @return steps per second
   */
  public double stepsPerSecond() {
    return steps / seconds();
  }

  private double seconds() {
    return Math.max(1, uptime.toNanos()) / 1e9;
  }
}
