// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.engine.Engine;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.Batchifier;
import ai.djl.translate.Translator;
import ai.djl.translate.TranslatorContext;
import ai.djl.util.passthrough.PassthroughNDArray;
import ai.djl.util.passthrough.PassthroughNDManager;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.SafetensorsWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EngineTest {
  @TempDir Path folder;

  /** What a session of the core gives, with its own layout of states. */
  private record Expected(float[] y, float[] hn, float[] cn) {
    static Expected of(RnnSpec spec, int steps, int batch, float[] x, int[] lengths) {
      try (Rnn rnn = Rnn.create(spec, Models.weights(spec));
          Session session = rnn.session(steps, batch)) {
        State state = session.newState(batch);
        float[] y = session.forward(steps, batch, x, lengths, state);
        return new Expected(y, state.hidden(), state.hasCell() ? state.cell() : null);
      }
    }
  }

  private static float[] swapped(float[] values, int first, int second) {
    int width = values.length / (first * second);
    float[] swapped = new float[values.length];
    for (int i = 0; i < first; i++) {
      for (int j = 0; j < second; j++) {
        System.arraycopy(values, (i * second + j) * width, swapped, (j * first + i) * width, width);
      }
    }
    return swapped;
  }

  private static NDList predict(ZooModel<NDList, NDList> model, NDArray... arrays)
      throws Exception {
    try (Predictor<NDList, NDList> predictor = model.newPredictor()) {
      return predictor.predict(new NDList(arrays));
    }
  }

  private static List<String> names(NDList arrays) {
    return arrays.stream().map(NDArray::getName).toList();
  }

  private static NDArray named(NDArray array, String name) {
    array.setName(name);
    return array;
  }

  @Test
  void theEngineIsFoundByItsNameAndIsNobodysDefault() {
    assertTrue(Engine.hasEngine("GateFuse"));
    assertEquals("0.1.0-SNAPSHOT", Engine.getEngine("GateFuse").getVersion());
    assertNotEquals("GateFuse", Engine.getInstance().getEngineName());
  }

  @ParameterizedTest
  @CsvSource({"batch, false", "batch, true", "time, false", "time, true"})
  void aFolderPredictsTheBitsOfASession(String layout, boolean gru) throws Exception {
    RnnSpec spec = gru ? Models.GRU : Models.LSTM;
    Models.write(folder.resolve("model.safetensors"), spec);
    float[] x = Models.values(5 * 2 * 3, 1);
    int[] lengths = {5, 3};
    Expected expected = Expected.of(spec, 5, 2, x, lengths);
    boolean time = layout.equals("time");
    try (ZooModel<NDList, NDList> model = Models.load(folder, Map.of("layout", layout))) {
      NDManager manager = model.getNDManager();
      NDList got =
          predict(
              model,
              manager.create(
                  time ? x : swapped(x, 5, 2), time ? new Shape(5, 2, 3) : new Shape(2, 5, 3)),
              manager.create(lengths));
      assertEquals(
          gru ? List.of("y", "hn", "lengths") : List.of("y", "hn", "cn", "lengths"), names(got));
      assertEquals(
          new Shape(time ? 5 : 2, time ? 2 : 5, spec.outputSize()), got.get("y").getShape());
      assertEquals(new Shape(time ? 2 : 2, 2, 8), got.get("hn").getShape());
      assertArrayEquals(time ? expected.y : swapped(expected.y, 5, 2), got.get("y").toFloatArray());
      assertArrayEquals(
          time ? expected.hn : swapped(expected.hn, spec.slots(), 2), got.get("hn").toFloatArray());
      if (!gru) {
        assertArrayEquals(
            time ? expected.cn : swapped(expected.cn, spec.slots(), 2),
            got.get("cn").toFloatArray());
      }
      assertArrayEquals(lengths, got.get("lengths").toIntArray());
    }
  }

  @Test
  void statesCarryASequenceOnByName() throws Exception {
    Path file = Models.write(folder.resolve("any.safetensors"), Models.LSTM);
    float[] x = Models.values(6 * 3, 2);
    Expected whole = Expected.of(Models.LSTM, 6, 1, x, null);
    try (ZooModel<NDList, NDList> model = Models.load(file, Map.of())) {
      NDManager manager = model.getNDManager();
      NDArray first = manager.create(Arrays.copyOf(x, 4 * 3), new Shape(1, 4, 3));
      NDList half = predict(model, first);
      NDList rest =
          predict(
              model,
              named(half.get("cn"), "c0"),
              named(half.get("hn"), "h0"),
              named(manager.create(Arrays.copyOfRange(x, 4 * 3, 6 * 3), new Shape(1, 2, 3)), "x"));
      assertArrayEquals(Arrays.copyOfRange(whole.y, 4 * 8, 6 * 8), rest.get("y").toFloatArray());
      assertArrayEquals(whole.cn, rest.get("cn").toFloatArray());
    }
  }

  @Test
  void tokensAreTakenInEitherWidthAndOutputsAsAskedFor() throws Exception {
    Models.write(folder.resolve("model.safetensors"), Models.BYTES);
    int[] tokens = {3, 1, 4, 1, 5, 9};
    int[] targets = {1, 4, 1, 5, 9, 2};
    float[] scores;
    float[] logits;
    try (Rnn rnn = Rnn.create(Models.BYTES, Models.weights(Models.BYTES));
        Session session = rnn.session(6, 1)) {
      scores = session.score(6, 1, tokens, targets, null, null);
      FloatBuffer memory = Models.direct(6 * 256);
      IntBuffer input =
          ByteBuffer.allocateDirect(24).order(ByteOrder.nativeOrder()).asIntBuffer().put(0, tokens);
      session.call().tokens(input).logits(memory).run(6, 1);
      logits = Models.array(memory);
    }
    Map<String, String> options =
        Map.of("outputs", "target_log_probabilities, logits", "threads", "1");
    try (ZooModel<NDList, NDList> model = Models.load(folder, options)) {
      NDManager manager = model.getNDManager();
      NDArray wide = manager.create(IntStream.of(tokens).asLongStream().toArray(), new Shape(1, 6));
      NDArray narrow = manager.create(tokens, new Shape(1, 6));
      for (NDArray input : List.of(wide, narrow)) {
        NDArray target = named(manager.create(targets, new Shape(1, 6)), "targets");
        NDList got = predict(model, named(input, "tokens"), target);
        assertEquals(List.of("target_log_probabilities", "logits"), names(got));
        assertArrayEquals(scores, got.get(0).toFloatArray());
        assertArrayEquals(logits, got.get(1).toFloatArray());
        assertEquals(new Shape(1, 6), got.get(0).getShape());
      }
    }
    try (ZooModel<NDList, NDList> model = Models.load(folder, Map.of())) {
      NDArray input = model.getNDManager().create(tokens, new Shape(1, 6));
      assertEquals(List.of("logits", "hn", "cn"), names(predict(model, input)));
    }
  }

  @Test
  void optionsChooseWhatComputes() throws Exception {
    Models.write(folder.resolve("model.safetensors"), Models.LSTM);
    try (ZooModel<NDList, NDList> model = Models.load(folder, Map.of("backend", "reference"))) {
      assertEquals("reference", model.getProperty("backend"));
    }
    float[] x = Models.values(4 * 3, 3);
    float[] exact = Expected.of(Models.LSTM, 4, 1, x, null).y;
    try (ZooModel<NDList, NDList> model = Models.load(folder, Map.of("precision", "bfloat16"))) {
      NDArray input = model.getNDManager().create(x, new Shape(1, 4, 3));
      float[] rounded = predict(model, input).get("y").toFloatArray();
      assertFalse(Arrays.equals(exact, rounded));
      assertArrayEquals(exact, rounded, 0.05f);
    }
  }

  @Test
  void theFileIsFoundByTheNameOfTheModelAmongOthers() throws Exception {
    Models.write(folder.resolve("one.safetensors"), Models.LSTM);
    Models.write(folder.resolve("two.safetensors"), Models.GRU);
    try (ZooModel<NDList, NDList> model =
        Models.criteria(folder, Map.of()).optModelName("two").build().loadModel()) {
      assertEquals(List.of("y", "hn"), model.describeOutput().keys());
      assertEquals(new Shape(-1, -1, 3), model.describeInput().get("x"));
    }
  }

  /** As people write them for any engine: with DJL's own way to make batches. */
  private static final class LastStep implements Translator<float[][], float[]> {
    @Override
    public NDList processInput(TranslatorContext context, float[][] input) {
      return new NDList(context.getNDManager().create(input));
    }

    @Override
    public float[] processOutput(TranslatorContext context, NDList list) {
      return list.get("hn").toFloatArray();
    }

    @Override
    public Batchifier getBatchifier() {
      return Batchifier.STACK;
    }
  }

  @Test
  void batchesOfDjlsOwnGiveTheBitsOfOneByOne() throws Exception {
    Models.write(folder.resolve("model.safetensors"), Models.LSTM);
    List<float[][]> inputs = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      inputs.add(new float[][] {Models.values(3, 10 + i), Models.values(3, 20 + i)});
    }
    try (ZooModel<float[][], float[]> model =
            Models.load(folder, float[][].class, float[].class, new LastStep());
        Predictor<float[][], float[]> predictor = model.newPredictor()) {
      List<float[]> together = predictor.batchPredict(inputs);
      for (int i = 0; i < 3; i++) {
        float[] x = new float[6];
        System.arraycopy(inputs.get(i)[0], 0, x, 0, 3);
        System.arraycopy(inputs.get(i)[1], 0, x, 3, 3);
        assertArrayEquals(Expected.of(Models.LSTM, 2, 1, x, null).hn, together.get(i));
        assertArrayEquals(predictor.predict(inputs.get(i)), together.get(i));
      }
    }
  }

  @Test
  void aZeroCopyInputIsNotChangedAndOutputsOutliveThePredictor() throws Exception {
    Files.createDirectories(folder.resolve("m"));
    Models.write(folder.resolve("m/m.safetensors"), Models.LSTM);
    float[] x = Models.values(4 * 3, 5);
    NDList got;
    try (ZooModel<NDList, NDList> model = Models.load(folder.resolve("m"), Map.of())) {
      NDArray input = model.getNDManager().create(x, new Shape(1, 4, 3));
      got = predict(model, input);
      predict(model, model.getNDManager().create(new float[12], new Shape(1, 4, 3)));
      assertArrayEquals(x, input.toFloatArray());
    }
    assertEquals(DataType.FLOAT32, got.get(0).getDataType());
    assertArrayEquals(Expected.of(Models.LSTM, 4, 1, x, null).y, got.get("y").toFloatArray());
  }

  @Test
  void zoneoutOfTheFileIsPartOfTheNetwork() throws Exception {
    Weights weights = Models.weights(Models.LSTM);
    SafetensorsWriter.create()
        .metadata("cell", "lstm_refine")
        .metadata("zoneout_h", "0.25")
        .add(weights)
        .write(folder.resolve("model.safetensors"));
    float[] x = Models.values(4 * 3, 5);
    SessionOptions options =
        SessionOptions.of(4, 1).withRegularization(Regularization.NONE.withZoneout(0.25, 0));
    try (ZooModel<NDList, NDList> model = Models.load(folder, Map.of());
        Rnn rnn = Rnn.create(Models.LSTM, weights);
        Session session = rnn.session(options)) {
      NDArray input = model.getNDManager().create(x, new Shape(1, 4, 3));
      float[] got = predict(model, input).get("y").toFloatArray();
      assertArrayEquals(session.forward(4, 1, x), got);
      assertFalse(Arrays.equals(Expected.of(Models.LSTM, 4, 1, x, null).y, got));
    }
  }

  /** Arrays of other engines come in any memory; here on the heap, in the order of the network. */
  @Test
  void arraysOfOtherEnginesAreTaken() throws Exception {
    Models.write(folder.resolve("model.safetensors"), Models.LSTM);
    float[] x = Models.values(4 * 3, 6);
    for (ByteOrder order : List.of(ByteOrder.BIG_ENDIAN, ByteOrder.LITTLE_ENDIAN)) {
      ByteBuffer heap = ByteBuffer.allocate(4 * x.length).order(order);
      heap.asFloatBuffer().put(x);
      NDArray other =
          new PassthroughNDArray(
              PassthroughNDManager.INSTANCE, heap, new Shape(1, 4, 3), DataType.FLOAT32);
      try (ZooModel<NDList, NDList> model = Models.load(folder, Map.of())) {
        assertArrayEquals(
            Expected.of(Models.LSTM, 4, 1, x, null).y,
            predict(model, other).get("y").toFloatArray());
      }
    }
  }
}
