// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.SplittableRandom;

/**
 * The size of a comparison: one layer, one direction, as many features as units. Immutable.
 *
 * @param batch B
 * @param steps T
 * @param size H, and I
 */
record Shape(int batch, int steps, int size) {
  private static final long SEED = 20170612;

  /** From its {@link #toString}, such as {@code 8x100x256}. */
  static Shape of(String text) {
    String[] parts = text.split("x", -1);
    try {
      Shape shape =
          new Shape(
              Integer.parseInt(parts[0]), Integer.parseInt(parts[1]), Integer.parseInt(parts[2]));
      if (parts.length == 3 && shape.batch > 0 && shape.steps > 0 && shape.size > 0) {
        return shape;
      }
    } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
      // Told below, like the other ways to be wrong.
    }
    throw new IllegalArgumentException("shape: expected BxTxH such as 8x100x256, got " + text);
  }

  @Override
  public String toString() {
    return batch + "x" + steps + "x" + size;
  }

  RnnSpec spec(Cell cell) {
    return RnnSpec.of(cell, size, size);
  }

  /** Input, output and hidden states have as many values: T, B, H. */
  int count() {
    return Math.multiplyExact(Math.multiplyExact(batch, steps), size);
  }

  /** Of the products, a multiplication and an addition counting as two. */
  double operations() {
    return 16.0 * count() * size;
  }

  /**
   * Bytes in float32, if the recurrent weights are read at every step and all else once: the
   * weights for the inputs, the inputs and the outputs.
   */
  double bytes() {
    double matrix = 4.0 * size * size;
    return Float.BYTES * (steps * matrix + matrix + 2.0 * count());
  }

  FloatBuffer zeros() {
    return ByteBuffer.allocateDirect(Math.multiplyExact(Float.BYTES, count()))
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }

  /** Uniform over [-1, 1), the same each time. */
  FloatBuffer input() {
    SplittableRandom random = new SplittableRandom(SEED);
    FloatBuffer input = zeros();
    for (int i = 0; i < input.capacity(); i++) {
      input.put(i, (float) (2 * random.nextDouble() - 1));
    }
    return input;
  }

  /** Uniform over ±1/√H, the biases too, the same each time. */
  Weights weights(Cell cell) {
    SplittableRandom random = new SplittableRandom(SEED);
    double bound = 1 / Math.sqrt(size);
    Weights.Builder builder = Weights.builder();
    for (RnnSpec.Parameter parameter : spec(cell).parameters()) {
      float[] values = new float[Math.toIntExact(parameter.count())];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) (bound * (2 * random.nextDouble() - 1));
      }
      builder.add(parameter.name(), values, parameter.shape());
    }
    return builder.build();
  }
}
