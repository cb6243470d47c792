// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

/**
 * Why a request or a stream was not served, where its arguments were not to blame: wrong shapes and
 * values are {@link IllegalArgumentException}.
 */
public final class ServingException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The kind of refusal, for programs that decide by it. */
  public enum Reason {
    /** The queue holds as many requests as it may. */
    QUEUE_FULL,
    /** The request's time was up before it was answered. */
    DEADLINE_EXCEEDED,
    /** The batcher or the pool is closed, or was before the request was answered. */
    CLOSED,
    /**
     * The run of the request's batch failed, or the heap did not hold its answer; the cause says
     * how.
     */
    BATCH_FAILED,
    /** The pool holds as many streams as it may. */
    POOL_FULL,
    /** The stream was closed or evicted, or there never was one. */
    NO_SUCH_STREAM,
    /** Bytes are not the state of a stream of this network, or are damaged. */
    BAD_STATE
  }

  /** The kind of refusal. */
  private final Reason reason;

  ServingException(Reason reason, String message) {
    super(message);
    this.reason = reason;
  }

  ServingException(Reason reason, String message, Throwable cause) {
    super(message, cause);
    this.reason = reason;
  }

  /**
   * The kind of refusal.
   *
   * @return the reason
   */
  public Reason reason() {
    return reason;
  }
}
