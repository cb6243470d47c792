// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Weights;
import java.util.Arrays;

/**
 * The weights of a refine LSTM as a framework's operators need them for the fewest operations a
 * step. The rows are candidate, refine, forget, output, and those of the refine gate are halved:
 * since tanh(x/2) = 2 r - 1 = s, one tanh serves candidate and refine gate, one sigmoid the other
 * two, and g = r (1 - (1-f)²) + (1-r) f² is f + f (1-f) s. Immutable, as long as nobody writes to
 * its arrays.
 *
 * @param input [4H, I]
 * @param recurrent [4H, H]
 * @param bias [4H], of both products
 */
record RefineForm(float[] input, float[] recurrent, float[] bias) {
  static RefineForm of(Shape shape) {
    Weights weights = shape.weights(Cell.LSTM_REFINE);
    float[] bias = weights.floats("bias_ih_l0").clone();
    float[] more = weights.floats("bias_hh_l0");
    for (int i = 0; i < bias.length; i++) {
      bias[i] += more[i];
    }
    return new RefineForm(
        arranged(weights.floats("weight_ih_l0")),
        arranged(weights.floats("weight_hh_l0")),
        arranged(bias));
  }

  /** From refine, forget, candidate, output. */
  private static float[] arranged(float[] rows) {
    int block = rows.length / 4;
    float[] out = Arrays.copyOf(rows, rows.length);
    System.arraycopy(rows, 2 * block, out, 0, block);
    System.arraycopy(rows, block, out, 2 * block, block);
    for (int i = 0; i < block; i++) {
      out[block + i] = rows[i] / 2;
    }
    return out;
  }
}
