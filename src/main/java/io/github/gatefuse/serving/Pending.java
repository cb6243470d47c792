// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import java.util.concurrent.CompletableFuture;

/** A request that was accepted. What is not final belongs to the worker that runs it. */
final class Pending {
  final Request request;
  final int steps;
  final long submitted;
  final CompletableFuture<float[]> future = new CompletableFuture<>();

  /** Made by the worker when it takes the request. */
  float[] answer;

  /** The steps that the worker has run. */
  int done;

  /** The row of the worker's states that is this request's, while it runs. */
  int row;

  Pending(Request request, int steps, long submitted) {
    this.request = request;
    this.steps = steps;
    this.submitted = submitted;
  }

  int left() {
    return steps - done;
  }

  /** Whether nobody waits for an answer any more. */
  boolean isOver() {
    return future.isDone();
  }
}
