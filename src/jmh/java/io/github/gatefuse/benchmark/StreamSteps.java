// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.serving.Output;
import io.github.gatefuse.serving.StreamPool;
import io.github.gatefuse.serving.StreamPoolMetrics;
import io.github.gatefuse.serving.StreamPoolOptions;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Random;

/**
 * Steps of a pool of streams, ten thousand streams at random in each call, against the floor: what
 * the processor multiplies, and what it reads, at best.
 */
final class StreamSteps {
  private static final int AT_A_TIME = 10_000;
  private static final int CALLS_OF_A_ROUND = 10;

  private StreamSteps() {}

  static void measure(Serving.Options options) throws IOException, InterruptedException {
    for (int streams : new int[] {AT_A_TIME, 100_000}) {
      for (int input : new int[] {256, 64}) {
        measure(options, streams, input, 1);
        if (options.threads() > 1) {
          measure(options, streams, input, options.threads());
        }
      }
    }
  }

  /** The ceilings are of the same moment: on a shared machine they are not always the same. */
  private static void measure(Serving.Options options, int streams, int input, int threads)
      throws IOException, InterruptedException {
    Ceilings before = Ceilings.measure(threads);
    RnnSpec spec = RnnSpec.of(Cell.LSTM, input, 256);
    StreamPoolOptions kept = StreamPoolOptions.of(streams, Output.HIDDEN).withThreads(threads);
    try (Rnn rnn = Rnn.create(spec, WeightInit.standard(0).weights(spec, 1), Backend.CPU);
        StreamPool pool = StreamPool.create(rnn, kept)) {
      Random random = new Random(3);
      long[] open = new long[streams];
      Arrays.setAll(open, i -> pool.open());
      FloatBuffer x = floats(AT_A_TIME * input);
      x.put(0, Values.uniform(random, AT_A_TIME * input));
      FloatBuffer y = floats(AT_A_TIME * spec.outputSize());
      double[] seconds = new double[options.rounds() * CALLS_OF_A_ROUND];
      for (int i = -2; i < seconds.length; i++) {
        shuffle(open, random);
        long begun = System.nanoTime();
        pool.step(AT_A_TIME, open, x, y);
        if (i >= 0) {
          seconds[i] = (System.nanoTime() - begun) / 1e9;
        }
      }
      double peak = Math.max(before.gigaflops(), Ceilings.measure(threads).gigaflops());
      say(spec, peak, pool.metrics(), threads, Spread.of(seconds));
    }
  }

  private static void say(
      RnnSpec spec, double peak, StreamPoolMetrics metrics, int threads, Spread seconds) {
    double rate = AT_A_TIME / seconds.median();
    double hidden = spec.hiddenSize();
    double flops = 8 * hidden * (hidden + spec.inputSize());
    // x is read; h and c are read and written; y is written.
    double bytes = Float.BYTES * (spec.inputSize() + 5 * hidden);
    Serving.say(
        "streams: lstm I=%d H=256, %d open, %d at a time, threads=%d: %.0f steps/s (quartiles %.0f"
            + " to %.0f), %.0f GFLOP/s = %.0f %% of the FMA peak %.0f; %.1f GB/s of states, x and y; %.0f"
            + " bytes a stream, of which %.0f state",
        spec.inputSize(),
        metrics.open(),
        AT_A_TIME,
        threads,
        rate,
        AT_A_TIME / seconds.upper(),
        AT_A_TIME / seconds.lower(),
        rate * flops / 1e9,
        100 * rate * flops / 1e9 / peak,
        peak,
        rate * bytes / 1e9,
        metrics.bytesPerStream(),
        (double) metrics.stateBytes() / metrics.capacity());
  }

  private static void shuffle(long[] values, Random random) {
    for (int i = values.length - 1; i > 0; i--) {
      int other = random.nextInt(i + 1);
      long value = values[i];
      values[i] = values[other];
      values[other] = value;
    }
  }

  private static FloatBuffer floats(int count) {
    return ByteBuffer.allocateDirect(count * Float.BYTES)
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }
}
