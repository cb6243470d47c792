// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.ndarray.NDList;
import ai.djl.repository.zoo.Criteria;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.Translator;
import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.SafetensorsWriter;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;

/** Small models of known weights, and what tests do with them. */
final class Models {
  static final RnnSpec LSTM = RnnSpec.of(Cell.LSTM_REFINE, 3, 8).withLayers(2);
  static final RnnSpec GRU = RnnSpec.of(Cell.GRU, 3, 8).withBidirectional(true);
  static final RnnSpec BYTES =
      RnnSpec.of(Cell.LSTM_REFINE, 5, 8).withVocabulary(256).withOutputs(256);

  private Models() {}

  static Weights weights(RnnSpec spec) {
    return WeightInit.uniform().weights(spec, 7);
  }

  static Path write(Path file, RnnSpec spec) {
    SafetensorsWriter.create()
        .metadata("cell", spec.cell().id())
        .add("rnn.", weights(spec))
        .write(file);
    return file;
  }

  static Criteria.Builder<NDList, NDList> criteria(Path path, Map<String, String> options) {
    Criteria.Builder<NDList, NDList> builder =
        Criteria.builder()
            .setTypes(NDList.class, NDList.class)
            .optEngine("GateFuse")
            .optModelPath(path);
    options.forEach(builder::optOption);
    return builder;
  }

  static ZooModel<NDList, NDList> load(Path path, Map<String, String> options) throws Exception {
    return criteria(path, options).build().loadModel();
  }

  static <I, O> ZooModel<I, O> load(
      Path path, Class<I> input, Class<O> output, Translator<I, O> translator, String... option)
      throws Exception {
    Criteria.Builder<I, O> builder =
        Criteria.builder()
            .setTypes(input, output)
            .optEngine("GateFuse")
            .optModelPath(path)
            .optTranslator(translator);
    for (int i = 0; i < option.length; i += 2) {
      builder.optOption(option[i], option[i + 1]);
    }
    return builder.build().loadModel();
  }

  static float[] values(int count, long seed) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  static FloatBuffer direct(float... values) {
    return direct(values.length).put(0, values);
  }

  static FloatBuffer direct(int count) {
    return ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  static float[] array(FloatBuffer buffer) {
    float[] values = new float[buffer.capacity()];
    buffer.get(0, values);
    return values;
  }
}
