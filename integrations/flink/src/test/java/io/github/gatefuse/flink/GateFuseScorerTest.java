// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.time.Duration;
import org.apache.flink.api.java.tuple.Tuple2;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

class GateFuseScorerTest {
  private final GateFuseScorer.Builder<Tuple2<Integer, Long>, Tuple2<Long, float[]>> scorer =
      TestModel.scorer();

  private static void assertRefused(String message, Executable executable) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, executable).getMessage());
  }

  @Test
  void whatIsMissingIsNamed() {
    GateFuseScorer.Builder<Tuple2<Integer, Long>, Tuple2<Long, float[]>> empty =
        GateFuseScorer.builder();
    assertRefused("model: expected one, got none", empty::build);
    empty.model(new byte[0], TestModel.SPEC, "");
    assertRefused("result: expected a builder, got none", empty::build);
    empty.result((event, y) -> Tuple2.of(event.f1, y), TestModel.SCORE);
    assertRefused(
        "features: expected them alone, for a network without an embedding", empty::build);
    empty.model(new byte[0], TestModel.SPEC.withVocabulary(9), "");
    assertRefused("tokens: expected them alone, for a network with an embedding", empty::build);
  }

  @Test
  void whatDoesNotFitIsNamed() {
    assertRefused("batchSize: expected at least 1, got 0", () -> scorer.batchSize(0));
    assertRefused("threads: expected at least 1, got -1", () -> scorer.threads(-1));
    assertRefused(
        "timeLimit: expected at least 1 ms, got PT0S", () -> scorer.timeLimit(Duration.ZERO));
    assertRefused(
        "timeToLive: expected at least 1 ms, got PT0S", () -> scorer.timeToLive(Duration.ZERO));
    assertRefused(
        "maxBuffered: expected at least the batch size 256, got 255",
        () -> scorer.maxBuffered(255).build());
    assertRefused(
        "output: expected HIDDEN of a network without a head, got LOGITS",
        () -> scorer.output(Output.LOGITS).build());
    assertRefused(
        "spec: expected a network of one direction, got two: the reverse one begins with a stream's"
            + " last event",
        () -> scorer.model(new byte[0], TestModel.SPEC.withBidirectional(true), ""));
  }
}
