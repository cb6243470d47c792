// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.operators.SimpleOperatorFactory;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.apache.flink.util.ExceptionUtils;
import org.apache.flink.util.OutputTag;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ScoringOperatorTest {
  private static final OutputTag<Tuple2<Integer, Long>> REFUSED =
      new OutputTag<>("refused", TestModel.EVENT);

  private KeyedOneInputStreamOperatorTestHarness<
          Integer, Tuple2<Integer, Long>, Tuple2<Long, float[]>>
      harness;

  private GateFuseScorer.Builder<Tuple2<Integer, Long>, Tuple2<Long, float[]>> scorer;

  @BeforeEach
  void begin() {
    scorer = TestModel.scorer();
  }

  @AfterEach
  void close() throws Exception {
    if (harness != null) {
      harness.close();
    }
  }

  /** Made anew by the scorer as it is. */
  private void create() throws Exception {
    harness =
        new KeyedOneInputStreamOperatorTestHarness<>(
            SimpleOperatorFactory.of(scorer.build().operator()),
            event -> event.f0,
            Types.INT,
            TestModel.EVENT.createSerializer(new ExecutionConfig().getSerializerConfig()));
    harness.setup(TestModel.SCORE.createSerializer(new ExecutionConfig().getSerializerConfig()));
  }

  /** Begins a task that fails, and ends it as Flink does: the operator is closed, not finished. */
  private Exception failure(OperatorSubtaskState state) throws Exception {
    create();
    Exception failure =
        assertThrows(
            Exception.class,
            () -> {
              harness.initializeState(state);
              harness.open();
            });
    harness.getOperator().close();
    harness = null;
    return failure;
  }

  private void open() throws Exception {
    create();
    harness.open();
  }

  private void process(int key, long number) throws Exception {
    harness.processElement(Tuple2.of(key, number), number);
  }

  private List<Long> numbers() {
    return harness.extractOutputValues().stream().map(score -> score.f0).toList();
  }

  private void assertScores(int count) {
    Map<Long, float[]> expected = TestModel.expected(count);
    List<Tuple2<Long, float[]>> scores = harness.extractOutputValues();
    assertEquals(count, scores.size());
    scores.forEach(score -> assertArrayEquals(expected.get(score.f0), score.f1, 0f));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 7, 33, 256})
  void scoresDoNotDependOnTheBatch(int batchSize) throws Exception {
    scorer.batchSize(batchSize).maxBuffered(batchSize + 11);
    open();
    for (long number = 0; number < 2000; number++) {
      harness.processElement(TestModel.event(number), number);
    }
    harness.getOneInputOperator().finish();
    assertScores(2000);
  }

  @Test
  void stepRunsWhenAsManyKeysWaitAsTheBatchTakes() throws Exception {
    scorer.batchSize(3);
    open();
    process(5, 10);
    process(5, 11);
    process(4, 12);
    assertEquals(List.of(), numbers());
    process(3, 13);
    assertEquals(List.of(10L, 12L, 13L), numbers());
    process(4, 14);
    process(9, 15);
    assertEquals(List.of(10L, 12L, 13L, 11L, 14L, 15L), numbers());
  }

  @Test
  void oneKeyAloneFillsTheBufferAndNoMore() throws Exception {
    scorer.batchSize(3).maxBuffered(4);
    open();
    for (long number = 0; number < 6; number++) {
      process(1, number);
    }
    assertEquals(List.of(0L, 1L, 2L), numbers());
  }

  @Test
  void noEventWaitsLongerThanTheTimeLimit() throws Exception {
    scorer.timeLimit(Duration.ofMillis(20));
    open();
    harness.setProcessingTime(100);
    process(1, 0);
    process(1, 1);
    harness.setProcessingTime(119);
    assertEquals(List.of(), numbers());
    harness.setProcessingTime(120);
    assertEquals(List.of(0L, 1L), numbers());
    harness.setProcessingTime(130);
    process(2, 2);
    harness.setProcessingTime(149);
    assertEquals(List.of(0L, 1L), numbers());
    harness.setProcessingTime(150);
    assertEquals(List.of(0L, 1L, 2L), numbers());
  }

  @Test
  void timerOfEventsThatHaveRunDoesNotCutTheWaitOfLaterOnes() throws Exception {
    scorer.batchSize(2).timeLimit(Duration.ofMillis(20));
    open();
    harness.setProcessingTime(100);
    process(1, 0);
    process(2, 1);
    harness.setProcessingTime(115);
    process(3, 2);
    harness.setProcessingTime(134);
    assertEquals(List.of(0L, 1L), numbers());
    harness.setProcessingTime(135);
    assertEquals(List.of(0L, 1L, 2L), numbers());
  }

  @Test
  void nothingOvertakesTheEventsBeforeIt() throws Exception {
    open();
    process(1, 0);
    harness.processWatermark(new Watermark(7));
    process(1, 1);
    harness.processWatermarkStatus(WatermarkStatus.IDLE);
    List<Object> output = new ArrayList<>(harness.getOutput());
    assertEquals(4, output.size());
    assertEquals(0L, ((StreamRecord<?>) output.get(0)).getTimestamp());
    assertEquals(new Watermark(7), output.get(1));
    assertEquals(1L, ((StreamRecord<?>) output.get(2)).getTimestamp());
    assertEquals(WatermarkStatus.IDLE, output.get(3));
  }

  @Test
  void allThatWaitsRunsBeforeABarrier() throws Exception {
    open();
    process(1, 0);
    process(1, 1);
    process(2, 2);
    harness.prepareSnapshotPreBarrier(1);
    assertEquals(List.of(0L, 2L, 1L), numbers());
  }

  @Test
  void allThatWaitsRunsAtTheEnd() throws Exception {
    open();
    process(1, 0);
    harness.getOneInputOperator().finish();
    assertEquals(List.of(0L), numbers());
  }

  @Test
  void eventsWithoutTimestampGiveResultsWithoutOne() throws Exception {
    scorer.batchSize(1);
    open();
    harness.processElement(new StreamRecord<>(Tuple2.of(1, 0L)));
    assertFalse(((StreamRecord<?>) harness.getOutput().peek()).hasTimestamp());
  }

  @Test
  void reusedObjectsAreCopied() throws Exception {
    create();
    harness.getExecutionConfig().enableObjectReuse();
    harness.open();
    Tuple2<Integer, Long> event = new Tuple2<>();
    for (long number = 0; number < 300; number++) {
      Tuple2<Integer, Long> next = TestModel.event(number);
      event.setFields(next.f0, next.f1);
      harness.processElement(event, number);
    }
    harness.getOneInputOperator().finish();
    assertScores(300);
  }

  @Test
  void poisonedEventFailsTheJobByName() throws Exception {
    scorer.features(ScoringOperatorTest::poisoned);
    open();
    process(1, 0);
    IllegalArgumentException width =
        assertThrows(IllegalArgumentException.class, () -> process(1, 100));
    assertEquals("event of key 1: features: expected I=6 values, got 5", width.getMessage());
    IllegalArgumentException none =
        assertThrows(IllegalArgumentException.class, () -> process(1, 101));
    assertEquals("event of key 1: features: expected I=6 values, got none", none.getMessage());
    IllegalArgumentException finite =
        assertThrows(IllegalArgumentException.class, () -> process(1, 102));
    assertEquals(
        "event of key 1: features: expected finite values, got NaN at 2", finite.getMessage());
    IllegalArgumentException infinite =
        assertThrows(IllegalArgumentException.class, () -> process(1, 103));
    assertEquals(
        "event of key 1: features: expected finite values, got -Infinity at 0",
        infinite.getMessage());
  }

  private static float[] poisoned(Tuple2<Integer, Long> event) {
    float[] x = TestModel.features(event);
    return switch (event.f1.intValue()) {
      case 100 -> new float[5];
      case 101 -> null;
      case 102 -> {
        x[2] = Float.NaN;
        yield x;
      }
      case 103 -> {
        x[0] = Float.NEGATIVE_INFINITY;
        yield x;
      }
      default -> x;
    };
  }

  @Test
  void poisonedEventGoesToTheSideOutputAndTouchesNoState() throws Exception {
    scorer.features(ScoringOperatorTest::poisoned).refusedTo(REFUSED).batchSize(4);
    open();
    for (long number = 0; number < 100; number++) {
      harness.processElement(TestModel.event(number), number);
      process(TestModel.event(number).f0, 100 + number % 4);
    }
    harness.getOneInputOperator().finish();
    assertScores(100);
    assertEquals(100, harness.getSideOutput(REFUSED).size());
    assertEquals(100L, harness.getSideOutput(REFUSED).peek().getValue().f1);
  }

  private OperatorSubtaskState stateOfFirst(int count) throws Exception {
    open();
    for (long number = 0; number < count; number++) {
      harness.processElement(TestModel.event(number), number);
    }
    harness.prepareSnapshotPreBarrier(1);
    OperatorSubtaskState state = harness.snapshot(1, 1);
    harness.close();
    return state;
  }

  @Test
  void stateGoesOnInAnotherTask() throws Exception {
    OperatorSubtaskState state = stateOfFirst(500);
    create();
    harness.initializeState(state);
    harness.open();
    for (long number = 500; number < 1000; number++) {
      harness.processElement(TestModel.event(number), number);
    }
    harness.getOneInputOperator().finish();
    Map<Long, float[]> expected = TestModel.expected(1000);
    assertEquals(500, harness.extractOutputValues().size());
    harness
        .extractOutputValues()
        .forEach(score -> assertArrayEquals(expected.get(score.f0), score.f1, 0f));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void stateOfAnotherModelIsRefusedByName(boolean timeToLive) throws Exception {
    if (timeToLive) {
      scorer.timeToLive(Duration.ofDays(1));
    }
    OperatorSubtaskState state = stateOfFirst(20);
    scorer.model(TestModel.bytes(TestModel.SPEC, 6), TestModel.SPEC, "rnn.");
    Exception failure = failure(state);
    String message =
        ExceptionUtils.findThrowable(failure, IllegalStateException.class)
            .map(Throwable::getMessage)
            .orElseThrow(() -> failure);
    assertTrue(
        message.matches(
            "GateFuse state: expected that of model [0-9a-f]{64} with states of 68 floats, got that"
                + " of model [0-9a-f]{64} with states of 68 floats"),
        message);
  }

  @Test
  void stateExpires() throws Exception {
    scorer.timeToLive(Duration.ofSeconds(1)).batchSize(1);
    open();
    harness.setStateTtlProcessingTime(0);
    process(1, 0);
    harness.setStateTtlProcessingTime(900);
    process(1, 0);
    harness.setStateTtlProcessingTime(1800);
    process(1, 0);
    harness.setStateTtlProcessingTime(2801);
    process(1, 0);
    List<Tuple2<Long, float[]>> scores = harness.extractOutputValues();
    assertFalse(Arrays.equals(scores.get(0).f1, scores.get(1).f1));
    assertFalse(Arrays.equals(scores.get(0).f1, scores.get(2).f1));
    assertArrayEquals(scores.get(0).f1, scores.get(3).f1, 0f);
  }

  @Test
  void sequenceBeginsFromZeros() throws Exception {
    scorer.start(event -> event.f1 == 0);
    open();
    for (long number : new long[] {0, 1, 2, 0, 1}) {
      process(1, number);
    }
    harness.getOneInputOperator().finish();
    List<Tuple2<Long, float[]>> scores = harness.extractOutputValues();
    assertArrayEquals(scores.get(0).f1, scores.get(3).f1, 0f);
    assertArrayEquals(scores.get(1).f1, scores.get(4).f1, 0f);
  }

  @Test
  void resultMayBeNone() throws Exception {
    scorer.result((event, y) -> event.f1 % 2 == 0 ? null : Tuple2.of(event.f1, y), TestModel.SCORE);
    open();
    for (long number : LongStream.range(0, 4).toArray()) {
      process(1, number);
    }
    harness.getOneInputOperator().finish();
    assertEquals(Stream.of(1L, 3L).toList(), numbers());
  }

  @Test
  void missingModelFileIsNamed() throws Exception {
    scorer.model(Path.of("no/such.safetensors"), TestModel.SPEC, "rnn.");
    Exception failure = failure(OperatorSubtaskState.builder().build());
    assertTrue(
        ExceptionUtils.stringifyException(failure).contains("no/such.safetensors"),
        () -> ExceptionUtils.stringifyException(failure));
  }
}
