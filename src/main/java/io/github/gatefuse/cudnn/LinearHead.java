// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * The linear head and its log-softmax, on the host: sums in float64, results in float32. Simple
 * before fast. Immutable and thread-safe.
 */
final class LinearHead {
  private final int inputs;
  private final int outputs;
  private final float[] weight;
  private final float[] bias;

  LinearHead(RnnSpec spec, Weights weights) {
    inputs = spec.outputSize();
    outputs = spec.outputs();
    weight = weights.floats(RnnSpec.HEAD_WEIGHT);
    bias = weights.has(RnnSpec.HEAD_BIAS) ? weights.floats(RnnSpec.HEAD_BIAS) : new float[outputs];
  }

  long bytes() {
    return Float.BYTES * ((long) weight.length + bias.length);
  }

  /** A place to compute row by row. */
  Rows rows() {
    return new Rows();
  }

  /** The outputs of one row at a time. One thread at a time. */
  final class Rows {
    private final float[] hidden = new float[inputs];
    private final float[] logits = new float[outputs];
    private boolean valid;
    private double logSum;

    private Rows() {}

    /**
     * Computes a row.
     *
     * @param valid false past a sequence's end, where all outputs are 0
     * @param y hidden states [rows, D*H]
     * @param row which of them
     */
    void compute(boolean valid, FloatBuffer y, int row) {
      this.valid = valid;
      if (valid) {
        y.get(row * inputs, hidden);
        for (int o = 0; o < outputs; o++) {
          logits[o] = (float) (bias[o] + product(o * inputs));
        }
        logSum = logSum();
      }
    }

    private double product(int start) {
      double sum = 0;
      for (int i = 0; i < inputs; i++) {
        sum += (double) weight[start + i] * hidden[i];
      }
      return sum;
    }

    /** log Σ exp(x), without overflow. */
    private double logSum() {
      double largest = logits[0];
      for (float logit : logits) {
        largest = Math.max(largest, logit);
      }
      double sum = 0;
      for (float logit : logits) {
        sum += Math.exp(logit - largest);
      }
      return largest + Math.log(sum);
    }

    /** Writes the logits to [rows, O]; null for nowhere, as in what follows. */
    void writeLogits(FloatBuffer out, int row) {
      for (int o = 0; out != null && o < outputs; o++) {
        out.put(row * outputs + o, valid ? logits[o] : 0);
      }
    }

    /** Writes the log-softmax to [rows, O]. */
    void writeLogProbabilities(FloatBuffer out, int row) {
      for (int o = 0; out != null && o < outputs; o++) {
        out.put(row * outputs + o, valid ? (float) (logits[o] - logSum) : 0);
      }
    }

    /** Writes the target's log-softmax to [rows]. */
    void writeTarget(IntBuffer targets, FloatBuffer out, int row) {
      if (out != null) {
        out.put(row, valid ? (float) (logits[targets.get(row)] - logSum) : 0);
      }
    }
  }
}
