// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.Device;
import ai.djl.MalformedModelException;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.io.SafetensorsWriter;
import java.io.FileNotFoundException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BadInputTest {
  @TempDir Path folder;

  private Path model() {
    return Models.write(folder.resolve("model.safetensors"), Models.LSTM);
  }

  private static void contains(String part, Throwable e) {
    assertTrue(String.valueOf(e.getMessage()).contains(part), e.toString());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "speed   | 9        | options: expected some of [backend, precision, threads,",
        "backend | tpu      | option backend: backend: expected one of auto, reference, cpu,",
        "precision | fp4    | option precision: precision: expected one of float32,",
        "threads | 0        | option threads: expected a whole number from 1 on, got 0",
        "maxSteps | many    | option maxSteps: expected a whole number from 1 on, got many",
        "layout  | feature  | option layout: expected batch or time, got feature",
        "outputs | y,logits | option outputs: expected some of [y, hn, cn], each once, got [y,",
        "outputs | y,y      | option outputs: expected some of [y, hn, cn], each once, got [y, y]",
        "cell    | elman    | option cell: cell: expected one of"
      })
  void optionsAreRefusedByName(String name, String value, String message) {
    model();
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> Models.load(folder, Map.of(name, value)).close());
    contains(message, e);
  }

  @Test
  void aBackendOfAnotherDeviceIsRefused() {
    model();
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () ->
                Models.criteria(folder, Map.of("backend", "cpu"))
                    .optDevice(Device.gpu(0))
                    .build()
                    .loadModel()
                    .close());
    contains("option backend: expected auto or one of the device gpu(0), got cpu", e);
  }

  @Test
  void filesThatAreMissingOrManyAreNamed() {
    Exception none =
        assertThrows(FileNotFoundException.class, () -> Models.load(folder, Map.of()).close());
    contains(folder.toString(), none);
    contains("and the ending .safetensors, got []", none);
    Models.write(folder.resolve("one.safetensors"), Models.LSTM);
    Models.write(folder.resolve("two.safetensors"), Models.LSTM);
    Exception many =
        assertThrows(FileNotFoundException.class, () -> Models.load(folder, Map.of()).close());
    contains("two.safetensors", many);
  }

  @Test
  void filesThatAreNoModelsAreMalformed() throws Exception {
    Path file = folder.resolve("model.safetensors");
    Files.writeString(file, "no model at all");
    Exception text =
        assertThrows(MalformedModelException.class, () -> Models.load(folder, Map.of()).close());
    contains(file.toString(), text);
    SafetensorsWriter.create().add(Models.weights(Models.LSTM)).write(file);
    Exception noCell =
        assertThrows(MalformedModelException.class, () -> Models.load(folder, Map.of()).close());
    contains("cell: expected its name in the metadata or by the option cell, got neither", noCell);
    Models.load(folder, Map.of("cell", "lstm_refine")).close();
    Models.write(file, RnnSpec.of(Cell.GRU, 3, 8));
    Exception twice =
        assertThrows(
            MalformedModelException.class,
            () -> Models.load(folder, Map.of("cell", "lstm")).close());
    contains("cell: the file's metadata says gru, the option cell lstm", twice);
  }

  private void refused(String message, Map<String, String> options, Function<NDManager, NDList> in)
      throws Exception {
    try (ZooModel<NDList, NDList> model = Models.load(folder, options);
        Predictor<NDList, NDList> predictor = model.newPredictor()) {
      NDManager manager = model.getNDManager();
      NDList input = in.apply(manager);
      TranslateException e = assertThrows(TranslateException.class, () -> predictor.predict(input));
      assertEquals(IllegalArgumentException.class, e.getCause().getClass(), e.toString());
      contains(message, e.getCause());
      // The predictor is as good as before.
      NDArray good = manager.create(new float[2 * 3], new Shape(1, 2, 3));
      assertEquals(3, predictor.predict(new NDList(good)).size());
    }
  }

  private static NDList x(NDManager manager, NDArray... more) {
    NDList list = new NDList(manager.create(new float[2 * 5 * 3], new Shape(2, 5, 3)));
    list.addAll(new NDList(more));
    return list;
  }

  private static NDArray named(NDArray array, String name) {
    array.setName(name);
    return array;
  }

  @Test
  void inputsThatDoNotFitAreRefusedByName() throws Exception {
    model();
    Map<String, String> none = Map.of();
    refused(
        "x: expected [B, T, I=3], each at least 1, got (5, 3)",
        none,
        m -> new NDList(m.create(new float[15], new Shape(5, 3))));
    refused(
        "x: expected the shape (2, 5, 3), got (2, 5, 4)",
        none,
        m -> new NDList(m.create(new float[40], new Shape(2, 5, 4))));
    refused(
        "x: expected float32, got float64",
        none,
        m -> new NDList(m.create(new double[15], new Shape(1, 5, 3))));
    refused(
        "lengths: expected the shape (2), got (3)", none, m -> x(m, m.create(new int[] {1, 2, 3})));
    refused("lengths", none, m -> x(m, m.create(new int[] {5, 6})));
    refused(
        "lengths: expected int32 or int64, got float32",
        none,
        m -> x(m, m.create(new float[] {5, 5})));
    refused(
        "lengths: expected values below 2^31, got 4294967297",
        none,
        m -> x(m, m.create(new long[] {1, (1L << 32) + 1})));
    refused(
        "h0: expected the shape (2, 2, 8), got (2, 8)",
        none,
        m -> x(m, m.create(new int[] {5, 5}), m.create(new float[16], new Shape(2, 8))));
    refused(
        "inputs: expected some of [x, lengths, h0, c0], each once, all or none with a name, got z",
        none,
        m -> new NDList(named(m.create(new float[15], new Shape(1, 5, 3)), "z")));
    refused(
        "inputs: expected x, got [lengths]",
        none,
        m -> new NDList(named(m.create(new int[] {5}), "lengths")));
    refused(
        "steps: expected at most 4, the option maxSteps, got 5",
        Map.of("maxSteps", "4"),
        m -> x(m));
    refused(
        "batch: expected at most 1, the option maxBatch, got 2",
        Map.of("maxBatch", "1"),
        m -> x(m));
  }
}
