// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Map;
import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.ExecutionOptions;
import org.apache.flink.configuration.PipelineOptions;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.runtime.testutils.MiniClusterResourceConfiguration;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.test.junit5.MiniClusterExtension;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A bounded job gives the same scores in batch execution, where keys come one after another. */
class BatchModeTest {
  private static final int EVENTS = 3_000;

  @RegisterExtension
  static final MiniClusterExtension CLUSTER =
      new MiniClusterExtension(
          new MiniClusterResourceConfiguration.Builder()
              .setNumberTaskManagers(1)
              .setNumberSlotsPerTaskManager(2)
              .build());

  @ParameterizedTest(name = "batch size {0}, {1} may wait, parallelism {2}, object reuse {3}")
  @CsvSource({"1, 1, 1, false", "4, 5, 1, false", "16, 64, 2, true", "256, 5000, 1, false"})
  void scoresAreThoseOfStreaming(
      int batchSize, int maxBuffered, int parallelism, boolean reusesObjects) throws Exception {
    Results.clear();
    Configuration configuration = new Configuration();
    configuration.set(ExecutionOptions.RUNTIME_MODE, RuntimeExecutionMode.BATCH);
    configuration.set(PipelineOptions.OBJECT_REUSE, reusesObjects);
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.getExecutionEnvironment(configuration);
    environment.setParallelism(parallelism);
    DataGeneratorSource<Tuple2<Integer, Long>> source =
        new DataGeneratorSource<>(TestModel::event, EVENTS, TestModel.EVENT);
    TestModel.scorer()
        .batchSize(batchSize)
        .maxBuffered(maxBuffered)
        .build()
        .score(
            environment
                .fromSource(
                    source,
                    WatermarkStrategy.<Tuple2<Integer, Long>>forMonotonousTimestamps()
                        .withTimestampAssigner((event, before) -> event.f1),
                    "events")
                .keyBy(event -> event.f0, Types.INT))
        .map(new Results())
        .sinkTo(new DiscardingSink<>());
    environment.execute();
    Map<Long, float[]> expected = TestModel.expected(EVENTS);
    assertEquals(EVENTS, Results.SCORES.size());
    expected.forEach((number, y) -> assertArrayEquals(y, Results.SCORES.get(number), 0f));
  }
}
