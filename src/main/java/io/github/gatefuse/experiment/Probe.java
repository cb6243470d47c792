// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import io.github.gatefuse.Backward;
import io.github.gatefuse.BackwardCall;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Weights;
import io.github.gatefuse.reference.EffectiveGate;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.Loss;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/** Looks into a network of one layer while it reads a batch. Immutable and thread-safe. */
final class Probe {
  /** Steps whose gates are looked at, over all sequences. */
  private static final int PLACES = 400;

  private final Batch batch;
  private final Loss loss;
  private final RnnOptions options;
  private final Regularization regularization;

  /**
   * Makes a probe.
   *
   * @param batch whole sequences
   * @param options what the network runs on
   * @param regularization what it is trained with: zoneout is part of what it computes
   */
  Probe(Batch batch, RnnOptions options, Regularization regularization) {
    this.batch = batch.withLastStepOnly().withContinues(false);
    this.loss = batch.classes() == null ? Loss.MEAN_SQUARED_ERROR : Loss.CROSS_ENTROPY;
    this.options = options;
    this.regularization = regularization;
  }

  /**
   * Looks.
   *
   * @param spec a network of one layer and direction, with a head
   * @param weights its parameters
   */
  Insight look(RnnSpec spec, Weights weights) {
    // Tokens are looked up here, so that their vectors have gradients.
    RnnSpec plain = spec.withVocabulary(0);
    float[] x = batch.inputs() != null ? batch.inputs() : embedded(spec, weights);
    int places = batch.steps() * batch.sequences();
    FloatBuffer input = floats(x.length).put(0, x);
    FloatBuffer output = floats(places * spec.hiddenSize());
    FloatBuffer gradient = floats(x.length);
    try (Rnn rnn = Rnn.create(plain, without(weights, RnnSpec.EMBEDDING), options);
        Session session =
            rnn.session(
                SessionOptions.of(batch.steps(), batch.sequences())
                    .withBackward(Backward.RECOMPUTE)
                    .withRegularization(regularization))) {
      run(session, plain, input, output, gradient);
    }
    Insight gates = gates(plain, weights, x, array(output));
    return new Insight(gates.gates(), gates.complements(), byDistance(spec, array(gradient)));
  }

  /** Forwards, and back from the loss at the last step. */
  private void run(
      Session session, RnnSpec spec, FloatBuffer x, FloatBuffer y, FloatBuffer gradient) {
    int count = batch.steps() * batch.sequences() * spec.outputs();
    FloatBuffer logits = floats(count);
    FloatBuffer byLogits = floats(count);
    ForwardCall forward = session.call().input(x).output(y).logits(logits);
    if (batch.lengths() != null) {
      forward.lengths(ints(batch.lengths()));
    }
    forward.run(batch.steps(), batch.sequences());
    float[] slopes = new float[count];
    loss.evaluate(batch, spec.outputs(), array(logits), slopes);
    BackwardCall backward = session.backward();
    backward.logitsGradient(byLogits.put(0, slopes)).inputGradient(gradient).run();
  }

  private float[] embedded(RnnSpec spec, Weights weights) {
    float[] table = weights.floats(RnnSpec.EMBEDDING);
    int width = spec.inputSize();
    float[] x = new float[batch.tokens().length * width];
    for (int i = 0; i < batch.tokens().length; i++) {
      System.arraycopy(table, batch.tokens()[i] * width, x, i * width, width);
    }
    return x;
  }

  private Insight gates(RnnSpec spec, Weights weights, float[] x, float[] y) {
    int places = batch.steps() * batch.sequences();
    int stride = Math.max(1, places / PLACES);
    // Not in step with the sequences, or some of them would never be looked at.
    while (stride > 1 && gcd(stride, batch.sequences()) != 1) {
      stride++;
    }
    int count = 0;
    for (int place = 0; place < places; place += stride) {
      count += isValid(place) ? 1 : 0;
    }
    int units = spec.hiddenSize();
    float[] gates = new float[count * units];
    float[] complements = new float[count * units];
    EffectiveGate effective = new EffectiveGate(spec);
    PreActivations preActivations = new PreActivations(spec, weights);
    double[] gate = new double[units];
    double[] complement = new double[units];
    int at = 0;
    for (int place = 0; place < places; place += stride) {
      if (!isValid(place)) {
        continue;
      }
      effective.of(preActivations.of(x, y, place, batch.sequences()), gate, complement);
      for (int j = 0; j < units; j++) {
        gates[at] = (float) gate[j];
        complements[at++] = (float) complement[j];
      }
    }
    return new Insight(gates, complements, null);
  }

  private boolean isValid(int place) {
    return place / batch.sequences() < batch.length(place % batch.sequences());
  }

  private static int gcd(int a, int b) {
    return b == 0 ? a : gcd(b, a % b);
  }

  /** The mean over the sequences of the length of the gradient, from the last step backwards. */
  private double[] byDistance(RnnSpec spec, float[] gradient) {
    double[] sum = new double[batch.steps()];
    int[] count = new int[batch.steps()];
    int width = spec.inputSize();
    for (int b = 0; b < batch.sequences(); b++) {
      for (int t = 0; t < batch.length(b); t++) {
        double squares = 0;
        for (int i = 0; i < width; i++) {
          double value = gradient[(t * batch.sequences() + b) * width + i];
          squares += value * value;
        }
        int distance = batch.length(b) - 1 - t;
        sum[distance] += Math.sqrt(squares);
        count[distance]++;
      }
    }
    for (int d = 0; d < sum.length; d++) {
      sum[d] = count[d] == 0 ? Double.NaN : sum[d] / count[d];
    }
    return sum;
  }

  private static Weights without(Weights weights, String name) {
    Weights.Builder out = Weights.builder();
    for (String other : weights.names()) {
      if (!other.equals(name)) {
        out.add(other, weights.floats(other), weights.shape(other));
      }
    }
    return out.build();
  }

  private static FloatBuffer floats(int count) {
    return ByteBuffer.allocateDirect(Math.multiplyExact(4, count))
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }

  private static IntBuffer ints(int[] values) {
    return ByteBuffer.allocateDirect(4 * values.length)
        .order(ByteOrder.nativeOrder())
        .asIntBuffer()
        .put(0, values);
  }

  private static float[] array(FloatBuffer buffer) {
    float[] out = new float[buffer.capacity()];
    buffer.get(0, out);
    return out;
  }
}
