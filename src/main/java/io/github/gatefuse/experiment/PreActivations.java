// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;

/** W x + b + R h + b' of the first layer. Not thread-safe. */
final class PreActivations {
  private final RnnSpec spec;
  private final float[] inputWeights;
  private final float[] hiddenWeights;
  private final float[] bias;
  private final double[] out;

  PreActivations(RnnSpec spec, Weights weights) {
    this.spec = spec;
    inputWeights = weights.floats("weight_ih_l0");
    hiddenWeights = weights.floats("weight_hh_l0");
    bias = new float[spec.rows()];
    add(weights, "bias_ih_l0");
    add(weights, "bias_hh_l0");
    out = new double[spec.rows()];
  }

  private void add(Weights weights, String name) {
    if (weights.has(name)) {
      float[] values = weights.floats(name);
      for (int i = 0; i < bias.length; i++) {
        bias[i] += values[i];
      }
    }
  }

  /**
   * Those of one step of one sequence that began from zeros.
   *
   * @param x the inputs [T, B, I]
   * @param y the hidden states [T, B, H]
   * @param place t * B + b
   * @return one for each row, valid until the next call
   */
  double[] of(float[] x, float[] y, int place, int sequences) {
    int inputs = spec.inputSize();
    int units = spec.hiddenSize();
    for (int row = 0; row < out.length; row++) {
      double sum = bias[row];
      for (int i = 0; i < inputs; i++) {
        sum += (double) inputWeights[row * inputs + i] * x[place * inputs + i];
      }
      // The hidden state of the step before lies B places before; there is none at the first step.
      int before = (place - sequences) * units;
      for (int j = 0; before >= 0 && j < units; j++) {
        sum += (double) hiddenWeights[row * units + j] * y[before + j];
      }
      out[row] = sum;
    }
    return out;
  }
}
