// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.serving.Batcher;
import io.github.gatefuse.serving.Request;
import io.github.gatefuse.serving.ServingException;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/**
 * The results of a partition, in its order. As many elements are read ahead as make some batches,
 * so that another joins where one ends.
 *
 * <p>One thread at a time. It closes itself after the last result.
 */
final class ScoredElements<IN, OUT> implements Iterator<OUT>, AutoCloseable {
  private final Iterator<IN> elements;
  private final SharedNetworks.Lease network;
  private final Scoring<IN, OUT> scoring;
  private final int partition;
  private final Batcher batcher;
  private final Queue<Waiting<IN>> waiting = new ArrayDeque<>();
  private long count;
  private OUT next;

  /** An element that was read, its number in the partition, and its score to come. */
  private record Waiting<IN>(IN element, long number, CompletableFuture<float[]> outputs) {}

  private ScoredElements(
      Iterator<IN> elements,
      SharedNetworks.Lease network,
      Scoring<IN, OUT> scoring,
      int partition,
      int threads) {
    this.elements = elements;
    this.network = network;
    this.scoring = scoring;
    this.partition = partition;
    this.batcher = Batcher.start(network.rnn(), scoring.options(network.regularization(), threads));
  }

  /**
   * Begins a partition.
   *
   * @param network to be closed with the results
   */
  static <IN, OUT> ScoredElements<IN, OUT> start(
      Iterator<IN> elements,
      SharedNetworks.Lease network,
      Scoring<IN, OUT> scoring,
      int partition,
      int threads) {
    boolean started = false;
    try {
      ScoredElements<IN, OUT> scored =
          new ScoredElements<>(elements, network, scoring, partition, threads);
      started = true;
      return scored;
    } finally {
      if (!started) {
        network.close();
      }
    }
  }

  @Override
  public boolean hasNext() {
    while (next == null && readAhead()) {
      next = result(waiting.remove());
    }
    if (next == null) {
      close();
    }
    return next != null;
  }

  @Override
  public OUT next() {
    if (!hasNext()) {
      throw new NoSuchElementException("partition " + partition + ": expected no more rows");
    }
    OUT result = next;
    next = null;
    return result;
  }

  /** Whether there is an element that waits. */
  private boolean readAhead() {
    while (waiting.size() < scoring.window() && elements.hasNext()) {
      IN element = elements.next();
      waiting.add(new Waiting<>(element, count, submit(element)));
      count++;
    }
    return !waiting.isEmpty();
  }

  private CompletableFuture<float[]> submit(IN element) {
    Request request;
    try {
      request = scoring.sequences().request(element);
    } catch (InvalidRow e) {
      return CompletableFuture.failedFuture(e);
    } catch (Exception e) {
      throw new IllegalStateException(place(count) + ": its sequence could not be taken: " + e, e);
    }
    return batcher.submit(request);
  }

  private OUT result(Waiting<IN> waiting) {
    float[] outputs;
    try {
      outputs = waiting.outputs.get();
    } catch (ExecutionException e) {
      if (e.getCause() instanceof ServingException) {
        throw new IllegalStateException(
            place(waiting.number) + ": " + e.getCause().getMessage(), e.getCause());
      }
      return invalid(waiting, e.getCause());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(place(waiting.number) + ": the task was interrupted", e);
    }
    return scoring.result().result(waiting.element, outputs);
  }

  private OUT invalid(Waiting<IN> waiting, Throwable why) {
    return switch (scoring.invalid()) {
      case ERROR ->
          throw new IllegalArgumentException(place(waiting.number) + ": " + why.getMessage(), why);
      case SKIP -> null;
      case KEEP -> scoring.result().result(waiting.element, null);
    };
  }

  private String place(long number) {
    return scoring.what() + " of row " + number + " of partition " + partition + " (from 0)";
  }

  /** Drops what waits. A second close does nothing. */
  @Override
  public void close() {
    batcher.closeNow();
    network.close();
  }
}
