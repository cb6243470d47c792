// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * The sessions of a predictor: one, and as many more as ever ran at the same time.
 *
 * <p>Thread-safe.
 */
final class SessionPool implements AutoCloseable {
  /**
   * A session grows to the largest T and the largest B that it has met, unless that makes it so
   * many times larger than either call needs.
   */
  private static final int WASTE = 8;

  private final Rnn rnn;
  private final Regularization regularization;
  private final ModelOptions options;
  private final Deque<Session> idle = new ArrayDeque<>();
  private boolean closed;

  SessionPool(Rnn rnn, Regularization regularization, ModelOptions options) {
    this.rnn = rnn;
    this.regularization = regularization;
    this.options = options;
  }

  /**
   * A session for one call, to give back after it.
   *
   * @throws IllegalStateException if the predictor is closed
   * @throws IllegalArgumentException if the call is larger than the options allow
   */
  Session take(int steps, int batch) {
    limit("steps", steps, "maxSteps", options.maxSteps());
    limit("batch", batch, "maxBatch", options.maxBatch());
    Session session;
    synchronized (this) {
      if (closed) {
        throw new IllegalStateException("predictor is closed");
      }
      session = idle.poll();
    }
    if (session != null && steps <= session.maxSteps() && batch <= session.maxBatch()) {
      return session;
    }
    SessionOptions capacity;
    try {
      capacity = capacity(session, steps, batch);
    } catch (IllegalArgumentException e) {
      if (session != null) {
        giveBack(session);
      }
      throw e;
    }
    if (session != null) {
      session.close();
    }
    return rnn.session(capacity);
  }

  private static void limit(String name, int value, String option, int most) {
    if (most > 0 && value > most) {
      throw new IllegalArgumentException(
          name + ": expected at most " + most + ", the option " + option + ", got " + value);
    }
  }

  private SessionOptions capacity(Session outgrown, int steps, int batch) {
    int maxSteps = Math.max(steps, options.maxSteps());
    int maxBatch = Math.max(batch, options.maxBatch());
    if (outgrown != null) {
      long rows = (long) outgrown.maxSteps() * outgrown.maxBatch();
      long most = Math.min(Integer.MAX_VALUE, WASTE * Math.max(rows, (long) maxSteps * maxBatch));
      int bothSteps = Math.max(maxSteps, outgrown.maxSteps());
      int bothBatch = Math.max(maxBatch, outgrown.maxBatch());
      if ((long) bothSteps * bothBatch <= most) {
        maxSteps = bothSteps;
        maxBatch = bothBatch;
      }
    }
    return SessionOptions.of(maxSteps, maxBatch)
        .withThreads(options.threads())
        .withRegularization(regularization);
  }

  void giveBack(Session session) {
    synchronized (this) {
      if (!closed) {
        idle.push(session);
        return;
      }
    }
    session.close();
  }

  /** Closes all sessions; those that are in use are closed as they come back. */
  @Override
  public synchronized void close() {
    closed = true;
    while (!idle.isEmpty()) {
      idle.pop().close();
    }
  }
}
