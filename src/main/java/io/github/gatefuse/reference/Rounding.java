// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Precision;
import java.util.Objects;

/**
 * Where the reference rounds, and to what.
 *
 * <p>All arithmetic of the reference is float64, written once. A rounding says what its numbers are
 * rounded to when they would be stored, and only these points round:
 *
 * <ul>
 *   <li>operands of matrix products, as a product reads them: weights and embedding rows when the
 *       network is made; at each step the input of a layer, the hidden state h and the reset state
 *       ρ∘h; the input of the head;
 *   <li>values: biases, the initial states, each pre-activation (once, after its whole sum), each
 *       gate, complement and candidate, each new cell state c and hidden state h as it is carried,
 *       given out and used by a pointwise formula, logits and log-probabilities; with
 *       regularization also each of them again as it is masked, and what a layer gives to the next
 *       one.
 * </ul>
 *
 * <p>On the way back these round as well:
 *
 * <ul>
 *   <li>operands, as a product reads them: the gradient da by a pre-activation, that by the logits;
 *       weights, inputs, h and ρ∘h are those of the forward pass. A product is da R, da W and da x,
 *       da h summed over all steps; a bias sums da as a value;
 *   <li>values: the given gradients; dh and dc of each step, as they are carried and again with
 *       what the step's own output adds; da; the gradient by each cumulative softmax and by ρ∘h;
 *       and each gradient that is given out, once, after its whole sum.
 * </ul>
 *
 * <p>Sums inside a product, and the inside of one formula of one named quantity, do not round. So
 * {@link #FLOAT} is what an ideal float32 implementation gives, and {@link #of} what one with
 * shorter operands gives; real ones differ from it by their own summation and function errors. With
 * values in {@link Format#FLOAT64} only the operands are rounded, which is what an implementation
 * of shorter operands is compared with.
 *
 * <p>Immutable and thread-safe.
 *
 * @param operands what a matrix product reads
 * @param values any other named quantity
 */
public record Rounding(Format operands, Format values) {
  /** Float64 throughout: nothing is rounded. */
  public static final Rounding DOUBLE = new Rounding(Format.FLOAT64, Format.FLOAT64);

  /** Float32 at every point. */
  public static final Rounding FLOAT = new Rounding(Format.FLOAT32, Format.FLOAT32);

  /**
   * Checks that nothing is null.
   *
   * @param operands what a matrix product reads
   * @param values any other named quantity
   */
  public Rounding {
    Objects.requireNonNull(operands, "operands");
    Objects.requireNonNull(values, "values");
  }

  /**
   * What an implementation of a precision rounds: operands to the precision, values to float32.
   *
   * @param precision the precision
   * @return its rounding
   */
  public static Rounding of(Precision precision) {
    return new Rounding(format(precision), Format.FLOAT32);
  }

  /**
   * Only what a precision does to operands, with values that are not rounded: for {@link
   * Precision#FLOAT32} this is {@link #DOUBLE}.
   *
   * @param precision the precision
   * @return what implementations of the precision are compared with
   */
  public static Rounding ideal(Precision precision) {
    return precision == Precision.FLOAT32
        ? DOUBLE
        : new Rounding(format(precision), Format.FLOAT64);
  }

  private static Format format(Precision precision) {
    return switch (precision) {
      case FLOAT32 -> Format.FLOAT32;
      case TF32 -> Format.TF32;
      case BFLOAT16 -> Format.BFLOAT16;
      case FLOAT16 -> Format.FLOAT16;
      case INT8 -> Format.INT8;
    };
  }

  /** Rounds any other named quantity. */
  double value(double x) {
    return values.round(x);
  }

  /** Rounds a matrix of operands in place, row by row, and returns it. */
  double[] roundOperands(double[] x, int columns) {
    double[] row = new double[columns];
    for (int start = 0; start < x.length; start += columns) {
      copyOperands(x, start, row);
      System.arraycopy(row, 0, x, start, columns);
    }
    return x;
  }

  /** Fills a vector with what a product reads of an array from an index on. */
  void copyOperands(double[] from, int start, double[] to) {
    operands.round(from, start, to);
  }

  /** Rounds a tensor of values in place and returns it. */
  double[] roundValues(double[] x) {
    for (int i = 0; i < x.length; i++) {
      x[i] = value(x[i]);
    }
    return x;
  }
}
