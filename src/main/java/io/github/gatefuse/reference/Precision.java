// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/**
 * Where the reference rounds, and to what.
 *
 * <p>All arithmetic of the reference is float64, written once. A precision says what its numbers
 * are rounded to when they would be stored, and only these points round:
 *
 * <ul>
 *   <li>{@linkplain #operand operands} of matrix products: weights and embedding rows when the
 *       network is made, inputs and initial hidden states when they enter, each new hidden state h,
 *       the reset state ρ∘h;
 *   <li>{@linkplain #value values}: biases, the initial cell state, each pre-activation (once,
 *       after its whole sum), each gate, complement and candidate, each new cell state c, logits
 *       and log-probabilities.
 * </ul>
 *
 * <p>Sums inside a product, and the inside of one formula of one named quantity, do not round. So
 * {@link #FLOAT} is what an ideal float32 implementation gives, and real ones differ from it by
 * their own summation and function errors. The two kinds of points are kept apart because a 16-bit
 * mode rounds operands to 16 bits while cell states stay in float32.
 *
 * <p>Immutable and thread-safe.
 */
public enum Precision {
  /** Float64 throughout: nothing is rounded. */
  DOUBLE {
    @Override
    double operand(double x) {
      return x;
    }

    @Override
    double value(double x) {
      return x;
    }
  },

  /** Float32 at every point. */
  FLOAT {
    @Override
    double operand(double x) {
      return (float) x;
    }

    @Override
    double value(double x) {
      return (float) x;
    }
  };

  /** Rounds what a matrix product will read. */
  abstract double operand(double x);

  /** Rounds any other named quantity. */
  abstract double value(double x);

  /** Rounds a tensor of operands in place and returns it. */
  final double[] operands(double[] x) {
    for (int i = 0; i < x.length; i++) {
      x[i] = operand(x[i]);
    }
    return x;
  }

  /** Rounds a tensor of values in place and returns it. */
  final double[] values(double[] x) {
    for (int i = 0; i < x.length; i++) {
      x[i] = value(x[i]);
    }
    return x;
  }
}
