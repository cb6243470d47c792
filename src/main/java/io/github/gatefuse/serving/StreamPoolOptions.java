// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.Regularization;
import java.util.Objects;

/**
 * How a {@link StreamPool} keeps its streams.
 *
 * <p>Immutable and thread-safe.
 *
 * @param capacity the most open streams, at least 1. Their memory is taken when the pool is made
 * @param output what a step is answered with: {@link Output#HIDDEN}, {@link Output#LOGITS} or
 *     {@link Output#LOG_PROBABILITIES}
 * @param whenFull what becomes of a new stream where the pool is full
 * @param threads the native threads of a step, the caller's included; 0 for as many as the process
 *     may use
 * @param regularization the zoneout that the network was trained with, which is part of what it
 *     computes, as {@link io.github.gatefuse.io.StoredModel#regularization} tells it
 */
public record StreamPoolOptions(
    int capacity, Output output, WhenFull whenFull, int threads, Regularization regularization) {
  /** What becomes of a new stream where the pool is full. */
  public enum WhenFull {
    /** It is refused with {@link ServingException.Reason#POOL_FULL}. */
    REJECT,
    /** The stream whose last step is longest ago is evicted for it. */
    EVICT
  }

  /**
   * Checks every component.
   *
   * @param capacity at least 1
   * @param output one of those above
   * @param whenFull not null
   * @param threads at least 0
   * @param regularization not null
   * @throws IllegalArgumentException naming the component, what was expected and what came
   */
  public StreamPoolOptions {
    Objects.requireNonNull(output, "output");
    Objects.requireNonNull(whenFull, "whenFull");
    Objects.requireNonNull(regularization, "regularization");
    if (capacity < 1) {
      throw new IllegalArgumentException("capacity: expected at least 1, got " + capacity);
    }
    if (threads < 0) {
      throw new IllegalArgumentException("threads: expected at least 0, got " + threads);
    }
    if (output.last() || output.needsTargets()) {
      throw new IllegalArgumentException(
          "output: expected HIDDEN, LOGITS or LOG_PROBABILITIES, got " + output);
    }
  }

  /**
   * A pool that rejects new streams when it is full, with as many threads as the process may use.
   *
   * @param capacity the most open streams, at least 1
   * @param output what a step is answered with
   * @return the options
   */
  public static StreamPoolOptions of(int capacity, Output output) {
    return new StreamPoolOptions(capacity, output, WhenFull.REJECT, 0, Regularization.NONE);
  }

  /**
   * The same with another policy.
   *
   * @param value what becomes of a new stream where the pool is full
   * @return new options
   */
  public StreamPoolOptions withWhenFull(WhenFull value) {
    return new StreamPoolOptions(capacity, output, value, threads, regularization);
  }

  /**
   * The same with another number of threads.
   *
   * @param value the native threads of a step; 0 for as many as the process may use
   * @return new options
   */
  public StreamPoolOptions withThreads(int value) {
    return new StreamPoolOptions(capacity, output, whenFull, value, regularization);
  }

  /**
   * The same with the zoneout that the network was trained with.
   *
   * @param value as {@link io.github.gatefuse.io.StoredModel#regularization} tells it; one that the
   *     network or the backend does not have is an error of {@link StreamPool#create}
   * @return new options
   */
  public StreamPoolOptions withRegularization(Regularization value) {
    return new StreamPoolOptions(capacity, output, whenFull, threads, value);
  }
}
