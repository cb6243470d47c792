// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.ExecutionPath;
import java.time.Duration;

/**
 * What a {@link StreamPool} has done since it was made.
 *
 * <p>Immutable and thread-safe.
 *
 * @param open streams that are open
 * @param capacity streams that may be open
 * @param opened streams that were opened, imported ones included
 * @param closed of them, those that their caller closed
 * @param evicted those that were evicted
 * @param calls calls of {@link StreamPool#step}
 * @param steps steps of all streams together
 * @param uptime since the pool was made
 * @param callTime of a call
 * @param path how the session runs
 * @param stateBytes of the states
 * @param deviceBytes of states and session in device memory; 0 where there is none
 * @param bytes of states, session and books, in device memory or not, without the network's weights
 */
public record StreamPoolMetrics(
    int open,
    int capacity,
    long opened,
    long closed,
    long evicted,
    long calls,
    long steps,
    Duration uptime,
    Timing callTime,
    ExecutionPath path,
    long stateBytes,
    long deviceBytes,
    long bytes) {
  /**
   * Steps over the uptime.
   *
   * @return steps per second
   */
  public double stepsPerSecond() {
    return steps / (Math.max(1, uptime.toNanos()) / 1e9);
  }

  /**
   * All bytes over the capacity.
   *
   * @return bytes per stream
   */
  public double bytesPerStream() {
    return (double) bytes / capacity;
  }
}
