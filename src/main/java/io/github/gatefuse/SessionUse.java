// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * Who uses a session: nobody, one thread, or nobody ever again. What a holder wrote, the next one
 * sees.
 *
 * <p>Thread-safe, but for {@link #pending}.
 */
final class SessionUse {
  private static final int FREE = 0;
  private static final int IN_USE = 1;
  private static final int CLOSED = 2;

  private final AtomicInteger state = new AtomicInteger(FREE);

  /** Whether enqueued work may not be complete. For the thread that holds the session. */
  boolean pending;

  /** Begins a use by this thread, if nobody else uses the session; {@link #release} ends it. */
  boolean tryAcquire() {
    return state.compareAndSet(FREE, IN_USE);
  }

  /**
   * Begins a use by this thread; {@link #release} ends it.
   *
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  void acquire() {
    if (!tryAcquire()) {
      throw new IllegalStateException(
          state.get() == CLOSED ? "session is closed" : "session is in use by another thread");
    }
  }

  void release() {
    state.set(FREE);
  }

  /**
   * Ends all use.
   *
   * @return false if it had ended before
   * @throws IllegalStateException if another thread is using the session
   */
  boolean close() {
    if (state.compareAndSet(FREE, CLOSED)) {
      return true;
    }
    if (state.get() != CLOSED) {
      throw new IllegalStateException("session is in use by another thread and stays open");
    }
    return false;
  }
}
