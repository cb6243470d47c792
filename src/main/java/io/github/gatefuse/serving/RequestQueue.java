// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.serving.BatcherOptions.WhenFull;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Requests that wait, oldest first, and how workers take them.
 *
 * <p>Thread-safe.
 */
final class RequestQueue {
  /** What became of a request that was offered. */
  enum Offer {
    ACCEPTED,
    FULL,
    CLOSED,
    /** Its time was up while it waited for room, or it was cancelled. */
    OVER
  }

  private final int workers;
  private final int maxBatch;
  private final int capacity;
  private final boolean blocks;
  private final long maxDelay;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition work = lock.newCondition();
  private final Condition room = lock.newCondition();
  private final ArrayDeque<Pending> queue = new ArrayDeque<>();

  /** Of all workers. */
  private int running;

  private boolean closed;

  RequestQueue(BatcherOptions options, int workers) {
    this.workers = workers;
    maxBatch = options.maxBatch();
    capacity = options.queueCapacity();
    blocks = options.whenFull() == WhenFull.BLOCK;
    maxDelay = options.maxDelay().toNanos();
  }

  int size() {
    lock.lock();
    try {
      return queue.size();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Adds a request.
   *
   * @param mayWait whether its thread may wait for room, where the options say to
   * @throws InterruptedException if the thread is interrupted while it waits for room
   */
  Offer offer(Pending pending, boolean mayWait) throws InterruptedException {
    lock.lock();
    try {
      while (!closed && isFull()) {
        if (!blocks || !mayWait) {
          return Offer.FULL;
        }
        if (pending.isOver()) {
          return Offer.OVER;
        }
        room.await();
      }
      if (closed) {
        return Offer.CLOSED;
      }
      queue.add(pending);
      // A worker that waits for a fuller batch looks again by itself in time.
      if (queue.size() == 1 || queue.size() >= maxBatch) {
        work.signal();
      }
      return Offer.ACCEPTED;
    } finally {
      lock.unlock();
    }
  }

  /** Requests that are over take no room. */
  private boolean isFull() {
    return queue.size() >= capacity && !queue.removeIf(Pending::isOver);
  }

  /** A request ended while it waited for room, perhaps. */
  void wakeOffers() {
    lock.lock();
    try {
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes requests for a worker. One that runs none waits until a batch is due: as large as it may
   * be, or its oldest request has waited long enough, or the queue is closed. One that runs some
   * takes what there is.
   *
   * @param own requests that the worker runs and has not told of by {@link #ended}
   * @return its share, oldest first; at least one where it runs none, and null where the queue is
   *     closed and empty then
   */
  List<Pending> take(int own) {
    lock.lock();
    try {
      for (; ; ) {
        dropOver();
        if (own > 0) {
          return pick(own);
        }
        if (queue.isEmpty()) {
          if (closed) {
            return null;
          }
          work.awaitUninterruptibly();
          continue;
        }
        long left = queue.peek().submitted + maxDelay - System.nanoTime();
        if (closed || left <= 0 || queue.size() >= maxBatch) {
          List<Pending> picked = pick(own);
          if (!picked.isEmpty()) {
            return picked;
          }
        } else {
          await(left);
        }
      }
    } finally {
      lock.unlock();
    }
  }

  /** Those at the head that nobody waits for any more; others go when they get there. */
  private void dropOver() {
    while (!queue.isEmpty() && queue.peek().isOver()) {
      queue.remove();
      room.signal();
    }
  }

  private void await(long nanos) {
    try {
      work.awaitNanos(nanos);
    } catch (InterruptedException e) {
      // Workers are the batcher's own, and nobody's to interrupt.
    }
  }

  /** As many as make the worker's share of all that wait and run. */
  private List<Pending> pick(int own) {
    int share = (queue.size() + running + workers - 1) / workers;
    int count = Math.min(share, maxBatch) - own;
    List<Pending> picked = new ArrayList<>();
    while (picked.size() < count && !queue.isEmpty()) {
      Pending pending = queue.remove();
      if (!pending.isOver()) {
        picked.add(pending);
      }
    }
    running += picked.size();
    if (!queue.isEmpty()) {
      work.signal();
    }
    room.signalAll();
    return picked;
  }

  /**
   * A worker runs so many requests less.
   *
   * @param count of those that it took
   */
  void ended(int count) {
    lock.lock();
    try {
      running -= count;
    } finally {
      lock.unlock();
    }
  }

  /** Takes no more requests; those that are there are taken still. */
  void close() {
    lock.lock();
    try {
      closed = true;
      work.signalAll();
      room.signalAll();
    } finally {
      lock.unlock();
    }
  }

  /** Takes away all that wait. */
  List<Pending> clear() {
    lock.lock();
    try {
      List<Pending> all = new ArrayList<>(queue);
      queue.clear();
      room.signalAll();
      return all;
    } finally {
      lock.unlock();
    }
  }
}
