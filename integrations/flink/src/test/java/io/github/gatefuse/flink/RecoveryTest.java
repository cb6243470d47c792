// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.RestartStrategyOptions;
import org.apache.flink.configuration.StateBackendOptions;
import org.apache.flink.configuration.StateRecoveryOptions;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.runtime.testutils.MiniClusterResourceConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.test.junit5.MiniClusterExtension;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Jobs that fail and go on, and jobs that go on with another parallelism, score as if they had not.
 */
class RecoveryTest {
  private static final int EVENTS = 20_000;
  private static final int PER_SECOND = 5_000;

  @RegisterExtension
  static final MiniClusterExtension CLUSTER =
      new MiniClusterExtension(
          new MiniClusterResourceConfiguration.Builder()
              .setNumberTaskManagers(2)
              .setNumberSlotsPerTaskManager(2)
              .build());

  @TempDir Path folder;

  @BeforeEach
  void clear() {
    Results.clear();
    CrashOnce.CRASHED.set(false);
  }

  /** Fails when a checkpoint is complete and some more events have come. */
  private static final class CrashOnce
      extends RichMapFunction<Tuple2<Long, float[]>, Tuple2<Long, float[]>>
      implements CheckpointListener {
    private static final long serialVersionUID = 1;
    private static final AtomicBoolean CRASHED = new AtomicBoolean();

    private int checkpoints;
    private int since;

    @Override
    public void notifyCheckpointComplete(long checkpoint) {
      checkpoints++;
    }

    @Override
    public Tuple2<Long, float[]> map(Tuple2<Long, float[]> score) {
      if (checkpoints >= 1 && ++since > 300 && CRASHED.compareAndSet(false, true)) {
        throw new IllegalStateException("killed by the test");
      }
      return score;
    }
  }

  private Configuration configuration(String backend, boolean unaligned) {
    Configuration configuration = new Configuration();
    configuration.set(StateBackendOptions.STATE_BACKEND, backend);
    configuration.set(CheckpointingOptions.CHECKPOINTING_INTERVAL, Duration.ofMillis(150));
    configuration.set(CheckpointingOptions.ENABLE_UNALIGNED, unaligned);
    configuration.set(CheckpointingOptions.CHECKPOINTS_DIRECTORY, folder.toUri().toString());
    configuration.set(RestartStrategyOptions.RESTART_STRATEGY, "fixed-delay");
    configuration.set(RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_ATTEMPTS, 1);
    configuration.set(
        RestartStrategyOptions.RESTART_STRATEGY_FIXED_DELAY_DELAY, Duration.ofMillis(10));
    return configuration;
  }

  /** A source of one task, so that the order of a key's events is always the same. */
  private static StreamExecutionEnvironment job(Configuration configuration, int parallelism) {
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.getExecutionEnvironment(configuration);
    environment.setParallelism(parallelism);
    environment.setMaxParallelism(128);
    DataGeneratorSource<Tuple2<Integer, Long>> source =
        new DataGeneratorSource<>(
            TestModel::event, EVENTS, RateLimiterStrategy.perSecond(PER_SECOND), TestModel.EVENT);
    TestModel.scorer()
        .batchSize(16)
        .build()
        .score(
            environment
                .fromSource(source, WatermarkStrategy.noWatermarks(), "events")
                .uid("events")
                .setParallelism(1)
                .keyBy(event -> event.f0, Types.INT))
        .uid("scores")
        .map(new CrashOnce())
        .returns(TestModel.SCORE)
        .uid("crash")
        .map(new Results())
        .returns(Types.LONG)
        .uid("results")
        .sinkTo(new DiscardingSink<>())
        .uid("sink");
    return environment;
  }

  private static void assertAllScores() {
    Map<Long, float[]> expected = TestModel.expected(EVENTS);
    assertEquals(EVENTS, Results.SCORES.size());
    expected.forEach(
        (number, score) ->
            assertArrayEquals(score, Results.SCORES.get(number), 0f, "event " + number));
    assertEquals(0, Results.DIFFERENT.get(), "scores that came again and were others");
  }

  @ParameterizedTest
  @CsvSource({"hashmap, false", "hashmap, true", "rocksdb, false", "rocksdb, true"})
  void jobThatIsKilledGivesTheSameScores(String backend, boolean unaligned) throws Exception {
    job(configuration(backend, unaligned), 2).execute();
    assertTrue(CrashOnce.CRASHED.get(), "the job was killed");
    assertTrue(Results.REPEATED.get() > 0, "events came again");
    assertTrue(Results.REPEATED.get() < EVENTS / 2, "not all events came again");
    assertAllScores();
  }

  @ParameterizedTest
  @CsvSource({"hashmap", "rocksdb"})
  void rescalingKeepsEveryState(String backend) throws Exception {
    CrashOnce.CRASHED.set(true);
    Configuration configuration = configuration(backend, false);
    int[] parallelism = {2, 4, 2};
    for (int i = 0; i < parallelism.length; i++) {
      JobClient client = job(configuration, parallelism[i]).executeAsync();
      if (i == parallelism.length - 1) {
        client.getJobExecutionResult().get();
        break;
      }
      awaitScores((i + 1) * EVENTS / parallelism.length);
      String savepoint =
          client
              .stopWithSavepoint(false, folder.toUri().toString(), SavepointFormatType.CANONICAL)
              .get();
      assertTrue(Results.SCORES.size() < EVENTS, "the job was stopped before its end");
      configuration.set(StateRecoveryOptions.SAVEPOINT_PATH, savepoint);
    }
    assertAllScores();
    assertEquals(0, Results.REPEATED.get(), "nothing came again");
  }

  private static void awaitScores(int count) throws InterruptedException {
    long end = System.nanoTime() + Duration.ofMinutes(2).toNanos();
    while (Results.SCORES.size() < count) {
      assertTrue(System.nanoTime() < end, "scores came in time");
      Thread.sleep(10);
    }
  }

  @Test
  void jobWithoutFailureGivesTheSameScores() throws Exception {
    CrashOnce.CRASHED.set(true);
    job(configuration("hashmap", false), 2).execute();
    assertEquals(0, Results.REPEATED.get());
    assertAllScores();
  }
}
