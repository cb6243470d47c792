// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import static org.apache.spark.sql.functions.col;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.ml.Pipeline;
import org.apache.spark.ml.PipelineModel;
import org.apache.spark.ml.PipelineStage;
import org.apache.spark.ml.feature.SQLTransformer;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** The stage, held to the scores that are known of models. */
class GateFuseTransformerTest {
  private static final String LINES = "../../models/bytes-ur-lstm-256.safetensors";
  private static final int WIDTH = TestModel.SPEC.inputSize();
  private static final int SEQUENCES = 300;

  private static final ArrayType FLOATS = DataTypes.createArrayType(DataTypes.FloatType);

  @TempDir static Path folder;
  private static String numbers;

  @BeforeAll
  static void write() throws Exception {
    numbers = TestModel.write(folder);
  }

  private static GateFuseTransformer scorer(String model, String column) {
    return new GateFuseTransformer().setModelPath(model).setInputCol(column).setOutputCol("score");
  }

  /** Lines and their scores; the longest takes more than one native call. */
  private static Dataset<Row> expectedLines() {
    return TestModel.spark().read().option("multiLine", true).json("../../models/expected.json");
  }

  private static Dataset<Row> sequences(DataType type, List<?> values) {
    List<Row> rows = new ArrayList<>();
    for (Object value : values) {
      rows.add(RowFactory.create(rows.size(), value));
    }
    StructType schema = new StructType().add("number", DataTypes.IntegerType).add("x", type);
    return TestModel.spark().createDataFrame(rows, schema).repartition(3, col("number"));
  }

  private static List<Float> values(float[] x) {
    List<Float> values = new ArrayList<>();
    for (float value : x) {
      values.add(value);
    }
    return values;
  }

  private static List<List<Float>> steps(float[] x) {
    List<Float> values = values(x);
    List<List<Float>> steps = new ArrayList<>();
    for (int i = 0; i < x.length; i += WIDTH) {
      steps.add(values.subList(i, i + WIDTH));
    }
    return steps;
  }

  private static float[] floats(List<Float> values) {
    float[] floats = new float[values.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = values.get(i);
    }
    return floats;
  }

  private static String message(Executable action) {
    StringBuilder messages = new StringBuilder();
    for (Throwable e = assertThrows(Exception.class, action); e != null; e = e.getCause()) {
      messages.append(e.getMessage()).append('\n');
    }
    return messages.toString();
  }

  private static void assertSays(String expected, Executable action) {
    String message = message(action);
    assertTrue(message.contains(expected), () -> expected + " is not in: " + message);
  }

  // ---- Scores ----

  @Test
  void aPipelineThatWasSavedGivesLinesTheirScores() throws Exception {
    SQLTransformer bytes =
        new SQLTransformer().setStatement("SELECT *, CAST(line_utf8 AS BINARY) AS b FROM __THIS__");
    GateFuseTransformer ofBytes =
        scorer(LINES, "b").setOutputCol("score_of_bytes").setBatchSize(7).setMaxSteps(32);
    PipelineStage[] stages = {bytes, scorer(LINES, "line_utf8"), ofBytes};
    Dataset<Row> lines = expectedLines();
    String saved = folder.resolve("pipeline").toString();
    new Pipeline().setStages(stages).fit(lines).write().overwrite().save(saved);

    PipelineModel pipeline = PipelineModel.load(saved);
    GateFuseTransformer loaded = (GateFuseTransformer) pipeline.stages()[2];
    assertEquals(ofBytes.uid(), loaded.uid());
    assertEquals(ofBytes.explainParams(), loaded.explainParams());
    List<Row> rows = pipeline.transform(lines.repartition(2)).collectAsList();
    assertTrue(rows.size() > 3);
    for (Row row : rows) {
      double score = row.<Double>getAs("score");
      assertEquals(row.<Double>getAs("bits_per_byte"), score, 1e-4, row::toString);
      assertEquals(score, row.<Double>getAs("score_of_bytes"), row::toString);
    }
  }

  @Test
  void numbersHaveTheBitsOfTheirSequencesAlone() {
    List<List<List<Float>>> nested = new ArrayList<>();
    List<List<Float>> flat = new ArrayList<>();
    for (int n = 0; n < SEQUENCES; n++) {
      nested.add(steps(TestModel.sequence(n)));
      flat.add(values(TestModel.sequence(n)));
    }
    Dataset<Row> ofSteps = sequences(DataTypes.createArrayType(FLOATS), nested);
    Dataset<Row> ofDoubles = ofSteps.withColumn("x", col("x").cast("array<array<double>>"));
    GateFuseTransformer scorer = scorer(numbers, "x").setOutput("last_hidden").setBatchSize(16);
    for (Dataset<Row> dataset : List.of(ofSteps, ofDoubles, sequences(FLOATS, flat))) {
      List<Row> rows = scorer.transform(dataset).collectAsList();
      assertEquals(SEQUENCES, rows.size());
      for (Row row : rows) {
        float[] expected = TestModel.lastHidden(row.<Integer>getAs("number"));
        assertArrayEquals(expected, floats(row.getList(2)));
      }
    }
  }

  @Test
  void allStepsEndWithTheLast() {
    Dataset<Row> dataset = sequences(FLOATS, List.of(values(TestModel.sequence(3))));
    GateFuseTransformer last = scorer(numbers, "x").setOutputCol("last");
    Dataset<Row> both = last.transform(scorer(numbers, "x").setOutput("logits").transform(dataset));
    assertEquals("array<array<float>>", both.schema().apply("score").dataType().simpleString());
    Row row = both.selectExpr("score[size(score) - 1] = last", "size(score)", "size(last)").first();
    assertTrue(row.getBoolean(0));
    assertEquals(TestModel.sequence(3).length / WIDTH, row.getInt(1));
    assertEquals(TestModel.SPEC.outputs(), row.getInt(2));
  }

