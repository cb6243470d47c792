// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.serving.ServingException.Reason;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs requests of many threads as batches.
 *
 * <pre>{@code
 * try (Batcher batcher = Batcher.start(rnn, BatcherOptions.of(Output.LAST_LOGITS))) {
 *   CompletableFuture<float[]> logits = batcher.submit(Request.of(x));
 * }
 * }</pre>
 *
 * <p>Workers are platform threads of the batcher's own, since a native call holds the carrier of a
 * virtual thread; so callers may be virtual threads. A worker that runs nothing takes its share of
 * the requests when they would fill a batch or when the oldest has waited for {@link
 * BatcherOptions#maxDelay}. It runs them in calls of at most {@link BatcherOptions#maxSteps}; after
 * each, those at their end are answered and leave, and those that wait join, oldest first. An
 * answer has the bits of the sequence run alone, whatever else was in its batch.
 *
 * <p>Whatever goes wrong with a request is told by its future, which fails with
 *
 * <ul>
 *   <li>{@link IllegalArgumentException}, at once, where its arguments do not fit the network: a
 *       wrong width, a number that is infinite or NaN, a token out of range. It never gets into a
 *       batch;
 *   <li>{@link ServingException} with a {@linkplain ServingException#reason reason}: the queue was
 *       full, its time was up, the batcher was closed, the heap did not hold its answer, or the run
 *       of its batch failed. A run that fails takes nothing with it but the requests in it.
 * </ul>
 *
 * <p>Cancelling the future takes the request out of the queue, or out of its batch at the end of
 * the call that runs. What is chained to a future runs on a thread of the batcher unless it is
 * asked to run elsewhere ({@code thenApplyAsync}): keep it short.
 *
 * <p>The workers keep the process alive until {@link #close}. The network is the caller's, stays
 * open, and may not be updated meanwhile.
 *
 * <p>Thread-safe.
 */
public final class Batcher implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Batcher.class);

  private final RnnSpec spec;
  private final BatcherOptions options;

  /** The longest request. */
  private final int longest;

  private final RequestQueue queue;
  private final List<BatchRunner> runners = new ArrayList<>();
  private final List<Thread> workers = new ArrayList<>();
  private final ScheduledThreadPoolExecutor deadlines;

  /** null before the first deadline. */
  private volatile Thread deadlineThread;

  private final long started = System.nanoTime();
  private final LongAdder submitted = new LongAdder();
  private final LongAdder completed = new LongAdder();
  private final LongAdder failed = new LongAdder();
  private final LongAdder rejected = new LongAdder();
  private final LongAdder expired = new LongAdder();
  private final LongAdder cancelled = new LongAdder();
  private final LongAdder batches = new LongAdder();
  private final LongAdder rows = new LongAdder();
  private final LongAdder steps = new LongAdder();
  private final Histogram queueTime = new Histogram();
  private final Histogram computeTime = new Histogram();
  private final Histogram latency = new Histogram();

  private Batcher(Rnn rnn, BatcherOptions options) {
    this.spec = rnn.spec();
    this.options = options;
    this.longest =
        rnn.hasStateRows() && !spec.bidirectional() ? Integer.MAX_VALUE : options.maxSteps();
    this.queue = new RequestQueue(options, workers(rnn, options));
    this.deadlines = new ScheduledThreadPoolExecutor(1, this::deadlineThread);
    deadlines.setRemoveOnCancelPolicy(true);
  }

  private Thread deadlineThread(Runnable task) {
    Thread thread = new Thread(task, "gatefuse-batcher-deadlines");
    thread.setDaemon(true);
    deadlineThread = thread;
    return thread;
  }

  /**
   * Makes a batcher and starts its workers.
   *
   * @param rnn the network, which stays the caller's and is closed after the batcher
   * @param options how batches are made
   * @return a batcher that the caller owns and closes
   * @throws IllegalArgumentException if the network does not have the output
   * @throws IllegalStateException if the network is closed
   * @throws io.github.gatefuse.GatefuseException if memory runs out
   */
  public static Batcher start(Rnn rnn, BatcherOptions options) {
    Objects.requireNonNull(options, "options");
    options.output().check(rnn.spec());
    Batcher batcher = new Batcher(rnn, options);
    boolean made = false;
    try {
      for (int i = 0; i < workers(rnn, options); i++) {
        batcher.runners.add(new BatchRunner(rnn, options));
      }
      made = true;
    } finally {
      if (!made) {
        batcher.closeRunners();
      }
    }
    batcher.startWorkers();
    return batcher;
  }

  private static int workers(Rnn rnn, BatcherOptions options) {
    if (options.workers() > 0) {
      return options.workers();
    }
    return rnn.backend() == Backend.CPU ? Runtime.getRuntime().availableProcessors() : 1;
  }

  private void startWorkers() {
    for (BatchRunner runner : runners) {
      Thread worker = new Thread(() -> work(runner), "gatefuse-batcher-" + workers.size());
      workers.add(worker);
    }
    workers.forEach(Thread::start);
  }

  /**
   * Submits a request. Returns at once, unless the queue is full and the options say to wait; on a
   * thread of this batcher, which would wait for itself, a full queue always rejects.
   *
   * @param request of any length (see {@link BatcherOptions#maxSteps})
   * @return the answer, as {@link BatcherOptions#output} says; its failures are listed above
   */
  public CompletableFuture<float[]> submit(Request request) {
    Objects.requireNonNull(request, "request");
    submitted.increment();
    Pending pending;
    try {
      pending = new Pending(request, checkedSteps(request), System.nanoTime());
    } catch (IllegalArgumentException e) {
      failed.increment();
      return CompletableFuture.failedFuture(e);
    }
    if (!watchDeadline(pending)) {
      refuse(pending, RequestQueue.Offer.CLOSED);
      return pending.future;
    }
    Thread thread = Thread.currentThread();
    boolean mayWait = !workers.contains(thread) && thread != deadlineThread; // for room
    try {
      refuse(pending, queue.offer(pending, mayWait));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      reject(pending, Reason.QUEUE_FULL, "its thread was interrupted while it waited for room");
    }
    return pending.future;
  }

  private int checkedSteps(Request request) {
    int count = request.check(spec, options.output());
    if (count > longest) {
      throw new IllegalArgumentException(
          ("request: expected at most maxSteps=" + longest + " steps, since the ")
              + (spec.bidirectional()
                  ? "network has two directions"
                  : "backend cannot carry on states by row")
              + ("; got " + count));
    }
    return count;
  }

  private void refuse(Pending pending, RequestQueue.Offer offer) {
    switch (offer) {
      case FULL ->
          reject(
              pending,
              Reason.QUEUE_FULL,
              "the queue holds " + options.queueCapacity() + " requests, as many as it may");
      case CLOSED -> reject(pending, Reason.CLOSED, "the batcher is closed");
      case ACCEPTED, OVER -> {}
    }
  }

  private void reject(Pending pending, Reason reason, String why) {
    String message = "request was not accepted: " + why;
    fail(pending, rejected, new ServingException(reason, message));
  }

  /** Counts first, so that whoever has the failure finds it counted. */
  private static void fail(Pending pending, LongAdder counter, ServingException failure) {
    counter.increment();
    if (!pending.future.completeExceptionally(failure)) {
      counter.decrement(); // It was over already.
    }
  }

  /** Returns whether that could be done: once the batcher is closed, no timer starts. */
  private boolean watchDeadline(Pending pending) {
    Duration timeout = pending.request.timeout();
    ScheduledFuture<?> timer = null;
    if (timeout != null) {
      try {
        timer = deadlines.schedule(() -> expire(pending), Nanos.of(timeout), TimeUnit.NANOSECONDS);
      } catch (RejectedExecutionException e) {
        return false;
      }
    }
    whenOver(pending, timer);
    return true;
  }

  private void whenOver(Pending pending, ScheduledFuture<?> timer) {
    pending.future.whenComplete(
        (answer, failure) -> {
          if (timer != null) {
            timer.cancel(false);
          }
          if (pending.future.isCancelled()) {
            cancelled.increment();
            queue.wakeOffers();
          }
        });
  }

  private void expire(Pending pending) {
    String message = "request was not answered within its " + pending.request.timeout();
    fail(pending, expired, new ServingException(Reason.DEADLINE_EXCEEDED, message));
    queue.wakeOffers();
  }

  // ---- Workers ----

  private void work(BatchRunner runner) {
    for (List<Pending> joining = queue.take(0);
        joining != null;
        joining = queue.take(runner.size())) {
      long begun = System.nanoTime();
      for (Pending pending : joining) {
        queueTime.record(begun - pending.submitted);
      }
      int taken = runner.size() + joining.size();
      try {
        runner.join(joining);
        joining.forEach(this::allocate);
        runner.dropOver();
        if (runner.size() > 0) {
          call(runner);
        }
      } catch (Throwable e) {
        List<Pending> lost = runner.running();
        runner.clear();
        fail(lost, e);
      }
      queue.ended(taken - runner.size());
    }
  }

  private void call(BatchRunner runner) {
    long begun = System.nanoTime();
    batches.increment();
    rows.add(runner.size());
    try {
      runner.run(this::answer);
    } finally {
      computeTime.record(System.nanoTime() - begun);
    }
  }

  /** The one request fails whose answer the heap does not hold, and not those beside it. */
  private void allocate(Pending pending) {
    int size = options.output().size(spec, pending.steps);
    try {
      pending.answer = new float[size];
    } catch (OutOfMemoryError e) {
      String message = "request: its answer of " + size + " values does not fit the heap";
      fail(pending, failed, new ServingException(Reason.BATCH_FAILED, message, e));
    }
  }

  /** As failures are counted. */
  private void answer(Pending pending) {
    count(pending, 1);
    latency.record(System.nanoTime() - pending.submitted);
    if (!pending.future.complete(pending.answer)) {
      count(pending, -1); // It was cancelled, or its time was up.
    }
  }

  private void count(Pending pending, int sign) {
    completed.add(sign);
    steps.add((long) sign * pending.steps);
  }

  /** Requests of the batch that were answered before stay so. */
  private void fail(List<Pending> batch, Throwable cause) {
    LOG.warn("A batch of {} requests has failed", batch.size(), cause);
    for (Pending pending : batch) {
      ServingException failure =
          new ServingException(
              Reason.BATCH_FAILED,
              "the run of a batch of " + batch.size() + " requests failed: " + cause.getMessage(),
              cause);
      fail(pending, failed, failure);
    }
  }

  // ---- What others see ----

  /**
   * What has been done so far.
   *
   * @return a snapshot
   */
  public BatcherMetrics metrics() {
    long count = batches.sum();
    return new BatcherMetrics(
        submitted.sum(),
        completed.sum(),
        failed.sum(),
        rejected.sum(),
        expired.sum(),
        cancelled.sum(),
        queue.size(),
        count,
        steps.sum(),
        count == 0 ? 0 : (double) rows.sum() / count / options.maxBatch(),
        Duration.ofNanos(System.nanoTime() - started),
        queueTime.timing(),
        computeTime.timing(),
        latency.timing(),
        runners.get(0).path(),
        runners.stream().mapToLong(BatchRunner::bytes).sum());
  }

  /**
   * Takes no more requests, waits until all that were accepted are answered, and frees the
   * sessions. Requests that wait for room in the queue fail with {@link Reason#CLOSED}. A second
   * close waits for the first.
   *
   * @throws IllegalStateException on a thread of this batcher, which would wait for itself
   */
  @Override
  public void close() {
    checkThread();
    queue.close();
    boolean interrupted = false;
    for (Thread worker : workers) {
      for (boolean ended = false; !ended; ) {
        try {
          worker.join();
          ended = true;
        } catch (InterruptedException e) {
          interrupted = true; // Nothing is lost for that; whoever interrupts is told at the end.
        }
      }
    }
    closeRunners();
    deadlines.shutdownNow();
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * The same without the waiting requests, which fail with {@link Reason#CLOSED}; those that run
   * are finished.
   *
   * @throws IllegalStateException on a thread of this batcher, which would wait for itself
   */
  public void closeNow() {
    checkThread();
    queue.close();
    for (Pending pending : queue.clear()) {
      reject(pending, Reason.CLOSED, "the batcher was closed before its turn");
    }
    close();
  }

  private void checkThread() {
    if (workers.contains(Thread.currentThread())) {
      throw new IllegalStateException(
          "close: expected another thread than the batcher's own, got "
              + Thread.currentThread().getName());
    }
  }

  private void closeRunners() {
    runners.forEach(BatchRunner::close);
  }
}
