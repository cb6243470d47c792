// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.Weights;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/** When a loop ends, what it keeps, and that it goes on to the same bits. */
class TrainingLoopTest {
  private static final RnnSpec SPEC =
      RnnSpec.of(Cell.GRU_REFINE, 3, 6).withVocabulary(4).withOutputs(4);
  private static final Weights INITIAL = WeightInit.uniform().weights(SPEC, 1);
  private static final TrainingOptions OPTIONS =
      TrainingOptions.of(4, 2, Loss.CROSS_ENTROPY)
          .withNetwork(RnnOptions.of(Backend.REFERENCE))
          .withRate(LearningRate.constant(0.02));

  /** Each class is the token before. */
  private static Batch batch(long index) {
    int[] tokens = new Random(index).ints(8, 0, 4).toArray();
    int[] classes = new int[8];
    for (int i = 2; i < 8; i++) {
      classes[i] = tokens[i - 2];
    }
    return Batch.of(4, 2, tokens, classes).withContinues(index > 0);
  }

  private static TrainingLoop loop() {
    return TrainingLoop.of(SPEC, INITIAL, OPTIONS, TrainingLoopTest::batch);
  }

  private static Batch heldOut(long index) {
    return batch(-1 - index).withContinues(false);
  }

  @Test
  void takesItsStepsAndKeepsTheBest() {
    List<TrainingLoop.Progress> seen = new ArrayList<>();
    TrainingLoop.Result result =
        loop()
            .untilStep(60)
            .evaluating(TrainingLoopTest::heldOut, 5, 20)
            .withListener(seen::add)
            .run();
    assertEquals(TrainingLoop.End.STEPS, result.end());
    assertEquals(60, result.steps());
    assertEquals(60, seen.size());
    assertEquals(3, seen.stream().filter(TrainingLoop.Progress::isEvaluated).count());
    assertEquals(1, seen.get(59).share());
    assertNull(seen.get(0).evaluation());
    assertTrue(seen.get(59).evaluation().loss() < seen.get(19).evaluation().loss());
    assertEquals(60, result.bestStep());
    try (Trainer trainer = Trainer.create(SPEC, result.best(), OPTIONS)) {
      assertEquals(result.bestEvaluation(), trainer.evaluate(TrainingLoopTest::heldOut, 5));
    }
  }

  @Test
  void endsInTime() {
    TrainingLoop.Result result =
        loop().untilStep(Long.MAX_VALUE).atMost(Duration.ofMillis(200)).run();
    assertEquals(TrainingLoop.End.TIME, result.end());
    assertTrue(result.elapsed().toMillis() >= 200);
    assertTrue(result.steps() > 0);
  }

  @Test
  void takesAnyTimeButANegativeOne() {
    Duration forever = ChronoUnit.FOREVER.getDuration();
    TrainingLoop.Result result = loop().untilStep(2).atMost(forever).run();
    assertEquals(TrainingLoop.End.STEPS, result.end());
    assertEquals(TrainingLoop.End.TIME, loop().atMost(Duration.ZERO).run().end());
    assertThrows(IllegalArgumentException.class, () -> loop().atMost(Duration.ofNanos(-1)));
    assertThrows(IllegalArgumentException.class, () -> loop().untilStep(-1));
  }

  @Test
  void endsWithoutProgress() {
    // With a rate of zero no evaluation is better than the first.
    TrainingLoop.Result result =
        TrainingLoop.of(
                SPEC, INITIAL, OPTIONS.withRate(LearningRate.constant(0)), TrainingLoopTest::batch)
            .evaluating(TrainingLoopTest::heldOut, 2, 5)
            .withPatience(3)
            .run();
    assertEquals(TrainingLoop.End.PATIENCE, result.end());
    assertEquals(20, result.steps());
    assertEquals(5, result.bestStep());
  }

  @Test
  void keepsTheLastGoodCheckpointWhereItDiverges(@TempDir Path folder) {
    Path file = folder.resolve("checkpoint");
    Objective failing =
        new Objective() {
          private int calls;

          @Override
          public Outcome evaluate(Batch batch, int outputs, float[] logits, float[] gradient) {
            calls += gradient == null ? 0 : 1;
            return calls == 13
                ? new Outcome(Double.NaN, 0, 1)
                : Loss.CROSS_ENTROPY.evaluate(batch, outputs, logits, gradient);
          }
        };
    TrainingOptions options =
        new TrainingOptions(
            4,
            2,
            failing,
            OPTIONS.rate(),
            Adam.standard(),
            1,
            OPTIONS.network(),
            1,
            OPTIONS.backward(),
            OPTIONS.regularization());
    TrainingLoop.Result result =
        TrainingLoop.of(SPEC, INITIAL, options, TrainingLoopTest::batch)
            .evaluating(TrainingLoopTest::heldOut, 2, 5)
            .withCheckpoint(file)
            .run();
    assertEquals(TrainingLoop.End.DIVERGED, result.end());
    assertTrue(result.why().startsWith("step 12: the loss is NaN"), result.why());
    try (Trainer trainer = Trainer.resume(file, SPEC, OPTIONS)) {
      assertEquals(10, trainer.steps());
    }
  }

