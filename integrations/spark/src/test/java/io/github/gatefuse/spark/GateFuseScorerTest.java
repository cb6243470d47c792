// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.serving.Output;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.SparkException;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import scala.Tuple2;

/** Typed datasets. */
class GateFuseScorerTest {
  private static final String LINES = "../../models/bytes-ur-lstm-256.safetensors";

  @TempDir static Path folder;
  private static byte[] numbers;

  @BeforeAll
  static void write() throws Exception {
    numbers = Files.readAllBytes(Path.of(TestModel.write(folder)));
  }

  private static Dataset<Integer> elements(int count) {
    List<Integer> elements = IntStream.range(0, count).boxed().toList();
    return TestModel.spark().createDataset(elements, Encoders.INT()).coalesce(2);
  }

  private static GateFuseScorer.Builder<Integer, Tuple2<Integer, byte[]>> scorer() {
    return GateFuseScorer.<Integer, Tuple2<Integer, byte[]>>builder()
        .model(numbers)
        .result(
            (number, y) -> new Tuple2<>(number, y == null ? null : bytes(y)),
            Encoders.tuple(Encoders.INT(), Encoders.BINARY()));
  }

  private static byte[] bytes(float[] values) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length);
    bytes.asFloatBuffer().put(values);
    return bytes.array();
  }

  @Test
  void resultsComeInOrderWithTheBitsOfTheirElementsAlone() {
    List<Tuple2<Integer, byte[]>> scores =
        scorer()
            .features(TestModel::sequence)
            .output(Output.LAST_HIDDEN)
            .batchSize(8)
            .build()
            .score(elements(200))
            .collectAsList();
    assertEquals(200, scores.size());
    for (int n = 0; n < 200; n++) {
      assertEquals(n, scores.get(n)._1());
      assertArrayEquals(bytes(TestModel.lastHidden(n)), scores.get(n)._2());
    }
  }

  @Test
  void elementsThatCannotBeScoredAreKeptWithoutOutputs() {
    List<Tuple2<Integer, byte[]>> scores =
        scorer()
            .features(n -> n % 10 == 3 ? null : n % 10 == 4 ? new float[4] : new float[3])
            .invalid(Invalid.KEEP)
            .build()
            .score(elements(50))
            .collectAsList();
    assertEquals(50, scores.size());
    for (Tuple2<Integer, byte[]> score : scores) {
      assertEquals(score._1() % 10 == 3 || score._1() % 10 == 4, score._2() == null);
    }
  }

  @Test
  void anExceptionOfAnExtractorFailsTheJobWhateverBecomesOfInvalidElements() {
    GateFuseScorer<Integer, Tuple2<Integer, byte[]>> scorer =
        scorer().features(n -> new float[3 + 0 * (1 / (n - 5))]).invalid(Invalid.SKIP).build();
    Throwable failure =
        assertThrows(Exception.class, () -> scorer.score(elements(9).coalesce(1)).collectAsList());
    while (failure instanceof SparkException) {
      failure = failure.getCause();
    }
    assertEquals(
        "sequence of row 5 of partition 0 (from 0): its sequence could not be taken:"
            + " java.lang.ArithmeticException: / by zero",
        failure.getMessage());
  }

  @Test
  void aLineHasTheScoreOfTheModel() {
    String line = "This program is free software; you can redistribute it and/or modify it";
    Dataset<String> lines = TestModel.spark().createDataset(List.of(line), Encoders.STRING());
    GateFuseScorer<String, Double> scorer =
        GateFuseScorer.<String, Double>builder()
            .model(LINES)
            .bytes(text -> text.getBytes(StandardCharsets.UTF_8))
            .result((text, y) -> BitsPerByte.of(y), Encoders.DOUBLE())
            .build();
    assertEquals(2.318418082, scorer.score(lines).first(), 1e-4);
    // What the network keeps of a line is what it keeps of the tokens that it reads for it.
    byte[] kept =
        GateFuseScorer.<String, byte[]>builder()
            .model(LINES)
            .bytes(text -> text.getBytes(StandardCharsets.UTF_8))
            .output(Output.LAST_HIDDEN)
            .result((text, y) -> bytes(y), Encoders.BINARY())
            .build()
            .score(lines)
            .first();
    byte[] ofTokens =
        GateFuseScorer.<String, byte[]>builder()
            .model(LINES)
            .tokens(text -> ("\n" + text).chars().toArray())
            .output(Output.LAST_HIDDEN)
            .result((text, y) -> bytes(y), Encoders.BINARY())
            .build()
            .score(lines)
            .first();
    assertArrayEquals(ofTokens, kept);
  }

  @Test
  void whatIsMissingOrDoesNotFitIsNamed() {
    assertSays("model: expected one, got none", GateFuseScorer.builder()::build);
    assertSays("expected one of features, tokens and bytes, got 0", scorer()::build);
    assertSays(
        "expected TARGET_LOG_PROBABILITIES with bytes only",
        scorer().features(TestModel::sequence).output(Output.TARGET_LOG_PROBABILITIES)::build);
    assertSays(
        "features: expected them for a network without an embedding",
        () -> scorer().tokens(n -> new int[n]).build().score(elements(1)));
    assertSays(
        "features: expected tokens or bytes for a network with an embedding",
        () -> scorer().model(LINES).features(TestModel::sequence).build().score(elements(1)));
  }

  private static void assertSays(String expected, Executable action) {
    String message = assertThrows(IllegalArgumentException.class, action).getMessage();
    assertTrue(message.contains(expected), message);
  }
}
