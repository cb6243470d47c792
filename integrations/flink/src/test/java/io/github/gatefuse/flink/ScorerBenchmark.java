// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import java.util.Arrays;
import java.util.Random;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;

/**
 * Events per second of one task over 10,000 keys, with batches and without, in turns. A round's
 * time is that from its first result to its last, so that the start of a job is not in it.
 */
public final class ScorerBenchmark {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 64, 256);
  private static final int KEYS = 10_000;
  private static final int EVENTS = 200_000;
  private static final int ROUNDS = 5;
  private static final int[] BATCHES = {1, 16, 64, 256};

  private ScorerBenchmark() {}

  /** Notes when the first and the last result came; in the process of the benchmark. */
  private static final class Clock implements MapFunction<Float, Float> {
    private static final long serialVersionUID = 1;

    private static volatile long first;
    private static volatile long last;

    private int count;

    @Override
    public Float map(Float value) {
      count++;
      if (count == 1) {
        first = System.nanoTime();
      } else if (count == EVENTS) {
        last = System.nanoTime();
      }
      return value;
    }
  }

  private static Tuple2<Integer, float[]> event(long number) {
    Random random = new Random(number);
    float[] x = new float[SPEC.inputSize()];
    for (int i = 0; i < x.length; i++) {
      x[i] = random.nextFloat() - 0.5f;
    }
    return Tuple2.of(random.nextInt(KEYS), x);
  }

  private static double eventsPerSecond(byte[] model, int batchSize) throws Exception {
    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    environment.setParallelism(1);
    DataGeneratorSource<Tuple2<Integer, float[]>> source =
        new DataGeneratorSource<>(
            ScorerBenchmark::event,
            EVENTS,
            Types.TUPLE(Types.INT, Types.PRIMITIVE_ARRAY(Types.FLOAT)));
    GateFuseScorer.<Tuple2<Integer, float[]>, Float>builder()
        .model(model, SPEC, "rnn.")
        .features(event -> event.f1)
        .result((event, y) -> y[0], Types.FLOAT)
        .batchSize(batchSize)
        .build()
        .score(
            environment
                .fromSource(source, WatermarkStrategy.noWatermarks(), "events")
                .keyBy(event -> event.f0, Types.INT))
        .map(new Clock())
        .sinkTo(new DiscardingSink<>());
    environment.execute();
    return (EVENTS - 1) / ((Clock.last - Clock.first) / 1e9);
  }

  /**
   * Runs.
   *
   * @param args none
   * @throws Exception if a job fails
   */
  public static void main(String[] args) throws Exception {
    byte[] model = TestModel.bytes(SPEC, 1);
    double[][] rates = new double[BATCHES.length][ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      for (int i = 0; i < BATCHES.length; i++) {
        rates[i][round] = eventsPerSecond(model, BATCHES[i]);
      }
    }
    System.out.printf("%d keys, %d events a round, %s%n", KEYS, EVENTS, SPEC);
    for (int i = 0; i < BATCHES.length; i++) {
      Arrays.sort(rates[i]);
      System.out.printf(
          "batch %3d: %8.0f events/s, median of %d rounds (%.0f to %.0f)%n",
          BATCHES[i], rates[i][ROUNDS / 2], ROUNDS, rates[i][0], rates[i][ROUNDS - 1]);
    }
  }
}