  // ---- Rows that cannot be scored ----

  private static final List<List<List<Float>>> POISONED =
      Arrays.asList(
          steps(TestModel.sequence(0)),
          null,
          List.of(List.of(1f, 2f, Float.NaN)),
          List.of(List.of(1f, 2f, 3f), List.of(1f, 2f)),
          List.of(Arrays.asList(1f, null, 3f)),
          List.of(),
          Arrays.asList((List<Float>) null),
          steps(TestModel.sequence(7)));

  private static Dataset<Row> poisoned() {
    return sequences(DataTypes.createArrayType(FLOATS), POISONED).coalesce(1).sort("number");
  }

  @Test
  void aPoisonedRowFailsTheJobByItsName() {
    String[] expected = {
      "expected a sequence, got null",
      "x[t=0, i=2]: expected a finite number, got NaN",
      "x[t=1]: expected I=3 numbers, got 2",
      "x[t=0, i=1]: expected a finite number, got null",
      "expected at least one step, got none",
      "x[t=0]: expected I=3 numbers, got null"
    };
    for (int n = 0; n < expected.length; n++) {
      Dataset<Row> good = poisoned().where("number = 0 OR number = 7");
      Dataset<Row> bad = good.union(poisoned().where(col("number").equalTo(n + 1))).coalesce(1);
      String message = message(() -> scorer(numbers, "x").transform(bad).collectAsList());
      String place = "column x of row 2 of partition 0 (from 0): ";
      assertTrue(message.contains(place), message);
      assertTrue(message.contains(expected[n]), message);
    }
  }

  @Test
  void poisonedRowsAreLeftOutOrHaveNoScore() {
    GateFuseTransformer scorer = scorer(numbers, "x").setOutput("last_hidden");
    List<Row> kept = scorer.setHandleInvalid("keep").transform(poisoned()).collectAsList();
    List<Row> left = scorer.setHandleInvalid("skip").transform(poisoned()).collectAsList();
    assertEquals(POISONED.size(), kept.size());
    for (int n = 1; n < 7; n++) {
      assertEquals(n, kept.get(n).getInt(0));
      assertNull(kept.get(n).get(2));
    }
    assertEquals(List.of(kept.get(0), kept.get(7)), left);
    assertArrayEquals(TestModel.lastHidden(7), floats(left.get(1).getList(2)));
  }

  // ---- What is wrong before any job runs ----

  @Test
  void whatDoesNotFitIsSaidBeforeAJobRuns() throws Exception {
    Dataset<Row> lines = expectedLines();
    Path noModel = Files.writeString(folder.resolve("none.safetensors"), "no model at all");
    assertSays("modelPath: expected a value, got none", () -> stage(new GateFuseTransformer()));
    assertSays(
        "inputCol: expected one of [bits_per_byte, line_utf8], got line",
        () -> scorer(LINES, "line").transform(lines));
    assertSays(
        "outputCol: expected a new column, got line_utf8",
        () -> scorer(LINES, "line_utf8").setOutputCol("line_utf8").transform(lines));
    assertSays(
        "column bits_per_byte: expected tokens for a network with an embedding (ARRAY<INT>, STRING"
            + " or BINARY), got DOUBLE",
        () -> scorer(LINES, "bits_per_byte").transform(lines));
    assertSays(
        "column line_utf8: expected numbers for a network without an embedding",
        () -> scorer(numbers, "line_utf8").transform(lines));
    assertSays(
        "model nowhere.safetensors: cannot read", () -> stage(scorer("nowhere.safetensors", "")));
    assertSays(
        "model: expected a stored network: header length",
        () -> scorer(noModel.toString(), "line_utf8").transform(lines));
    assertSays("parameter output given invalid value", () -> scorer(LINES, "").setOutput("last"));
    assertSays("parameter batchSize given invalid", () -> scorer(LINES, "").setBatchSize(0));
    assertSays(
        "the option cell gru", () -> scorer(LINES, "line_utf8").setCell("gru").transform(lines));
  }

  private static void stage(GateFuseTransformer scorer) {
    scorer.setInputCol("line_utf8").setOutputCol("score").transform(expectedLines());
  }

  // ---- Threads and networks ----

  private static boolean batchersRun() {
    return Thread.getAllStackTraces().keySet().stream()
        .anyMatch(thread -> thread.getName().startsWith("gatefuse-batcher"));
  }

  @Test
  void tasksShareOneNetworkAndCloseTheirSessions() {
    Dataset<Row> lines = expectedLines().repartition(8);
    int before = SharedNetworks.size();
    for (int job = 0; job < 3; job++) {
      scorer(LINES, "line_utf8").transform(lines).collectAsList();
      scorer(LINES, "line_utf8").transform(lines).limit(1).collectAsList();
    }
    assertTrue(SharedNetworks.size() <= before + 1, () -> SharedNetworks.size() + " networks");
    for (int seed = 0; seed < 4; seed++) {
      scorer(LINES, "line_utf8")
          .setPrecision(seed % 2 == 0 ? "float32" : "bfloat16")
          .setBackend(seed < 2 ? "auto" : "cpu")
          .transform(lines)
          .collectAsList();
    }
    assertEquals(2, SharedNetworks.size());
    assertFalse(batchersRun());
  }
}
