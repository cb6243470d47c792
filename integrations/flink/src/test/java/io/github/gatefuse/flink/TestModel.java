// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.io.SafetensorsWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.java.tuple.Tuple2;

/** A network of two layers, events for it, and their scores without Flink. */
final class TestModel {
  static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 6, 17).withLayers(2);

  /** Key and number. */
  static final TypeInformation<Tuple2<Integer, Long>> EVENT = Types.TUPLE(Types.INT, Types.LONG);

  /** Number and outputs. */
  static final TypeInformation<Tuple2<Long, float[]>> SCORE =
      Types.TUPLE(Types.LONG, Types.PRIMITIVE_ARRAY(Types.FLOAT));

  private static final int KEYS = 97;

  private TestModel() {}

  /** The number-th event; a tenth of all are of one key. */
  static Tuple2<Integer, Long> event(long number) {
    int drawn = new Random(31 * number).nextInt(KEYS * 10);
    return Tuple2.of(drawn < KEYS ? 0 : drawn % KEYS, number);
  }

  static float[] features(Tuple2<Integer, Long> event) {
    Random random = new Random(event.f1);
    float[] x = new float[SPEC.inputSize()];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  static byte[] bytes(RnnSpec spec, long seed) {
    try {
      Path file = Files.createTempFile("test-model", ".safetensors");
      try {
        SafetensorsWriter.create()
            .add("rnn.", WeightInit.uniform().weights(spec, seed))
            .write(file);
        return Files.readAllBytes(file);
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static GateFuseScorer.Builder<Tuple2<Integer, Long>, Tuple2<Long, float[]>> scorer() {
    return GateFuseScorer.<Tuple2<Integer, Long>, Tuple2<Long, float[]>>builder()
        .model(bytes(SPEC, 5), SPEC, "rnn.")
        .features(TestModel::features)
        .result((event, y) -> Tuple2.of(event.f1, y.clone()), SCORE);
  }

  /** The outputs of the first events by their number, each run alone. */
  static Map<Long, float[]> expected(int count) {
    Map<Long, float[]> scores = new HashMap<>();
    Map<Integer, State> states = new HashMap<>();
    FloatBuffer x = floats(SPEC.inputSize());
    FloatBuffer y = floats(SPEC.outputSize());
    try (Rnn rnn = Rnn.create(SPEC, WeightInit.uniform().weights(SPEC, 5));
        Session session = rnn.session(SessionOptions.of(1, 1).withThreads(1))) {
      for (long number = 0; number < count; number++) {
        Tuple2<Integer, Long> event = event(number);
        x.put(0, features(event));
        session.step(x, states.computeIfAbsent(event.f0, key -> session.newState(1)), y);
        float[] outputs = new float[SPEC.outputSize()];
        y.get(0, outputs);
        scores.put(number, outputs);
      }
    }
    return scores;
  }

  private static FloatBuffer floats(int count) {
    return ByteBuffer.allocateDirect(4 * count).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }
}
