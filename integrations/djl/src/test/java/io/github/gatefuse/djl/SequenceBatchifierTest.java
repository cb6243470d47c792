// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.Batchifier;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.Session;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SequenceBatchifierTest {
  @TempDir Path folder;

  /** The natural logarithm of each byte's probability, and of the line feed's at the end. */
  private static final class ByteScores implements Translator<String, float[]> {
    @Override
    public NDList processInput(TranslatorContext context, String line) {
      int[] bytes = bytes(line);
      int steps = bytes.length - 1;
      NDArray tokens = context.getNDManager().create(Arrays.copyOf(bytes, steps));
      tokens.setName("tokens");
      NDArray targets = context.getNDManager().create(Arrays.copyOfRange(bytes, 1, steps + 1));
      targets.setName("targets");
      return new NDList(tokens, targets);
    }

    @Override
    public float[] processOutput(TranslatorContext context, NDList list) {
      return list.singletonOrThrow().toFloatArray();
    }

    @Override
    public Batchifier getBatchifier() {
      return new SequenceBatchifier();
    }
  }

  private static int[] bytes(String line) {
    return ("\n" + line + "\n").chars().toArray();
  }

  @Test
  void linesOfSeveralLengthsGiveTheBitsOfASession() throws Exception {
    Models.write(folder.resolve("model.safetensors"), Models.BYTES);
    List<String> lines = List.of("INFO start", "x", "", "WARN the disk is nearly full");
    try (ZooModel<String, float[]> model =
            Models.load(
                folder,
                String.class,
                float[].class,
                new ByteScores(),
                "outputs",
                "target_log_probabilities");
        Predictor<String, float[]> predictor = model.newPredictor();
        Rnn rnn = Rnn.create(Models.BYTES, Models.weights(Models.BYTES));
        Session session = rnn.session(100, 1)) {
      List<float[]> scores = predictor.batchPredict(lines);
      for (int i = 0; i < lines.size(); i++) {
        int[] bytes = bytes(lines.get(i));
        int steps = bytes.length - 1;
        float[] expected =
            session.score(
                steps,
                1,
                Arrays.copyOf(bytes, steps),
                Arrays.copyOfRange(bytes, 1, steps + 1),
                null,
                null);
        assertArrayEquals(expected, scores.get(i), "line " + i);
      }
    }
  }

  private static NDManager manager() {
    return new GatefuseEngine().newBaseManager();
  }

  @Test
  void sequencesArePaddedAndStatesAreNot() {
    try (NDManager manager = manager()) {
      NDList[] inputs = new NDList[2];
      for (int i = 0; i < 2; i++) {
        NDArray x = manager.create(Models.values((i + 1) * 3, i), new Shape(i + 1, 3));
        x.setName("x");
        NDArray h = manager.create(Models.values(4, 7 + i), new Shape(2, 2));
        h.setName("h0");
        inputs[i] = new NDList(x, h);
      }
      NDList batch = new SequenceBatchifier().batchify(inputs);
      assertEquals(List.of("x", "lengths", "h0"), batch.stream().map(NDArray::getName).toList());
      assertEquals(new Shape(2, 2, 3), batch.get("x").getShape());
      assertEquals(new Shape(2, 2, 2), batch.get("h0").getShape());
      float[] x = batch.get("x").toFloatArray();
      assertArrayEquals(Models.values(3, 0), Arrays.copyOf(x, 3));
      assertArrayEquals(new float[3], Arrays.copyOfRange(x, 3, 6));
      assertArrayEquals(Models.values(6, 1), Arrays.copyOfRange(x, 6, 12));
      assertArrayEquals(new int[] {1, 2}, batch.get("lengths").toIntArray());
    }
  }

  @Test
  void sequencesThatDoNotFitEachOtherAreRefused() {
    SequenceBatchifier batchifier = new SequenceBatchifier();
    try (NDManager manager = manager()) {
      NDList three = new NDList(manager.create(new float[6], new Shape(2, 3)));
      NDList four = new NDList(manager.create(new float[8], new Shape(2, 4)));
      NDList two = new NDList(three.head(), three.head());
      refused("sequence 1: expected null float32 like (2, 3)", batchifier, three, four);
      refused("each with a name, got 2", batchifier, two, two);
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> batchifier.unbatchify(three));
      assertEquals("outputs: expected lengths among them, got none", e.getMessage());
    }
  }

  private static void refused(String part, SequenceBatchifier batchifier, NDList... inputs) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> batchifier.batchify(inputs));
    assertTrue(e.getMessage().contains(part), e.getMessage());
  }
}
