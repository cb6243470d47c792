// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.serving.BatcherOptions.WhenFull;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Requests that wait, oldest first, and how batches are picked from them.
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

  private final int maxBatch;
  private final int capacity;
  private final boolean blocks;
  private final long maxDelay;

  private final ReentrantLock lock = new ReentrantLock();
  private final Condition work = lock.newCondition();
  private final Condition room = lock.newCondition();
  private final ArrayDeque<Pending> queue = new ArrayDeque<>();
  private int idleWorkers;
  private boolean closed;

  RequestQueue(BatcherOptions options) {
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
   * @throws InterruptedException if the thread is interrupted while it waits for room
   */
  Offer offer(Pending pending) throws InterruptedException {
    lock.lock();
    try {
      while (!closed && isFull()) {
        if (!blocks) {
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
   * Waits until a batch is due: as large as it may be, or its oldest request has waited long
   * enough, or the queue is closed.
   *
   * @return at least one request, longest first; null where the queue is closed and empty
   */
  List<Pending> take() {
    lock.lock();
    idleWorkers++;
    try {
      for (; ; ) {
        while (!queue.isEmpty() && queue.peek().isOver()) {
          queue.remove();
          room.signal();
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
          List<Pending> batch = pick();
          if (!batch.isEmpty()) {
            return batch;
          }
          continue;
        }
        await(left);
      }
    } finally {
      idleWorkers--;
      lock.unlock();
    }
  }

  private void await(long nanos) {
    try {
      work.awaitNanos(nanos);
    } catch (InterruptedException e) {
      // Workers are the batcher's own, and nobody's to interrupt.
    }
  }

  /**
   * The oldest request and those nearest to it in length: a batch of like lengths keeps all its
   * rows to the end. Where several workers are free, each gets its share.
   */
  private List<Pending> pick() {
    queue.removeIf(Pending::isOver);
    int share = (queue.size() + idleWorkers - 1) / idleWorkers;
    int count = Math.min(maxBatch, share);
    List<Pending> all = new ArrayList<>(queue);
    if (count < all.size()) {
      int length = all.get(0).steps;
      all.sort(Comparator.comparingInt(pending -> Math.abs(pending.steps - length)));
      all = all.subList(0, count);
      Set<Pending> picked = new HashSet<>(all);
      queue.removeIf(picked::contains);
      work.signal();
    } else {
      queue.clear();
    }
    room.signalAll();
    List<Pending> batch = new ArrayList<>(all);
    batch.sort(Comparator.comparingInt((Pending pending) -> pending.steps).reversed());
    return batch;
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
