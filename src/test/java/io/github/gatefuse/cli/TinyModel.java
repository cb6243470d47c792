// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Byte models with random weights, small enough that tests run fast on every backend. */
final class TinyModel {
  static final RnnSpec SPEC =
      RnnSpec.of(Cell.LSTM_REFINE, 3, 5).withLayers(2).withVocabulary(256).withOutputs(256);

  private TinyModel() {}

  static Weights weights(RnnSpec spec) {
    Random random = new Random(7);
    Weights.Builder weights = Weights.builder();
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      float[] values = new float[(int) parameter.count()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      weights.add(parameter.name(), values, parameter.shape());
    }
    return weights.build();
  }

  /** Writes {@link #SPEC} with the cell in the metadata. */
  static Path write(Path folder) {
    return write(folder.resolve("tiny.safetensors"), SPEC, Map.of("cell", SPEC.cell().id()));
  }

  /** Writes random weights as safetensors, the recurrent parameters under {@code rnn.}. */
  static Path write(Path file, RnnSpec spec, Map<String, String> metadata) {
    Weights weights = weights(spec);
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    Map<String, Object> header = new LinkedHashMap<>();
    header.put("__metadata__", metadata);
    for (String name : weights.names()) {
      int begin = data.size();
      float[] values = weights.floats(name);
      ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
      bytes.asFloatBuffer().put(values);
      data.writeBytes(bytes.array());
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("dtype", "F32");
      entry.put("shape", Arrays.stream(weights.shape(name)).boxed().toList());
      entry.put("data_offsets", List.of(begin, data.size()));
      header.put(name.contains("_l") ? "rnn." + name : name, entry);
    }
    byte[] json = Json.of(header).getBytes(StandardCharsets.UTF_8);
    try (DataOutputStream out = new DataOutputStream(Files.newOutputStream(file))) {
      out.writeLong(Long.reverseBytes(json.length));
      out.write(json);
      data.writeTo(out);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return file;
  }
}
