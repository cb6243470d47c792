// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

/**
 * A matrix rounded to int8, symmetrically, with a scale for each row. Immutable, as long as nobody
 * writes to its arrays.
 *
 * @param values row-major; a value is times its row's scale what it stands for
 * @param scales one for each row
 */
record Int8Matrix(byte[] values, float[] scales) {
  private static final int LARGEST = 127;

  static Int8Matrix of(float[] matrix, int rows) {
    int columns = matrix.length / rows;
    byte[] values = new byte[matrix.length];
    float[] scales = new float[rows];
    for (int row = 0; row < rows; row++) {
      float largest = Float.MIN_NORMAL;
      for (int i = row * columns; i < (row + 1) * columns; i++) {
        largest = Math.max(largest, Math.abs(matrix[i]));
      }
      scales[row] = largest / LARGEST;
      for (int i = row * columns; i < (row + 1) * columns; i++) {
        values[i] = (byte) Math.round(matrix[i] / scales[row]);
      }
    }
    return new Int8Matrix(values, scales);
  }

  /** The values, column by column. */
  byte[] transposed() {
    int rows = scales.length;
    int columns = values.length / rows;
    byte[] out = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      out[i % columns * rows + i / columns] = values[i];
    }
    return out;
  }
}
