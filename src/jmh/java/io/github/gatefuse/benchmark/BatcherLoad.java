// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.serving.Batcher;
import io.github.gatefuse.serving.BatcherMetrics;
import io.github.gatefuse.serving.BatcherOptions;
import io.github.gatefuse.serving.Output;
import io.github.gatefuse.serving.Request;
import io.github.gatefuse.serving.Timing;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;

/**
 * A batcher under load against one offline call. Both run the same sequences, of 10 to 500 steps,
 * with as many threads: the call has all of them at once, in buffers that are filled already; the
 * batcher's clients submit one at a time each and wait for its answer. Rounds take turns.
 */
final class BatcherLoad {
  private static final int SEQUENCES = 768;
  private static final int SHORTEST = 10;
  private static final int LONGEST = 500;

  /** Up to so many steps a request is short. */
  private static final int SHORT = 64;

  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM, 64, 256);

  private BatcherLoad() {}

  static void measure(Serving.Options options) throws InterruptedException {
    Random random = new Random(1);
    Request[] requests = new Request[SEQUENCES];
    int[] lengths = random.ints(SEQUENCES, SHORTEST, LONGEST + 1).toArray();
    FloatBuffer x = floats((long) SEQUENCES * LONGEST * SPEC.inputSize());
    for (int i = 0; i < SEQUENCES; i++) {
      float[] values = Values.uniform(random, lengths[i] * SPEC.inputSize());
      requests[i] = Request.of(values);
      x.put(i * LONGEST * SPEC.inputSize(), values);
    }
    long steps = Arrays.stream(lengths).sum();
    Serving.say(
        "batcher: lstm I=64 H=256, %d sequences of %d to %d steps, %d clients, %d threads",
        SEQUENCES, SHORTEST, LONGEST, options.clients(), options.threads());
    try (Rnn rnn = Rnn.create(SPEC, WeightInit.standard(0).weights(SPEC, 1), Backend.CPU)) {
      for (Output output : new Output[] {Output.LAST_HIDDEN, Output.HIDDEN}) {
        compare(rnn, output, options, requests, lengths, x, steps);
      }
    }
  }

  private static void compare(
      Rnn rnn,
      Output output,
      Serving.Options options,
      Request[] requests,
      int[] lengths,
      FloatBuffer x,
      long steps)
      throws InterruptedException {
    SessionOptions size = SessionOptions.of(LONGEST, SEQUENCES).withThreads(options.threads());
    double[] offline = new double[options.rounds()];
    double[] served = new double[options.rounds()];
    long[][] latencies = new long[options.rounds() + 1][requests.length];
    BatcherOptions batching = BatcherOptions.of(output).withWorkers(options.threads(), 1);
    BatcherMetrics metrics;
    try (Session session = rnn.session(size)) {
      ForwardCall call = session.call().batchMajor(true).input(x).lengths(ints(lengths));
      if (output == Output.HIDDEN) {
        call.output(floats((long) SEQUENCES * LONGEST * SPEC.outputSize()));
      } else {
        call.finalState(State.zeros(SPEC, SEQUENCES));
      }
      serve(rnn, batching, requests, options.clients(), latencies[options.rounds()]); // warm
      call.run(LONGEST, SEQUENCES);
      try (Batcher batcher = Batcher.start(rnn, batching)) {
        for (int round = 0; round < options.rounds(); round++) {
          long begun = System.nanoTime();
          call.run(LONGEST, SEQUENCES);
          offline[round] = (System.nanoTime() - begun) / 1e9;
          served[round] = serve(batcher, requests, options.clients(), latencies[round]);
        }
        metrics = batcher.metrics();
      }
    }
    Spread ratio = Spread.ofRatio(offline, served);
    Timing latency = metrics.latency();
    Serving.say(
        "  %s: offline %.0f steps/s, batcher %.0f steps/s; batcher/offline %.3f (quartiles %.3f to"
            + " %.3f, %d rounds)",
        output,
        steps / Spread.of(offline).median(),
        steps / Spread.of(served).median(),
        ratio.median(),
        ratio.lower(),
        ratio.upper(),
        ratio.count());
    Serving.say(
        "    latency ms: p50 %.1f, p90 %.1f, p99 %.1f, max %.1f; in the queue p99 %.1f; %.1f requests in"
            + " a call",
        millis(latency.p50().toNanos()),
        millis(latency.p90().toNanos()),
        millis(latency.p99().toNanos()),
        millis(latency.max().toNanos()),
        millis(metrics.queueTime().p99().toNanos()),
        metrics.batchFill() * batching.maxBatch());
    long[] brief =
        IntStream.range(0, requests.length)
            .filter(n -> lengths[n] <= SHORT)
            .mapToObj(n -> Arrays.stream(latencies).limit(options.rounds()).mapToLong(l -> l[n]))
            .flatMapToLong(stream -> stream)
            .sorted()
            .toArray();
    Serving.say(
        "    of requests of up to %d steps: p50 %.1f, p99 %.1f",
        SHORT, millis(brief[brief.length / 2]), millis(brief[brief.length * 99 / 100]));
  }

  private static double millis(long nanos) {
    return nanos / 1e6;
  }

  private static void serve(
      Rnn rnn, BatcherOptions options, Request[] requests, int clients, long[] latencies)
      throws InterruptedException {
    try (Batcher batcher = Batcher.start(rnn, options)) {
      serve(batcher, requests, clients, latencies);
    }
  }

  /**
   * Seconds until all requests are answered; fills in how long each of them took. The clients are
   * there before: to start 64 threads beside busy workers takes a tenth of a second.
   */
  private static double serve(Batcher batcher, Request[] requests, int clients, long[] latencies)
      throws InterruptedException {
    AtomicInteger next = new AtomicInteger();
    AtomicLong begun = new AtomicLong();
    CyclicBarrier start =
        new CyclicBarrier(clients + 1, () -> begun.set(System.nanoTime())); // before any goes on
    Thread[] threads = new Thread[clients];
    for (int i = 0; i < clients; i++) {
      threads[i] =
          new Thread(
              () -> {
                await(start);
                for (int n = next.getAndIncrement();
                    n < requests.length;
                    n = next.getAndIncrement()) {
                  long submitted = System.nanoTime();
                  batcher.submit(requests[n]).join();
                  latencies[n] = System.nanoTime() - submitted;
                }
              });
      threads[i].start();
    }
    await(start);
    for (Thread thread : threads) {
      thread.join();
    }
    return (System.nanoTime() - begun.get()) / 1e9;
  }

  private static void await(CyclicBarrier barrier) {
    try {
      barrier.await();
    } catch (InterruptedException | BrokenBarrierException e) {
      throw new IllegalStateException(e);
    }
  }

  private static FloatBuffer floats(long count) {
    return ByteBuffer.allocateDirect(Math.toIntExact(count * Float.BYTES))
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }

  private static IntBuffer ints(int[] values) {
    return ByteBuffer.allocateDirect(values.length * Integer.BYTES)
        .order(ByteOrder.nativeOrder())
        .asIntBuffer()
        .put(0, values);
  }
}
