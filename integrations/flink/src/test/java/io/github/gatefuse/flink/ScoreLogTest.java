// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.CloseableIterator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example, held to the scores that are known of the model. */
class ScoreLogTest {
  private static final Path MODELS = Path.of("../../models");

  @TempDir Path folder;

  @Test
  void linesHaveTheirScores() throws Exception {
    Map<String, Double> expected = new HashMap<>();
    for (JsonNode line : new ObjectMapper().readTree(MODELS.resolve("expected.json").toFile())) {
      byte[] bytes = line.get("line_utf8").asText().getBytes(StandardCharsets.UTF_8);
      expected.put(
          new String(bytes, StandardCharsets.ISO_8859_1), line.get("bits_per_byte").asDouble());
    }
    assertTrue(expected.size() > 3);
    Path log = folder.resolve("log");
    List<String> lines = new ArrayList<>(expected.keySet());
    lines.addAll(expected.keySet());
    Files.write(log, lines, StandardCharsets.ISO_8859_1);

    StreamExecutionEnvironment environment = StreamExecutionEnvironment.getExecutionEnvironment();
    environment.setParallelism(2);
    int count = 0;
    try (CloseableIterator<ScoreLog.LineScore> scores =
        ScoreLog.scores(environment, MODELS.resolve("bytes-ur-lstm-256.safetensors"), log, 1)
            .executeAndCollect()) {
      while (scores.hasNext()) {
        ScoreLog.LineScore score = scores.next();
        assertEquals(expected.get(score.line()), score.bitsPerByte(), 1e-4, score.line());
        count++;
      }
    }
    assertEquals(lines.size(), count);
  }
}
