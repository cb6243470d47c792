// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.util.Arrays;
import java.util.function.Function;

/**
 * One layer in one direction: its parameters, and the way through its sequences. Immutable and
 * thread-safe.
 */
final class LayerDirection {
  private final RnnSpec spec;
  private final Rounding rounding;
  private final int slot;
  private final boolean reverse;
  private final CellMath cell;
  private final Matrix weightIh;
  private final Matrix weightHh;
  private final double[] biasIh;
  private final double[] biasHh;

  LayerDirection(RnnSpec spec, int layer, int direction, Weights weights, Rounding rounding) {
    this.spec = spec;
    this.rounding = rounding;
    slot = layer * spec.directions() + direction;
    reverse = direction == 1;
    cell = CellMath.of(spec.cell());
    String suffix = RnnSpec.suffix(layer, direction);
    weightIh = matrix(weights, "weight_ih" + suffix);
    weightHh = matrix(weights, "weight_hh" + suffix);
    biasIh = bias(weights, "bias_ih" + suffix);
    biasHh = bias(weights, "bias_hh" + suffix);
  }

  private Matrix matrix(Weights weights, String name) {
    double[] values = weights.doubles(name);
    return new Matrix(spec.rows(), rounding.roundOperands(values, values.length / spec.rows()));
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
   * @param kept receives every step of each sequence, for the way back; null for none
   * @param masks what is done to the steps
   */
  void run(
      Step[] sequences,
      double[] x,
      double[] y,
      int unit,
      double[] followed,
      Step[][] kept,
      Masks masks) {
    int batch = sequences.length;
    Products input = Products.of(weightIh, sequences, s -> s.x, s -> s.input);
    Products recurrent = Products.of(weightHh, sequences, s -> s.hRead, s -> s.recurrent);
    Products second = Products.of(weightHh, sequences, s -> s.gated, s -> s.recurrent);
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
        s.masks = masks.step(slot, time(s, n), s.sequence, s.h.length);
      }
      input.add(active, 0, spec.rows());
      preactivations(sequences, active, recurrent, second);
      for (int i = 0; i < active; i++) {
        Step s = sequences[i];
        pointwise(s);
        int at = row(s, n, batch) * spec.outputSize() + unit;
        System.arraycopy(s.leftH, 0, y, at, s.leftH.length);
        if (kept != null) {
          kept[i][n] = s.copy();
        }
        s.advance();
      }
    }
  }

  /** The products of one matrix with a vector of each sequence. */
  private record Products(Matrix matrix, double[][] from, double[][] to) {
    static Products of(
        Matrix matrix,
        Step[] sequences,
        Function<Step, double[]> from,
        Function<Step, double[]> to) {
      return new Products(matrix, each(sequences, from), each(sequences, to));
    }

    void add(int active, int first, int end) {
      matrix.addProducts(from, to, active, first, end);
    }
  }

  private static <S> double[][] each(S[] sequences, Function<S, double[]> vector) {
    return Arrays.stream(sequences).map(vector).toArray(double[][]::new);
  }

  /** The row [t, b] of a sequence's n-th step in its direction. */
  private int row(Step s, int n, int batch) {
    return time(s, n) * batch + s.sequence;
  }

  private int time(Step s, int n) {
    return reverse ? s.length - 1 - n : n;
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
    int first = secondProduct(sequences[0], 0);
    int end = secondProduct(sequences[0], 1);
    recurrent.add(active, 0, first);
    recurrent.add(active, end, rows);
    for (int i = 0; i < active; i++) {
      Step s = sequences[i];
      s.addUp(0, first);
      s.addUp(end, rows);
      for (int j = 0; j < s.h.length && first < end; j++) {
        s.gated[j] = cell.gated(s, j);
      }
      rounding.copyOperands(s.gated, 0, s.gated);
    }
    second.add(active, first, end);
    for (int i = 0; i < active; i++) {
      sequences[i].addUp(first, end);
    }
  }

  /**
   * Where the rows of the second product begin, or with 1 end; without one all rows come before.
   */
  private int secondProduct(Step s, int end) {
    int block = cell.secondProduct();
    return block == CellMath.NONE ? spec.rows() : s.start(block + end);
  }

  private void pointwise(Step s) {
    if (cell.apart() != CellMath.NONE) {
      s.keepApart(cell.apart());
    }
    s.scan();
    for (int j = 0; j < s.h.length; j++) {
      cell.forward(s, j);
    }
    s.leave();
  }

  /** The gradient by the parameters, growing. */
  record Gradient(Matrix weightIh, Matrix weightHh, double[] biasIh, double[] biasHh) {}

  /**
   * Takes the gradients of all sequences back, from the last step to the first of the way that
   * {@link #run} went.
   *
   * @param kept every step of each sequence, longest first
   * @param sequences one for each; dh and dc hold the gradient by the final state on entry and that
   *     by the initial one on return
   * @param dy the gradient by the output of all [T, B, D*H]; not read past a sequence's end
   * @param dx the gradient by the input of all [T, B, inputs], added to; not past a sequence's end
   * @param unit where this direction's units start in a row of dy
   */
  Gradient backward(Step[][] kept, StepGradient[] sequences, double[] dy, double[] dx, int unit) {
    Gradient sum =
        new Gradient(
            weightIh.zeros(), weightHh.zeros(), new double[spec.rows()], new double[spec.rows()]);
    int batch = sequences.length;
    int active = 0;
    for (int n = kept[0].length - 1; n >= 0; n--) {
      while (active < batch && kept[active].length > n) {
        active++;
      }
      Step[] steps = new Step[active];
      for (int i = 0; i < active; i++) {
        steps[i] = kept[i][n];
        sequences[i].begin(dy, row(steps[i], n, batch) * spec.outputSize() + unit);
      }
      StepGradient[] gradients = Arrays.copyOf(sequences, active);
      stepBack(steps, gradients, sum);
      for (int i = 0; i < active; i++) {
        gradients[i].addInput(dx, row(steps[i], n, batch));
        gradients[i].retreat();
      }
    }
    return sum;
  }

  /** One step of some sequences. */
  private void stepBack(Step[] steps, StepGradient[] gradients, Gradient sum) {
    int active = steps.length;
    int rows = spec.rows();
    int first = secondProduct(steps[0], 0);
    int end = secondProduct(steps[0], 1);
    double[][] da = each(gradients, d -> d.daRead);
    double[][] daRecurrent = each(gradients, d -> d.daRecurrentRead);
    for (int i = 0; i < active; i++) {
      pointwiseBack(steps[i], gradients[i]);
    }
    if (first < end) {
      double[][] dGated = each(gradients, d -> d.dGated);
      weightHh.addTransposedProducts(daRecurrent, dGated, active, first, end);
      sum.weightHh.addOuterProducts(daRecurrent, each(steps, s -> s.gated), active, first, end);
      for (int i = 0; i < active; i++) {
        gatedBack(steps[i], gradients[i]);
      }
    }
    weightIh.addTransposedProducts(da, each(gradients, d -> d.dx), active, 0, rows);
    sum.weightIh.addOuterProducts(da, each(steps, s -> s.x), active, 0, rows);
    double[][] dh = each(gradients, d -> d.dhFound);
    weightHh.addTransposedProducts(daRecurrent, dh, active, 0, first);
    weightHh.addTransposedProducts(daRecurrent, dh, active, end, rows);
    double[][] h = each(steps, s -> s.hRead);
    sum.weightHh.addOuterProducts(daRecurrent, h, active, 0, first);
    sum.weightHh.addOuterProducts(daRecurrent, h, active, end, rows);
    for (StepGradient d : gradients) {
      for (int row = 0; row < rows; row++) {
        sum.biasIh[row] += d.da[row];
        sum.biasHh[row] += d.daRecurrent[row];
      }
    }
  }

  private void pointwiseBack(Step s, StepGradient d) {
    d.zoneOut(s);
    for (int j = 0; j < s.h.length; j++) {
      cell.backward(s, d, j);
    }
    d.addPast(s);
    d.scan(s);
    d.readByProducts();
  }

  private void gatedBack(Step s, StepGradient d) {
    for (int j = 0; j < s.h.length; j++) {
      cell.gatedBackward(s, d, j, rounding.value(d.dGated[j]));
    }
    d.readByProducts();
  }
}