  @Test
  void namesTheNoteThatIsNoNumber(@TempDir Path folder) {
    Path file = folder.resolve("checkpoint");
    try (Trainer trainer = Trainer.create(SPEC, INITIAL, OPTIONS)) {
      trainer.save(file, Map.of("stale", "x"));
    }
    GatefuseException refused = assertThrows(GatefuseException.class, () -> run(file, 40));
    assertEquals(GatefuseException.Code.BAD_FILE, refused.code());
    assertEquals(file + ": stale: expected a number, got x", refused.getMessage());
  }

  @Test
  void goesOnToTheSameBits(@TempDir Path folder) throws IOException {
    Path straight = folder.resolve("straight");
    Path broken = folder.resolve("broken");
    TrainingLoop.Result expected = run(straight, 40);
    run(broken, 20);
    // Lines that a killed run wrote and its checkpoint does not know.
    Path csv = folder.resolve("broken.csv");
    Files.writeString(csv, Files.readString(csv) + "30,1,1,1,1,1,1\n");
    TrainingLoop.Result resumed = run(broken, 40);
    assertEquals(expected.bestEvaluation(), resumed.bestEvaluation());
    assertEquals(expected.bestStep(), resumed.bestStep());
    for (RnnSpec.Parameter parameter : SPEC.parameters()) {
      assertArrayEquals(
          expected.best().floats(parameter.name()), resumed.best().floats(parameter.name()));
    }
    assertEquals(
        withoutTimes(folder.resolve("straight.csv")), withoutTimes(folder.resolve("broken.csv")));
    TrainingLoop.Result again = run(broken, 40);
    assertEquals(40, again.steps());
    assertEquals(expected.bestEvaluation(), again.bestEvaluation());
  }

  /** An evaluation before the first step and so many more, the last one at the end. */
  @Test
  void evaluatesEvenly(@TempDir Path folder) throws IOException {
    Path csv = folder.resolve("metrics.csv");
    List<Long> lessons = new ArrayList<>();
    Lesson lesson =
        (trainer, index) -> {
          lessons.add(index);
          return trainer.step(batch(index));
        };
    TrainingLoop.Result result =
        TrainingLoop.of(SPEC, INITIAL, OPTIONS, lesson)
            .untilStep(10)
            .evaluatingEvenly(trainer -> trainer.evaluate(TrainingLoopTest::heldOut, 2), 4)
            .withMetrics(csv)
            .run();
    assertEquals(List.of(0L, 1L, 2L, 3L, 4L, 5L, 6L, 7L, 8L, 9L), lessons);
    List<String> lines = Files.readAllLines(csv);
    assertEquals(
        List.of("step", "0", "3", "5", "8", "10"),
        lines.stream().map(line -> line.substring(0, line.indexOf(','))).toList());
    // Before the first step there is no loss, norm or rate of steps.
    assertTrue(lines.get(1).matches("0,[0-9.]+,,,,[0-9.]+,[0-9.]+"), lines.get(1));
    try (Trainer trainer = Trainer.create(SPEC, result.last(), OPTIONS)) {
      Evaluation last = trainer.evaluate(TrainingLoopTest::heldOut, 2);
      assertTrue(lines.get(5).endsWith("," + last.loss() + "," + last.accuracy()), lines.get(5));
    }
  }

  private static TrainingLoop.Result run(Path checkpoint, int steps) {
    return loop()
        .untilStep(steps)
        .evaluating(TrainingLoopTest::heldOut, 3, 10)
        .withCheckpoint(checkpoint)
        .withMetrics(checkpoint.resolveSibling(checkpoint.getFileName() + ".csv"))
        .run();
  }

  private static List<String> withoutTimes(Path csv) throws IOException {
    List<String> lines = Files.readAllLines(csv);
    assertEquals(5, lines.size());
    return lines.stream().map(line -> line.replaceFirst(",[0-9.]+,", ",")).toList();
  }

  @Test
  void schedules() {
    LearningRate rate = LearningRate.constant(2).withWarmup(4);
    assertEquals(0.5, rate.at(0));
    assertEquals(2, rate.at(3));
    assertEquals(2, rate.at(100));
    LearningRate cosine = LearningRate.constant(1).withCosineDecay(10, 0.1);
    assertEquals(1, cosine.at(0));
    assertEquals(0.55, cosine.at(5), 1e-12);
    assertEquals(0.1, cosine.at(10), 1e-12);
    assertEquals(0.1, cosine.at(1000), 1e-12);
    LearningRate steps = LearningRate.constant(1).withStepDecay(3, 0.5);
    assertEquals(1, steps.at(2));
    assertEquals(0.25, steps.at(6));
    assertEquals(1, LearningRate.constant(1).withWarmup(0).at(0));
  }

  @Test
  void refusesSchedulesThatAreNone() {
    LearningRate rate = LearningRate.constant(1);
    refused("warmup: expected at least 0 steps, got -1", () -> rate.withWarmup(-1));
    refused("cosine decay: expected at least 1 step, got 0", () -> rate.withCosineDecay(0, 0.1));
    refused(
        "cosine decay: expected a share from 0 to 1, got NaN",
        () -> rate.withCosineDecay(1, Double.NaN));
    refused(
        "cosine decay: expected a share from 0 to 1, got -0.1",
        () -> rate.withCosineDecay(1, -0.1));
    refused("step decay: expected at least 1 step, got 0", () -> rate.withStepDecay(0, 0.5));
    refused(
        "step decay: expected a factor of at least 0, got -0.5", () -> rate.withStepDecay(1, -0.5));
  }

  private static void refused(String message, Executable schedule) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, schedule).getMessage());
  }
}
