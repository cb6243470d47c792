// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Backward;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Devices;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The trainer against what it is made of, and what it promises about bits and files. */
class TrainerTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 3, 8).withOutputs(4);

  private static TrainingOptions options(RnnSpec spec) {
    return TrainingOptions.of(6, 5, Loss.CROSS_ENTROPY)
        .withNetwork(RnnOptions.of(Backend.REFERENCE))
        .withRate(LearningRate.constant(0.01));
  }

  private static Weights initial(RnnSpec spec) {
    return WeightInit.uniform().weights(spec, 3);
  }

  /**
   * The class to predict is the position of the largest of three inputs; 3 where none is above 0.
   */
  private static Batch batch(long index) {
    Random random = new Random(index);
    int steps = 6;
    int sequences = 5;
    float[] inputs = new float[steps * sequences * 3];
    int[] classes = new int[steps * sequences];
    for (int place = 0; place < classes.length; place++) {
      classes[place] = 3;
      float largest = 0;
      for (int i = 0; i < 3; i++) {
        float value = (float) random.nextGaussian();
        inputs[place * 3 + i] = value;
        if (value > largest) {
          largest = value;
          classes[place] = i;
        }
      }
    }
    return Batch.of(steps, sequences, inputs, classes);
  }

  private static Trainer trainer() {
    return Trainer.create(SPEC, initial(SPEC), options(SPEC));
  }

  private static void assumeAvailable(Backend backend) {
    Assumptions.assumeTrue(
        Devices.report().stream().anyMatch(r -> r.backend() == backend && r.available()),
        backend + " does not run here");
  }

  private static float[] all(Weights weights) {
    float[] all = new float[0];
    for (RnnSpec.Parameter parameter : SPEC.parameters()) {
      float[] one = weights.floats(parameter.name());
      int begin = all.length;
      all = Arrays.copyOf(all, begin + one.length);
      System.arraycopy(one, 0, all, begin, one.length);
    }
    return all;
  }

  @ParameterizedTest
  @EnumSource(
      value = Backend.class,
      names = {"REFERENCE", "CPU", "CUDA"})
  void learns(Backend backend) {
    assumeAvailable(backend);
    TrainingOptions options = options(SPEC).withNetwork(RnnOptions.of(backend));
    try (Trainer trainer = Trainer.create(SPEC, initial(SPEC), options)) {
      Evaluation before = trainer.evaluate(i -> batch(-1 - i), 10);
      assertEquals(300, before.weight());
      for (int i = 0; i < 300; i++) {
        assertEquals(i, trainer.step(batch(i)).step());
      }
      Evaluation after = trainer.evaluate(i -> batch(-1 - i), 10);
      assertTrue(after.loss() < before.loss() / 2, before + " then " + after);
      assertTrue(after.accuracy() > 0.8, after.toString());
      assertEquals(300, trainer.steps());
    }
  }

  /** One step against Adam's formulas in double, from the gradient of finite differences. */
  @Test
  void takesTheStepOfAdam() {
    TrainingOptions options =
        options(SPEC)
            .withOptimizer(Adam.standard().withDecay(0.1))
            .withClipping(Double.POSITIVE_INFINITY);
    float[] before = all(initial(SPEC));
    try (Trainer trainer = Trainer.create(SPEC, initial(SPEC), options)) {
      Batch batch = batch(1);
      StepReport report = trainer.step(batch);
      float[] after = all(trainer.weights());
      double squares = 0;
      int begin = 0;
      for (RnnSpec.Parameter parameter : SPEC.parameters()) {
        int count = (int) parameter.count();
        for (int i = begin; i < begin + count; i++) {
          double gradient = slope(batch, before, i);
          squares += gradient * gradient;
          // At the first step the moments, corrected, are the gradient and its square.
          double kept = before[i] * (1 - 0.01 * (parameter.bias() ? 0 : 0.1));
          double expected = kept - 0.01 * gradient / (Math.abs(gradient) + 1e-8);
          if (Math.abs(gradient) > 1e-4) {
            assertEquals(expected, after[i], 2e-5, parameter.name() + " at " + i);
          }
        }
        begin += count;
      }
      assertEquals(Math.sqrt(squares), report.gradientNorm(), 1e-3 * report.gradientNorm());
    }
  }

  private static double slope(Batch batch, float[] values, int i) {
    float step = 1f / 512;
    return (loss(batch, values, i, step) - loss(batch, values, i, -step)) / (2 * step);
  }

  private static double loss(Batch batch, float[] values, int changed, float by) {
    Weights.Builder weights = Weights.builder();
    int begin = 0;
    for (RnnSpec.Parameter parameter : SPEC.parameters()) {
      float[] one = Arrays.copyOfRange(values, begin, begin + (int) parameter.count());
      if (changed >= begin && changed < begin + one.length) {
        one[changed - begin] += by;
      }
      weights.add(parameter.name(), one, parameter.shape());
      begin += one.length;
    }
    try (Trainer trainer = Trainer.create(SPEC, weights.build(), options(SPEC))) {
      return trainer.evaluate(j -> batch, 1).loss();
    }
  }

  @Test
  void clips() {
    TrainingOptions free = options(SPEC).withClipping(Double.POSITIVE_INFINITY);
    double norm;
    try (Trainer trainer = Trainer.create(SPEC, initial(SPEC), free)) {
      norm = trainer.step(batch(1)).gradientNorm();
    }
    // Adam's first step does not depend on the gradient's length, but its second does.
    float[] unclipped = afterTwoSteps(free);
    assertArrayEquals(unclipped, afterTwoSteps(options(SPEC).withClipping(100 * norm)));
    float[] clipped = afterTwoSteps(options(SPEC).withClipping(norm / 2));
    assertTrue(!Arrays.equals(unclipped, clipped));
  }

  private static float[] afterTwoSteps(TrainingOptions options) {
    try (Trainer trainer = Trainer.create(SPEC, initial(SPEC), options)) {
      trainer.step(batch(1));
      trainer.step(batch(2));
      return all(trainer.weights());
    }
  }

  @Test
  void goesOnWhereTheBatchBeforeEnded() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 4, 8).withVocabulary(7).withOutputs(7);
    int[] tokens = new Random(1).ints(12 * 2, 0, 7).toArray();
    TrainingOptions options =
        TrainingOptions.of(12, 2, Loss.CROSS_ENTROPY).withNetwork(RnnOptions.of(Backend.REFERENCE));
    try (Trainer trainer = Trainer.create(spec, initial(spec), options)) {
      double whole = trainer.evaluate(i -> Batch.of(12, 2, tokens, tokens), 1).loss();
      double parts =
          trainer
              .evaluate(
                  i -> {
                    int[] part = Arrays.copyOfRange(tokens, (int) i * 8, (int) i * 8 + 8);
                    return Batch.of(4, 2, part, part).withContinues(i > 0);
                  },
                  3)
              .loss();
      assertEquals(whole, parts, 1e-6);
      Batch goingOn = Batch.of(4, 2, new int[8], new int[8]).withContinues(true);
      assertTrue(
          assertThrows(IllegalArgumentException.class, () -> trainer.step(goingOn))
              .getMessage()
              .contains("expected one before of B=2 to go on from, got none"));
      trainer.step(goingOn.withContinues(false));
      trainer.step(goingOn);
      Batch other = Batch.of(4, 1, new int[4], new int[4]).withContinues(true);
      assertThrows(IllegalArgumentException.class, () -> trainer.step(other));
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Backward.class,
      names = {"STORE", "RECOMPUTE"})
  void resumesToTheSameBits(Backward backward, @TempDir Path folder) {
    RnnSpec spec = RnnSpec.of(Cell.ONLSTM, 4, 12).withChunk(3).withVocabulary(6).withOutputs(6);
    TrainingOptions options = TrainingOptions.of(5, 3, Loss.CROSS_ENTROPY).withBackward(backward);
    BatchSource source =
        i -> {
          int[] tokens = new Random(i).ints(15, 0, 6).toArray();
          return Batch.of(5, 3, tokens, tokens).withContinues(i % 4 != 0);
        };
    Path file = folder.resolve("checkpoint");
    try (Trainer straight = Trainer.create(spec, initial(spec), options)) {
      for (int i = 0; i < 20; i++) {
        straight.step(source.batch(i));
        if (straight.steps() == 10) {
          straight.save(file);
        }
      }
      try (Trainer resumed = Trainer.resume(file, spec, options)) {
        assertEquals(10, resumed.steps());
        while (resumed.steps() < 20) {
          resumed.step(source.batch(resumed.steps()));
        }
        for (RnnSpec.Parameter parameter : spec.parameters()) {
          assertArrayEquals(
              straight.weights().floats(parameter.name()),
              resumed.weights().floats(parameter.name()),
              parameter.name());
        }
      }
    }
  }

  private static final Regularization REGULARIZATION =
      Regularization.NONE
          .withDropout(0.2)
          .withZoneout(0.1, 0.2)
          .withRecurrentDropout(0.3)
          .withSeed(5);

  /** Each step draws by its number, and nothing of an evaluation is left in the next step. */
  @ParameterizedTest
  @EnumSource(
      value = Backend.class,
      names = {"CPU", "REFERENCE", "CUDA"})
  void resumesToTheSameBitsWithRegularization(Backend backend, @TempDir Path folder) {
    assumeAvailable(backend);
    RnnSpec spec = SPEC.withLayers(2);
    TrainingOptions options =
        options(spec).withNetwork(RnnOptions.of(backend)).withRegularization(REGULARIZATION);
    Path file = folder.resolve("checkpoint");
    try (Trainer straight = Trainer.create(spec, initial(spec), options)) {
      for (int i = 0; i < 8; i++) {
        straight.step(batch(i));
        if (straight.steps() == 4) {
          straight.save(file);
        }
      }
      try (Trainer resumed = Trainer.resume(file, spec, options)) {
        while (resumed.steps() < 8) {
          resumed.evaluate(TrainerTest::batch, 2);
          resumed.step(batch(resumed.steps()));
        }
        for (RnnSpec.Parameter parameter : spec.parameters()) {
          assertArrayEquals(
              straight.weights().floats(parameter.name()),
              resumed.weights().floats(parameter.name()),
              parameter.name());
        }
      }
    }
  }

  @Test
  void evaluationsDrawNothing() {
    Regularization dropout = Regularization.NONE.withDropout(0.5).withRecurrentDropout(0.5);
    RnnSpec spec = SPEC.withLayers(2);
    try (Trainer plain = Trainer.create(spec, initial(spec), options(spec));
        Trainer trainer =
            Trainer.create(spec, initial(spec), options(spec).withRegularization(dropout))) {
      Evaluation expected = plain.evaluate(TrainerTest::batch, 3);
      assertEquals(expected, trainer.evaluate(TrainerTest::batch, 3));
      double loss = trainer.step(batch(0)).loss();
      assertTrue(Math.abs(loss - plain.step(batch(0)).loss()) > 1e-4, "loss " + loss);
    }
  }

  @Test
  void refusesCheckpointsOfOthers(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("checkpoint");
    try (Trainer trainer = trainer()) {
      trainer.save(file);
    }
    RnnSpec other = RnnSpec.of(Cell.LSTM, 3, 8).withOutputs(4);
    String message =
        assertThrows(
                IllegalArgumentException.class, () -> Trainer.resume(file, other, options(other)))
            .getMessage();
    assertTrue(message.contains("expected a checkpoint of") && message.contains("REFINE"), message);

    Path model = folder.resolve("model.safetensors");
    SafetensorsWriter.create().add(initial(SPEC)).write(model);
    refused(model, "another kind of file");
    Files.write(folder.resolve("cut"), Arrays.copyOf(Files.readAllBytes(file), 2000));
    refused(folder.resolve("cut"), "cut");
    refused(folder.resolve("missing"), "missing");
  }

  private static void refused(Path file, String part) {
    String message =
        assertThrows(GatefuseException.class, () -> Trainer.resume(file, SPEC, options(SPEC)))
            .getMessage();
    assertTrue(message.contains(part), message);
  }

  @Test
  void stopsAtNumbersThatAreNotFinite() {
    try (Trainer trainer = trainer()) {
      trainer.step(batch(0));
      float[] before = all(trainer.weights());
      Batch bad = batch(1);
      bad.inputs()[(2 * 5 + 3) * 3 + 1] = Float.NaN;
      DivergedException e = assertThrows(DivergedException.class, () -> trainer.step(bad));
      assertEquals(
          "step 1: input of step 2 of sequence 3 of the batch is not finite", e.getMessage());
      assertEquals(1, e.step());
      assertArrayEquals(before, all(trainer.weights()));
      Objective infinite =
          (batch, outputs, logits, gradient) -> new Objective.Outcome(1 / 0.0, 0, 1);
      assertTrue(
          assertThrows(DivergedException.class, () -> trainer.step(batch(1), infinite))
              .getMessage()
              .contains("the loss is Infinity, though the data are finite"));
      Objective steep =
          (batch, outputs, logits, gradient) -> {
            gradient[0] = Float.POSITIVE_INFINITY;
            return new Objective.Outcome(1, 0, 1);
          };
      assertTrue(
          assertThrows(DivergedException.class, () -> trainer.step(batch(1), steep))
              .getMessage()
              .contains("norm of the gradient"));
      // Past a sequence's end anything may be.
      Batch shorter = batch(1).withLengths(new int[] {6, 6, 6, 2, 6});
      shorter.inputs()[(5 * 5 + 3) * 3] = Float.NaN;
      trainer.step(shorter);
    }
  }

  @Test
  void namesWhatDoesNotFit() {
    try (Trainer trainer = trainer()) {
      wrong(
          trainer, Batch.of(7, 1, new float[21], new int[7]), "expected at most T=6, B=5, got T=7");
      wrong(
          trainer,
          Batch.of(1, 1, new float[2], new int[1]),
          "inputs [T, B, I=3] = 3 values, got 2");
      wrong(trainer, Batch.of(1, 1, new int[1], new int[1]), "expected inputs for this network");
      wrong(
          trainer,
          Batch.of(1, 1, new float[3], new int[] {4}),
          "classes[t=0, b=0]: expected 0 to 3, got 4");
      wrong(trainer, Batch.of(1, 1, new float[3], new float[4]), "expected a batch with classes");
    }
    RnnSpec headless = RnnSpec.of(Cell.GRU, 2, 3);
    assertThrows(
        IllegalArgumentException.class,
        () -> Trainer.create(headless, initial(headless), options(headless)));
    assertThrows(IllegalArgumentException.class, () -> options(SPEC).withBackward(Backward.NONE));
    assertThrows(IllegalArgumentException.class, () -> options(SPEC).withClipping(0));
    assertThrows(IllegalArgumentException.class, () -> Adam.standard().withBetas(1, 0.9));
    assertThrows(IllegalArgumentException.class, () -> LearningRate.constant(Double.NaN));
    assertThrows(IllegalArgumentException.class, () -> Batch.of(2, 2, new int[3], new int[4]));
  }

  @Test
  void namesSizesThatAreOutOfRange() {
    refused("maxSteps: expected at least 1, got 0", () -> options(0, 1));
    refused("maxSequences: expected at least 1, got -1", () -> options(1, -1));
    refused("threads: expected at least 0, got -1", () -> options(1, 1).withThreads(-1));
    refused(
        "maxSteps 65536 x maxSequences 65536: expected at most 2^31-1 places, got 4294967296",
        () -> options(1 << 16, 1 << 16));
    refused(
        "logits: expected at most 536870911 values [T, B, O], the most that a buffer can hold,"
            + " got [65536, 2048, 4]",
        () -> Trainer.create(SPEC, initial(SPEC), options(1 << 16, 1 << 11)));
    RnnSpec wide = RnnSpec.of(Cell.GRU, 8, 2).withOutputs(1);
    refused(
        "inputs: expected at most 536870911 values [T, B, I], the most that a buffer can hold,"
            + " got [65536, 1024, 8]",
        () -> Trainer.create(wide, initial(wide), options(1 << 16, 1 << 10)));
  }

  private static TrainingOptions options(int maxSteps, int maxSequences) {
    return TrainingOptions.of(maxSteps, maxSequences, Loss.CROSS_ENTROPY);
  }

  private static void refused(String message, Executable body) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, body).getMessage());
  }

  @ParameterizedTest
  @ValueSource(doubles = {-1, Double.NaN, Double.POSITIVE_INFINITY})
  void refusesWhatIsNoLearningRateBeforeAnythingChanges(double bad) {
    double[] rate = {bad};
    TrainingOptions options = options(SPEC).withRate(step -> step == 1 ? rate[0] : 0.01);
    float[] expected = afterTwoSteps(options(SPEC));
    try (Trainer trainer = Trainer.create(SPEC, initial(SPEC), options)) {
      trainer.step(batch(1));
      float[] before = all(trainer.weights());
      refused(
          "learning rate of step 1: expected at least 0, got " + bad, () -> trainer.step(batch(2)));
      assertArrayEquals(before, all(trainer.weights()));
      rate[0] = 0.01;
      trainer.step(batch(2));
      assertArrayEquals(expected, all(trainer.weights()));
    }
  }

  /** Of a step that the network refuses nothing stays, so that it may be tried again. */
  @Test
  @Timeout(60)
  void aRefusedStepChangesNothing() throws InterruptedException {
    TrainingOptions options = options(SPEC).withOptimizer(Adam.standard().withPenalty(0.1));
    float[] expected = afterTwoSteps(options);
    try (Trainer trainer = Trainer.create(SPEC, initial(SPEC), options)) {
      trainer.step(batch(1));
      float[] before = all(trainer.weights());
      Evaluation evaluation = trainer.evaluate(i -> batch(3), 1);
      // Another session is in use for far longer than a step takes.
      try (Session other = trainer.rnn().session(40_000, 10)) {
        Thread user = new Thread(() -> use(other));
        user.start();
        while (!isInUse(other)) {
          Thread.sleep(1);
        }
        assertThrows(IllegalStateException.class, () -> trainer.step(batch(2)));
        user.join();
      }
      assertEquals(1, trainer.steps());
      assertArrayEquals(before, all(trainer.weights()));
      assertEquals(evaluation, trainer.evaluate(i -> batch(3), 1));
      trainer.step(batch(2));
      assertArrayEquals(expected, all(trainer.weights()));
    }
  }

  /** Until it is let: whoever asks whether it is in use has it for a moment. */
  private static void use(Session session) {
    for (; ; ) {
      try {
        session.forward(40_000, 10, new float[40_000 * 10 * 3]);
        return;
      } catch (IllegalStateException e) {
        Thread.onSpinWait();
      }
    }
  }

  private static boolean isInUse(Session session) {
    try {
      session.call();
      return false;
    } catch (IllegalStateException e) {
      return true;
    }
  }

  private static void wrong(Trainer trainer, Batch batch, String part) {
    String message =
        assertThrows(IllegalArgumentException.class, () -> trainer.step(batch)).getMessage();
    assertTrue(message.contains(part), message);
  }

  /** A process that saves all the time is killed; what is there can be read. */
  @Test
  void leavesAReadableCheckpointWhenKilled(@TempDir Path folder) throws Exception {
    Path file = folder.resolve("checkpoint");
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    for (int round = 0; round < 3; round++) {
      Process process =
          new ProcessBuilder(
                  java,
                  "-cp",
                  System.getProperty("java.class.path"),
                  Saving.class.getName(),
                  file.toString())
              .redirectErrorStream(true)
              .redirectOutput(folder.resolve("output").toFile())
              .start();
      long begun = System.nanoTime();
      while (process.isAlive() && !Files.exists(file)) {
        Thread.sleep(5);
        if (System.nanoTime() - begun > TimeUnit.SECONDS.toNanos(60)) {
          break;
        }
      }
      Thread.sleep(20 + 30 * round);
      process.destroyForcibly().waitFor();
      assertTrue(Files.exists(file), () -> read(folder.resolve("output")));
      try (Trainer resumed = Trainer.resume(file, SPEC, options(SPEC))) {
        assertTrue(resumed.steps() > 0);
      }
    }
  }

  private static String read(Path path) {
    try {
      return Files.readString(path);
    } catch (IOException e) {
      return e.toString();
    }
  }

  /** What is killed. */
  static final class Saving {
    private Saving() {}

    public static void main(String[] args) {
      try (Trainer trainer = trainer()) {
        for (long i = 0; ; i++) {
          trainer.step(batch(i));
          trainer.save(Path.of(args[0]));
        }
      }
    }
  }
}
