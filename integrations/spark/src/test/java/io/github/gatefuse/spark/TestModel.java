// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.io.SafetensorsWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.apache.spark.sql.SparkSession;

/** Networks of numbers, sequences for them, and their scores without Spark. */
final class TestModel {
  static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 3, 17).withLayers(2).withOutputs(4);

  /** A network is run with the zoneout that it was trained with. */
  static final Regularization ZONEOUT = Regularization.NONE.withZoneout(0.3, 0.1);

  private static SparkSession spark;

  private TestModel() {}

  /** One of two threads for all tests of the process. */
  static synchronized SparkSession spark() {
    if (spark == null) {
      spark =
          SparkSession.builder()
              .master("local[2]")
              .config("spark.ui.enabled", "false")
              .config("spark.sql.shuffle.partitions", "2")
              .config("spark.driver.host", "localhost")
              .getOrCreate();
    }
    return spark;
  }

  static String write(Path folder) throws IOException {
    Path file = folder.resolve("model.safetensors");
    SafetensorsWriter.create()
        .add("rnn.", WeightInit.uniform().weights(SPEC, 5))
        .metadata("cell", SPEC.cell().id())
        .metadata("zoneout_h", "0.3")
        .metadata("zoneout_c", "0.1")
        .write(file);
    return file.toString();
  }

  /** The number-th sequence, [T, I], of 1 to 40 steps. */
  static float[] sequence(int number) {
    Random random = new Random(number);
    float[] x = new float[(1 + random.nextInt(40)) * SPEC.inputSize()];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    return x;
  }

  /** The last step's hidden units of the number-th sequence, run alone. */
  static float[] lastHidden(int number) {
    float[] x = sequence(number);
    int steps = x.length / SPEC.inputSize();
    try (Rnn rnn = Rnn.create(SPEC, WeightInit.uniform().weights(SPEC, 5));
        Session session = rnn.session(SessionOptions.of(steps, 1).withRegularization(ZONEOUT))) {
      float[] y = session.forward(steps, 1, x);
      return Arrays.copyOfRange(y, y.length - SPEC.outputSize(), y.length);
    }
  }
}
