// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/**
 * A parameter matrix [rows, columns], one array for each column.
 *
 * <p>A product adds multiples of columns to all rows. All arrays of its inner loop have one index,
 * of which HotSpot makes vector instructions, and the order of every sum is that of the columns.
 * Four columns at a time stay in the first-level cache while all vectors pass by.
 */
final class Matrix {
  private final int rows;
  private final double[][] columns;

  /** Takes row-major values [rows, values.length / rows]. */
  Matrix(int rows, double[] values) {
    this.rows = rows;
    this.columns = new double[values.length / rows][rows];
    for (int row = 0; row < rows; row++) {
      for (int k = 0; k < columns.length; k++) {
        columns[k][row] = values[row * columns.length + k];
      }
    }
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
    double[] column = columns[k];
    double factor = x[k];
    for (int row = first; row < end; row++) {
      y[row] += column[row] * factor;
    }
  }

  /** y[row] += Σ_k m[row, k] x[k], for all rows. */
  void addProduct(double[] x, double[] y) {
    addProducts(new double[][] {x}, new double[][] {y}, 1, 0, rows);
  }
}
