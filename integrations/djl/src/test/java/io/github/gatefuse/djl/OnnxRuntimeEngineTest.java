// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.repository.zoo.Criteria;
import ai.djl.translate.NoopTranslator;
import ai.onnxruntime.OrtSession;
import io.github.gatefuse.onnxruntime.GatefuseOrt;
import io.github.gatefuse.onnxruntime.OnnxRewriter;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** DJL's own engine for ONNX Runtime with GateFuse's operators, as docs/djl.md has it. */
class OnnxRuntimeEngineTest {
  private static final int STEPS = 7;
  private static final int BATCH = 2;
  private static final int INPUTS = 3;
  private static final int HIDDEN = 4;

  @TempDir Path folder;

  /** A message of ONNX's format. */
  private static final class Message {
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    private void varint(long value) {
      for (long rest = value; ; rest >>>= 7) {
        bytes.write((int) (rest & 0x7f | (rest > 0x7f ? 0x80 : 0)));
        if (rest <= 0x7f) {
          return;
        }
      }
    }

    Message number(int field, long value) {
      varint(field << 3);
      varint(value);
      return this;
    }

    Message bytes(int field, byte[] value) {
      varint(field << 3 | 2);
      varint(value.length);
      bytes.writeBytes(value);
      return this;
    }

    Message text(int field, String value) {
      return bytes(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Message message(int field, Message value) {
      return bytes(field, value.bytes.toByteArray());
    }
  }

  private static Message tensor(String name, int seed, int... shape) {
    Message tensor = new Message();
    int count = 1;
    for (int size : shape) {
      tensor.number(1, size);
      count *= size;
    }
    ByteBuffer values = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (float value : Models.values(count, seed)) {
      values.putFloat(value / 2);
    }
    return tensor.number(2, 1).text(8, name).bytes(9, values.array());
  }

  private static Message value(String name, int... shape) {
    Message dimensions = new Message();
    for (int size : shape) {
      dimensions.message(1, new Message().number(1, size));
    }
    Message tensor = new Message().number(1, 1).message(2, dimensions);
    return new Message().text(1, name).message(2, new Message().message(1, tensor));
  }

  private static byte[] lstm() {
    Message hidden = new Message().text(1, "hidden_size").number(3, HIDDEN).number(20, 2);
    Message node = new Message();
    for (String input : List.of("X", "W", "R", "B")) {
      node.text(1, input);
    }
    node.text(2, "Y").text(4, "LSTM").message(5, hidden);
    Message graph =
        new Message()
            .message(1, node)
            .text(2, "lstm")
            .message(5, tensor("W", 1, 1, 4 * HIDDEN, INPUTS))
            .message(5, tensor("R", 2, 1, 4 * HIDDEN, HIDDEN))
            .message(5, tensor("B", 3, 1, 8 * HIDDEN))
            .message(11, value("X", STEPS, BATCH, INPUTS))
            .message(12, value("Y", STEPS, 1, BATCH, HIDDEN));
    return new Message()
        .number(1, 8)
        .message(7, graph)
        .message(8, new Message().text(1, "").number(2, 14))
        .bytes
        .toByteArray();
  }

  private static Criteria.Builder<NDList, NDList> criteria(Path file) {
    return Criteria.builder()
        .setTypes(NDList.class, NDList.class)
        .optEngine("OnnxRuntime")
        .optModelPath(file);
  }

  private static float[] predict(Criteria<NDList, NDList> criteria) throws Exception {
    try (Model model = criteria.loadModel()) {
      return predict(model);
    }
  }

  private static float[] predict(Model model) throws Exception {
    try (Predictor<NDList, NDList> predictor = model.newPredictor(new NoopTranslator());
        NDArray x =
            model
                .getNDManager()
                .create(
                    Models.values(STEPS * BATCH * INPUTS, 9), new Shape(STEPS, BATCH, INPUTS))) {
      NDList y = predictor.predict(new NDList(x));
      assertEquals(new Shape(STEPS, 1, BATCH, HIDDEN), y.singletonOrThrow().getShape());
      return y.singletonOrThrow().toFloatArray();
    }
  }

  @Test
  void aRewrittenModelRunsOnGatefusesOperators() throws Exception {
    Path original = Files.write(folder.resolve("model.onnx"), lstm());
    Path moved = folder.resolve("moved.onnx");
    assertEquals(1, OnnxRewriter.rewrite(original, moved).moved().size());

    float[] expected = predict(criteria(original).build());
    Criteria<NDList, NDList> withLibrary =
        criteria(moved).optOption("customOpLibrary", GatefuseOrt.libraryPath()).build();
    assertArrayEquals(expected, predict(withLibrary), 1e-5f);
    // Without the library nobody has the operator: what ran above was GateFuse's.
    assertThrows(MalformedModelException.class, () -> criteria(moved).build().loadModel().close());
  }

  @Test
  void optionsOfGatefuseComeWithOptionsOfASession() throws Exception {
    Path file = Files.write(folder.resolve("model.onnx"), lstm());
    float[] expected = predict(criteria(file).build());
    try (Model model = Model.newInstance("model", "OnnxRuntime");
        OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.addConfigEntry(GatefuseOrt.THREADS, "1");
      options.addConfigEntry(GatefuseOrt.OVERRIDE, "1");
      Map<String, Object> withLibrary =
          Map.of("sessionOptions", options, "customOpLibrary", GatefuseOrt.libraryPath());
      model.load(folder, null, withLibrary);
      assertArrayEquals(expected, predict(model), 1e-5f);
    }
    try (Model model = Model.newInstance("model", "OnnxRuntime");
        OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.addConfigEntry(GatefuseOrt.THREADS, "none");
      Map<String, Object> withLibrary =
          Map.of("sessionOptions", options, "customOpLibrary", GatefuseOrt.libraryPath());
      // A wrong entry is refused, so the entries above were read.
      assertThrows(Exception.class, () -> model.load(folder, null, withLibrary));
    }
  }
}
