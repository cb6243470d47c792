// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.reference.ReferenceNetwork.Cotangents;
import io.github.gatefuse.reference.ReferenceNetwork.Gradients;
import io.github.gatefuse.reference.ReferenceNetwork.Inputs;
import java.util.HashMap;
import java.util.Map;

/** One way back through all layers of a network. Not thread-safe. */
final class BackwardPass {
  private final RnnSpec spec;
  private final Rounding rounding;
  private final LayerDirection[] slots;
  private final Matrix headWeight;
  private final int[] lengths;
  private final Step[][][] kept;

  /** The gradients by the parameters, as far as they are known. */
  private final Map<String, double[]> parameters = new HashMap<>();

  /**
   * Takes what the way back reads.
   *
   * @param headWeight null for a network without a head
   * @param kept the steps of each slot, longest sequence first
   */
  BackwardPass(
      RnnSpec spec,
      Rounding rounding,
      LayerDirection[] slots,
      Matrix headWeight,
      int[] lengths,
      Step[][][] kept) {
    this.spec = spec;
    this.rounding = rounding;
    this.slots = slots;
    this.headWeight = headWeight;
    this.lengths = lengths;
    this.kept = kept;
  }

  /**
   * Goes from the outputs to the inputs.
   *
   * @param y the output of the last layer
   */
  Gradients run(Inputs in, double[] y, Cotangents cotangents) {
    int batch = in.batch();
    double[] dh = state(cotangents.dhn(), batch);
    double[] dc = state(cotangents.dcn(), batch);
    double[] gradient = output(in, y, cotangents);
    for (int layer = spec.layers() - 1; layer >= 0; layer--) {
      gradient = layer(layer, in, gradient, dh, dc);
      if (layer > 0) {
        gradient = in.masks().dropped(spec, rounding, layer - 1, gradient, batch, lengths);
      }
    }
    boolean tokens = spec.vocabulary() > 0;
    if (tokens) {
      embedding(in, gradient);
    }
    boolean cell = spec.cell().hasCellState();
    return new Gradients(tokens ? null : gradient, dh, cell ? dc : null, weights());
  }

  private double[] state(double[] given, int batch) {
    return given == null
        ? new double[spec.slots() * batch * spec.hiddenSize()]
        : rounding.roundValues(given.clone());
  }

  private boolean valid(int row, int batch) {
    return row / batch < lengths[row % batch];
  }

  /** The gradient by y: what is given and what comes back through the head. */
  private double[] output(Inputs in, double[] y, Cotangents cotangents) {
    int width = spec.outputSize();
    int rows = in.steps() * in.batch();
    double[] dy = new double[rows * width];
    for (int row = 0; row < rows; row++) {
      if (cotangents.dy() != null && valid(row, in.batch())) {
        System.arraycopy(cotangents.dy(), row * width, dy, row * width, width);
      }
    }
    rounding.roundValues(dy);
    if (headWeight != null) {
      head(in, y, cotangents.dlogits(), dy);
    }
    return dy;
  }

  /** Adds to dy what comes back through the head, and keeps the gradient by its parameters. */
  private void head(Inputs in, double[] y, double[] dlogits, double[] dy) {
    int width = spec.outputSize();
    int outputs = spec.outputs();
    Matrix dWeight = headWeight.zeros();
    double[] dBias = new double[outputs];
    double[][] hidden = {new double[width]};
    double[][] read = {new double[outputs]};
    for (int row = 0; dlogits != null && row < in.steps() * in.batch(); row++) {
      if (!valid(row, in.batch())) {
        continue;
      }
      for (int o = 0; o < outputs; o++) {
        dBias[o] += rounding.value(dlogits[row * outputs + o]);
      }
      rounding.copyOperands(dlogits, row * outputs, read[0]);
      rounding.copyOperands(y, row * width, hidden[0]);
      dWeight.addOuterProducts(read, hidden, 1, 0, outputs);
      double[][] sum = {new double[width]};
      headWeight.addTransposedProducts(read, sum, 1, 0, outputs);
      for (int k = 0; k < width; k++) {
        dy[row * width + k] = rounding.value(dy[row * width + k] + sum[0][k]);
      }
    }
    parameters.put(RnnSpec.HEAD_WEIGHT, dWeight.values());
    parameters.put(RnnSpec.HEAD_BIAS, dBias);
  }

  /** One layer in its directions; dh and dc go from the final to the initial state, in place. */
  private double[] layer(int layer, Inputs in, double[] dy, double[] dh, double[] dc) {
    int batch = in.batch();
    int hidden = spec.hiddenSize();
    int inputs = layer == 0 ? spec.inputSize() : spec.outputSize();
    double[] dx = new double[in.steps() * batch * inputs];
    for (int direction = 0; direction < spec.directions(); direction++) {
      int slot = layer * spec.directions() + direction;
      StepGradient[] sequences = new StepGradient[batch];
      for (int i = 0; i < batch; i++) {
        int at = (slot * batch + kept[slot][i][0].sequence) * hidden;
        sequences[i] = new StepGradient(spec, inputs, rounding);
        System.arraycopy(dh, at, sequences[i].dh, 0, hidden);
        System.arraycopy(dc, at, sequences[i].dc, 0, hidden);
      }
      keep(
          RnnSpec.suffix(layer, direction),
          slots[slot].backward(kept[slot], sequences, dy, dx, direction * hidden));
      for (int i = 0; i < batch; i++) {
        int at = (slot * batch + kept[slot][i][0].sequence) * hidden;
        System.arraycopy(sequences[i].dh, 0, dh, at, hidden);
        System.arraycopy(sequences[i].dc, 0, dc, at, hidden);
      }
    }
    return rounding.roundValues(dx);
  }

  private void keep(String suffix, LayerDirection.Gradient gradient) {
    parameters.put("weight_ih" + suffix, gradient.weightIh().values());
    parameters.put("weight_hh" + suffix, gradient.weightHh().values());
    parameters.put("bias_ih" + suffix, gradient.biasIh());
    parameters.put("bias_hh" + suffix, gradient.biasHh());
  }

  /** Every step adds to the row of its token. */
  private void embedding(Inputs in, double[] dx) {
    int width = spec.inputSize();
    double[] rows = new double[spec.vocabulary() * width];
    for (int row = 0; row < in.steps() * in.batch(); row++) {
      if (valid(row, in.batch())) {
        for (int k = 0; k < width; k++) {
          rows[in.tokens()[row] * width + k] += dx[row * width + k];
        }
      }
    }
    parameters.put(RnnSpec.EMBEDDING, rows);
  }

  private Weights weights() {
    Weights.Builder builder = Weights.builder();
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      double[] values = rounding.roundValues(parameters.get(parameter.name()));
      builder.add(parameter.name(), values, parameter.shape());
    }
    return builder.build();
  }
}
