// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.State;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.serving.Batcher;
import io.github.gatefuse.serving.BatcherMetrics;
import io.github.gatefuse.serving.BatcherOptions;
import io.github.gatefuse.serving.Output;
import io.github.gatefuse.serving.Request;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAdder;

/**
 * Counts answers that are lost or those of other requests, among many requests of few steps: each
 * is compared, bit by bit, with its sequence run alone.
 */
final class BatcherAnswers {
  private static final int KINDS = 2000;
  private static final int LONGEST = 8;
  private static final int AT_A_TIME = 4;
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM, 16, 256);

  private BatcherAnswers() {}

  static void measure(Serving.Options options) throws InterruptedException {
    Random random = new Random(2);
    Request[] requests = new Request[KINDS];
    float[][] answers = new float[KINDS][];
    LongAdder lost = new LongAdder();
    LongAdder wrong = new LongAdder();
    long begun;
    BatcherMetrics metrics;
    try (Rnn rnn = Rnn.create(SPEC, WeightInit.standard(0).weights(SPEC, 1), Backend.CPU)) {
      try (Session session = rnn.session(LONGEST, 1)) {
        for (int i = 0; i < KINDS; i++) {
          int steps = 1 + random.nextInt(LONGEST);
          float[] x = Values.uniform(random, steps * SPEC.inputSize());
          State state = session.newState(1);
          session.forward(steps, 1, x, null, state);
          requests[i] = Request.of(x);
          answers[i] = state.hidden();
        }
      }
      BatcherOptions batching =
          BatcherOptions.of(Output.LAST_HIDDEN).withWorkers(options.threads(), 1);
      begun = System.nanoTime();
      try (Batcher batcher = Batcher.start(rnn, batching)) {
        AtomicInteger next = new AtomicInteger();
        Thread[] threads = new Thread[options.clients()];
        for (int i = 0; i < threads.length; i++) {
          Random own = new Random(i);
          threads[i] =
              new Thread(
                  () -> {
                    int[] kinds = new int[AT_A_TIME];
                    CompletableFuture<?>[] futures = new CompletableFuture<?>[AT_A_TIME];
                    while (next.getAndAdd(AT_A_TIME) < options.requests()) {
                      for (int n = 0; n < AT_A_TIME; n++) {
                        kinds[n] = own.nextInt(KINDS);
                        futures[n] = batcher.submit(requests[kinds[n]]);
                      }
                      for (int n = 0; n < AT_A_TIME; n++) {
                        compare(futures[n], answers[kinds[n]], lost, wrong);
                      }
                    }
                  });
          threads[i].start();
        }
        for (Thread thread : threads) {
          thread.join();
        }
        metrics = batcher.metrics();
      }
    }
    double seconds = (System.nanoTime() - begun) / 1e9;
    Serving.say(
        "answers: lstm I=16 H=256, %d requests of 1 to %d steps by %d clients in %.1f s: %d answered,"
            + " %d lost, %d of other requests; batches of %.1f requests, %.0f requests/s",
        metrics.submitted(),
        LONGEST,
        options.clients(),
        seconds,
        metrics.completed(),
        lost.sum(),
        wrong.sum(),
        (double) metrics.completed() / metrics.batches(),
        metrics.completed() / seconds);
  }

  private static void compare(
      CompletableFuture<?> future, float[] expected, LongAdder lost, LongAdder wrong) {
    try {
      if (!Arrays.equals((float[]) future.join(), expected)) {
        wrong.increment();
      }
    } catch (RuntimeException e) {
      lost.increment();
    }
  }
}
