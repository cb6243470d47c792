// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.Regularization;
import java.time.Duration;
import java.util.Objects;

/**
 * How a {@link Batcher} makes batches.
 *
 * <p>Immutable and thread-safe.
 *
 * @param output what every request is answered with
 * @param maxBatch the most requests of a worker at a time, at least 1
 * @param maxSteps the most steps of one native call, at least 1. Longer requests run in pieces,
 *     with the bits of one, and requests that came meanwhile join at the end of a piece; only where
 *     a network has two directions or a backend cannot pick states by row, it is the longest
 *     request
 * @param maxDelay how long a request waits at most for others while a worker runs none; zero for
 *     not at all
 * @param queueCapacity the most requests that wait, at least 1
 * @param whenFull what becomes of a request that finds the queue full
 * @param workers the threads that run batches, each with a session of its own, at least 1; 0 for as
 *     many as the process may use on the CPU, and one elsewhere
 * @param threads the native threads of each worker's session, its own included, at least 1
 * @param regularization the zoneout that the network was trained with, which is part of what it
 *     computes, as {@link io.github.gatefuse.io.StoredModel#regularization} tells it
 */
public record BatcherOptions(
    Output output,
    int maxBatch,
    int maxSteps,
    Duration maxDelay,
    int queueCapacity,
    WhenFull whenFull,
    int workers,
    int threads,
    Regularization regularization) {
  /** What becomes of a request that finds the queue full. */
  public enum WhenFull {
    /** It fails at once with {@link ServingException.Reason#QUEUE_FULL}. */
    REJECT,
    /** Its thread waits until there is room, or the request's time is up. */
    BLOCK
  }

  /**
   * Checks every component.
   *
   * @param output not null
   * @param maxBatch at least 1
   * @param maxSteps at least 1
   * @param maxDelay zero to a day
   * @param queueCapacity at least 1
   * @param whenFull not null
   * @param workers at least 0
   * @param threads at least 1
   * @param regularization not null
   * @throws IllegalArgumentException naming the component, what was expected and what came
   */
  public BatcherOptions {
    Objects.requireNonNull(output, "output");
    Objects.requireNonNull(maxDelay, "maxDelay");
    Objects.requireNonNull(regularization, "regularization");
    Objects.requireNonNull(whenFull, "whenFull");
    atLeast("maxBatch", maxBatch, 1);
    atLeast("maxSteps", maxSteps, 1);
    atLeast("queueCapacity", queueCapacity, 1);
    atLeast("workers", workers, 0);
    atLeast("threads", threads, 1);
    if (maxDelay.isNegative() || maxDelay.compareTo(Duration.ofDays(1)) > 0) {
      throw new IllegalArgumentException("maxDelay: expected zero to a day, got " + maxDelay);
    }
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(name + ": expected at least " + least + ", got " + value);
    }
  }

  /**
   * Batches of up to 64 requests, in calls of up to 64 steps, that wait for at most one
   * millisecond; 4096 requests may wait, and more are rejected; a worker with one thread for each
   * processor; no zoneout. Networks of two directions take requests of up to 64 steps so: see
   * {@link #withSizes}.
   *
   * @param output what every request is answered with
   * @return the options
   */
  public static BatcherOptions of(Output output) {
    return new BatcherOptions(
        output, 64, 64, Duration.ofMillis(1), 4096, WhenFull.REJECT, 0, 1, Regularization.NONE);
  }

  /**
   * The same with other largest sizes.
   *
   * @param batch the most requests of a worker at a time, at least 1
   * @param steps the most steps of one native call, at least 1
   * @return new options
   */
  public BatcherOptions withSizes(int batch, int steps) {
    return new BatcherOptions(
        output, batch, steps, maxDelay, queueCapacity, whenFull, workers, threads, regularization);
  }

  /**
   * The same with another wait for further requests.
   *
   * @param value zero to a day
   * @return new options
   */
  public BatcherOptions withMaxDelay(Duration value) {
    return new BatcherOptions(
        output,
        maxBatch,
        maxSteps,
        value,
        queueCapacity,
        whenFull,
        workers,
        threads,
        regularization);
  }

  /**
   * The same with another queue.
   *
   * @param capacity the most requests that wait, at least 1
   * @param policy what becomes of a request that finds the queue full
   * @return new options
   */
  public BatcherOptions withQueue(int capacity, WhenFull policy) {
    return new BatcherOptions(
        output, maxBatch, maxSteps, maxDelay, capacity, policy, workers, threads, regularization);
  }

  /**
   * The same with other threads.
   *
   * @param workers the threads that run batches; 0 for as many as the process may use on the CPU,
   *     and one elsewhere
   * @param threads the native threads of each worker's session, at least 1
   * @return new options
   */
  public BatcherOptions withWorkers(int workers, int threads) {
    return new BatcherOptions(
        output,
        maxBatch,
        maxSteps,
        maxDelay,
        queueCapacity,
        whenFull,
        workers,
        threads,
        regularization);
  }

  /**
   * The same with the zoneout that the network was trained with.
   *
   * @param value as {@link io.github.gatefuse.io.StoredModel#regularization} tells it; one that the
   *     network or the backend does not have is an error of {@link Batcher#start}
   * @return new options
   */
  public BatcherOptions withRegularization(Regularization value) {
    return new BatcherOptions(
        output, maxBatch, maxSteps, maxDelay, queueCapacity, whenFull, workers, threads, value);
  }
}
