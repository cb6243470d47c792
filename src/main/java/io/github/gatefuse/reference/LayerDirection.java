// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * One layer in one direction: its parameters, and the way through its sequences. Immutable and
 * thread-safe.
 */
final class LayerDirection {
  private final RnnSpec spec;
  private final Rounding rounding;
  private final boolean reverse;
  private final CellMath cell;
  private final Matrix weightIh;
  private final Matrix weightHh;
  private final double[] biasIh;
  private final double[] biasHh;

  LayerDirection(RnnSpec spec, int layer, int direction, Weights weights, Rounding rounding) {
    this.spec = spec;
    this.rounding = rounding;
    reverse = direction == 1;
    cell = CellMath.of(spec.cell());
    String suffix = RnnSpec.suffix(layer, direction);
    weightIh = matrix(weights, "weight_ih" + suffix);
    weightHh = matrix(weights, "weight_hh" + suffix);
    biasIh = bias(weights, "bias_ih" + suffix);
    biasHh = bias(weights, "bias_hh" + suffix);
  }

  private Matrix matrix(Weights weights, String name) {
    return new Matrix(spec.rows(), rounding.roundOperands(weights.doubles(name)));
  }

  private double[] bias(Weights weights, String name) {
    return weights.has(name)
        ? rounding.roundValues(weights.doubles(name))
        : new double[spec.rows()];
  }

  /** Bytes of the parameters. */
  long bytes() {
    return Double.BYTES * (weightIh.count() + weightHh.count() + biasIh.length + biasHh.length);
  }

  /**
   * Takes all sequences through, from the first step to the last, or in reverse from each one's own
   * last to its first.
   *
   * <p>The sequences go side by side only so that a weight read from memory serves them all; none
   * sees another.
   *
   * @param sequences one for each, longest first; h and c hold the initial state on entry and the
   *     final one on return
   * @param x the input of all [T, B, inputs]; not read past a sequence's end
   * @param y the output of all [T, B, D*H]; not written past a sequence's end
   * @param unit where this direction's units start in a row of y
   * @param followed the y of another implementation, whose h each step but the first begins with;
   *     null for none
   */
  void run(Step[] sequences, double[] x, double[] y, int unit, double[] followed) {
    Products input = new Products(weightIh, sequences, s -> s.x, s -> s.input);
    Products recurrent = new Products(weightHh, sequences, s -> s.hRead, s -> s.recurrent);
    Products second = new Products(weightHh, sequences, s -> s.gated, s -> s.recurrent);
    int batch = sequences.length;
    int active = batch;
    for (int n = 0; n < sequences[0].length; n++) {
      while (sequences[active - 1].length <= n) {
        active--;
      }
      for (int i = 0; i < active; i++) {
        Step s = sequences[i];
        if (followed != null && n > 0) {
          int at = row(s, n - 1, batch) * spec.outputSize() + unit;
          System.arraycopy(followed, at, s.h, 0, s.h.length);
        }
        begin(s, x, row(s, n, batch));
      }
      input.add(active, 0, spec.rows());
      preactivations(sequences, active, recurrent, second);
      for (int i = 0; i < active; i++) {
        Step s = sequences[i];
        pointwise(s);
        int at = row(s, n, batch) * spec.outputSize() + unit;
        System.arraycopy(s.h, 0, y, at, s.h.length);
      }
    }
  }

  /** The products of one matrix with a vector of each sequence. */
  private record Products(Matrix matrix, double[][] from, double[][] to) {
    Products(
        Matrix matrix,
        Step[] sequences,
        Function<Step, double[]> from,
        Function<Step, double[]> to) {
      this(matrix, each(sequences, from), each(sequences, to));
    }

    private static double[][] each(Step[] sequences, Function<Step, double[]> vector) {
      return Stream.of(sequences).map(vector).toArray(double[][]::new);
    }

    void add(int active, int first, int end) {
      matrix.addProducts(from, to, active, first, end);
    }
  }

  /** The row [t, b] of a sequence's n-th step in its direction. */
  private int row(Step s, int n, int batch) {
    int t = reverse ? s.length - 1 - n : n;
    return t * batch + s.sequence;
  }

  private void begin(Step s, double[] x, int row) {
    rounding.copyOperands(x, row * s.x.length, s.x);
    rounding.copyOperands(s.h, 0, s.hRead);
    System.arraycopy(biasIh, 0, s.input, 0, biasIh.length);
    System.arraycopy(biasHh, 0, s.recurrent, 0, biasHh.length);
  }

  /**
   * Everything that needs a product with R, from W x + b in {@code input} and b' in {@code
   * recurrent}.
   */
  private void preactivations(Step[] sequences, int active, Products recurrent, Products second) {
    int rows = spec.rows();
    int block = cell.secondProduct();
    int first = block == CellMath.NONE ? rows : sequences[0].start(block);
    int end = block == CellMath.NONE ? rows : sequences[0].start(block + 1);
    recurrent.add(active, 0, first);
    recurrent.add(active, end, rows);
    for (int i = 0; i < active; i++) {
      Step s = sequences[i];
      s.addUp(0, first);
      s.addUp(end, rows);
      for (int j = 0; j < s.h.length && first < end; j++) {
        s.gated[j] = rounding.operand(cell.gated(s, j));
      }
    }
    second.add(active, first, end);
    for (int i = 0; i < active; i++) {
      sequences[i].addUp(first, end);
    }
  }

  private void pointwise(Step s) {
    if (cell.apart() != CellMath.NONE) {
      s.keepApart(cell.apart());
    }
    s.scan();
    for (int j = 0; j < s.h.length; j++) {
      cell.forward(s, j);
    }
  }
}
