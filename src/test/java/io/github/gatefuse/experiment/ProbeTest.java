// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.Weights;
import io.github.gatefuse.tasks.AddingTask;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.Loss;
import java.util.Random;
import org.junit.jupiter.api.Test;

class ProbeTest {
  private static final int T = 6;
  private static final int B = 3;

  private static Batch adding() {
    return new AddingTask(T).sample(B);
  }

  /** With no weights but biases a gate is its bias's sigmoid. */
  @Test
  void gatesOfBiasesAloneAreTheirSigmoids() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_TIED, 2, 2).withOutputs(1);
    Weights.Builder weights = Weights.builder();
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      float[] values = new float[(int) parameter.count()];
      if (parameter.name().startsWith("bias_")) {
        values[0] = 1;
        values[1] = -2;
      }
      weights.add(parameter.name(), values, parameter.shape());
    }
    Insight insight =
        new Probe(adding(), RnnOptions.DEFAULT, Regularization.NONE).look(spec, weights.build());
    assertEquals(T * B * 2, insight.gates().length);
    for (int i = 0; i < insight.gates().length; i += 2) {
      assertEquals(1 / (1 + Math.exp(-2)), insight.gates()[i], 1e-6);
      assertEquals(1 / (1 + Math.exp(4)), insight.gates()[i + 1], 1e-6);
      assertEquals(1, insight.gates()[i] + insight.complements()[i], 1e-6);
    }
  }

  /** The kept share of the memory, seen from outside: in a GRU h = g h' + (1-g) u, u in (-1, 1). */
  @Test
  void preActivationsAreThoseOfTheNetwork() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 2, 4);
    Weights weights = WeightInit.uniform().weights(spec, 3);
    float[] x = new float[T * B * 2];
    Random random = new Random(1);
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
    try (Rnn rnn = Rnn.create(spec, weights);
        Session session = rnn.session(T, B)) {
      float[] y = session.forward(T, B, x);
      double[][] c = new double[B][4];
      PreActivations all = new PreActivations(spec, weights);
      for (int t = 0; t < T; t++) {
        for (int b = 0; b < B; b++) {
          double[] a = all.of(x, y, t * B + b, B);
          for (int j = 0; j < 4; j++) {
            c[b][j] = sigmoid(a[4 + j]) * c[b][j] + sigmoid(a[j]) * Math.tanh(a[8 + j]);
            double h = sigmoid(a[12 + j]) * Math.tanh(c[b][j]);
            assertEquals(h, y[(t * B + b) * 4 + j], 1e-6);
          }
        }
      }
    }
  }

  private static double sigmoid(double a) {
    return 1 / (1 + Math.exp(-a));
  }

  /** The gradient by one input, by differences, against the probe's. */
  @Test
  void theGradientByDistanceIsThatOfTheLoss() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 2, 4).withOutputs(1);
    Weights weights = WeightInit.uniform().weights(spec, 3);
    Batch batch = new AddingTask(T).sample(1);
    Insight insight = new Probe(batch, RnnOptions.DEFAULT, Regularization.NONE).look(spec, weights);
    for (int t = 0; t < T; t++) {
      double squares = 0;
      for (int i = 0; i < 2; i++) {
        double slope =
            (loss(spec, weights, batch, 2 * t + i, 1e-2f)
                    - loss(spec, weights, batch, 2 * t + i, -1e-2f))
                / 2e-2;
        squares += slope * slope;
      }
      double expected = Math.sqrt(squares);
      assertEquals(expected, insight.gradientByDistance()[T - 1 - t], 1e-3 * expected + 1e-5);
    }
  }

  private static double loss(
      RnnSpec spec, Weights weights, Batch batch, int place, float difference) {
    float[] x = batch.inputs().clone();
    x[place] += difference;
    float[] head = weights.floats(RnnSpec.HEAD_WEIGHT);
    float[] bias = weights.floats(RnnSpec.HEAD_BIAS);
    try (Rnn rnn = Rnn.create(spec, weights);
        Session session = rnn.session(T, 1)) {
      float[] y = session.forward(T, 1, x);
      float[] logits = new float[T];
      logits[T - 1] = bias[0];
      for (int j = 0; j < 4; j++) {
        logits[T - 1] += head[j] * y[(T - 1) * 4 + j];
      }
      return Loss.MEAN_SQUARED_ERROR.evaluate(batch, 1, logits, null).loss();
    }
  }

  @Test
  void tokensHaveGradientsToo() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 3, 4).withVocabulary(5).withOutputs(5);
    Weights weights = WeightInit.standard(0).weights(spec, 3);
    Batch batch =
        Batch.of(3, 2, new int[] {0, 1, 2, 3, 4, 0}, new int[] {0, 1, 2, 3, 4, 0})
            .withLengths(new int[] {3, 2});
    Insight insight = new Probe(batch, RnnOptions.DEFAULT, Regularization.NONE).look(spec, weights);
    assertEquals(3, insight.gradientByDistance().length);
    assertTrue(insight.gradientByDistance()[2] > 0);
    assertEquals(5 * 4, insight.gates().length);
  }

  /** With a rate of 0.9 a step's input moves the hidden state a tenth as far. */
  @Test
  void zoneoutIsPartOfTheNetwork() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 2, 4).withOutputs(1);
    Weights weights = WeightInit.uniform().weights(spec, 3);
    Insight plain =
        new Probe(adding(), RnnOptions.DEFAULT, Regularization.NONE).look(spec, weights);
    Insight zoned =
        new Probe(adding(), RnnOptions.DEFAULT, Regularization.NONE.withZoneout(0.9, 0))
            .look(spec, weights);
    assertTrue(zoned.gradientByDistance()[0] < 0.5 * plain.gradientByDistance()[0]);
  }
}
