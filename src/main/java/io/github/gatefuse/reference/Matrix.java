// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/**
 * A parameter matrix [rows, columns], one array for each column.
 *
 * <p>As a gradient it starts with zeros and sums outer products.
 *
 * <p>A product adds multiples of columns to all rows. All arrays of its inner loop have one index,
 * of which HotSpot makes vector instructions, and the order of every sum is that of the columns.
 * Four columns at a time stay in the first-level cache while all vectors pass by.
 */
final class Matrix {
  private final int rows;
  private final double[][] columns;

  /** Zeros. */
  Matrix(int rows, int columns) {
    this.rows = rows;
    this.columns = new double[columns][rows];
  }

  /** Takes row-major values [rows, values.length / rows]. */
  Matrix(int rows, double[] values) {
    this(rows, values.length / rows);
    for (int row = 0; row < rows; row++) {
      for (int k = 0; k < columns.length; k++) {
        columns[k][row] = values[row * columns.length + k];
      }
    }
  }

  /** A matrix of zeros of the same shape. */
  Matrix zeros() {
    return new Matrix(rows, columns.length);
  }

  /** A row-major copy. */
  double[] values() {
    double[] values = new double[rows * columns.length];
    for (int row = 0; row < rows; row++) {
      for (int k = 0; k < columns.length; k++) {
        values[row * columns.length + k] = columns[k][row];
      }
    }
    return values;
  }

  /** The number of values. */
  long count() {
    return (long) rows * columns.length;
  }

  /**
   * y[i][row] += Σ_k m[row, k] x[i][k], for the first {@code count} vectors and the rows from
   * {@code first} to before {@code end}.
   *
   * @param x vectors [columns]
   * @param y vectors [rows]
   */
  void addProducts(double[][] x, double[][] y, int count, int first, int end) {
    int k = 0;
    for (; k + 4 <= columns.length; k += 4) {
      for (int i = 0; i < count; i++) {
        addFour(k, x[i], y[i], first, end);
      }
    }
    for (; k < columns.length; k++) {
      for (int i = 0; i < count; i++) {
        addOne(k, x[i], y[i], first, end);
      }
    }
  }

  private void addFour(int k, double[] x, double[] y, int first, int end) {
    double[] column0 = columns[k];
    double[] column1 = columns[k + 1];
    double[] column2 = columns[k + 2];
    double[] column3 = columns[k + 3];
    double x0 = x[k];
    double x1 = x[k + 1];
    double x2 = x[k + 2];
    double x3 = x[k + 3];
    for (int row = first; row < end; row++) {
      y[row] =
          y[row] + column0[row] * x0 + column1[row] * x1 + column2[row] * x2 + column3[row] * x3;
    }
  }

  private void addOne(int k, double[] x, double[] y, int first, int end) {
    addMultiple(x[k], columns[k], y, first, end);
  }

  /**
   * x[i][k] += Σ_row m[row, k] y[i][row], the product with the transposed matrix, for the first
   * {@code count} vectors and the rows from {@code first} to before {@code end}.
   *
   * @param y vectors [rows]
   * @param x vectors [columns]
   */
  void addTransposedProducts(double[][] y, double[][] x, int count, int first, int end) {
    for (int k = 0; k < columns.length; k++) {
      double[] column = columns[k];
      for (int i = 0; i < count; i++) {
        x[i][k] += dot(column, y[i], first, end);
      }
    }
  }

  /** Four sums side by side, as none has to wait for another. */
  private static double dot(double[] a, double[] b, int first, int end) {
    double sum0 = 0;
    double sum1 = 0;
    double sum2 = 0;
    double sum3 = 0;
    int row = first;
    for (; row + 4 <= end; row += 4) {
      sum0 += a[row] * b[row];
      sum1 += a[row + 1] * b[row + 1];
      sum2 += a[row + 2] * b[row + 2];
      sum3 += a[row + 3] * b[row + 3];
    }
    for (; row < end; row++) {
      sum0 += a[row] * b[row];
    }
    return (sum0 + sum1) + (sum2 + sum3);
  }

  /**
   * m[row, k] += Σ_i y[i][row] x[i][k], for the first {@code count} vectors and the rows from
   * {@code first} to before {@code end}.
   *
   * @param y vectors [rows]
   * @param x vectors [columns]
   */
  void addOuterProducts(double[][] y, double[][] x, int count, int first, int end) {
    for (int k = 0; k < columns.length; k++) {
      for (int i = 0; i < count; i++) {
        addMultiple(x[i][k], y[i], columns[k], first, end);
      }
    }
  }

  private static void addMultiple(double factor, double[] from, double[] to, int first, int end) {
    for (int row = first; row < end; row++) {
      to[row] += from[row] * factor;
    }
  }

  /** y[row] += Σ_k m[row, k] x[k], for all rows. */
  void addProduct(double[] x, double[] y) {
    addProducts(new double[][] {x}, new double[][] {y}, 1, 0, rows);
  }
}
