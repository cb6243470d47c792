// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import java.util.concurrent.CompletableFuture;

/** A request that was accepted. The answer belongs to the worker that runs it. */
final class Pending {
  final Request request;
  final int steps;
  final long submitted;
  final CompletableFuture<float[]> future = new CompletableFuture<>();

  /** Set by the worker before the first piece. */
  float[] answer;

  Pending(Request request, int steps, long submitted) {
    this.request = request;
    this.steps = steps;
    this.submitted = submitted;
  }

  /** Whether nobody waits for an answer any more. */
  boolean isOver() {
    return future.isDone();
  }
}
