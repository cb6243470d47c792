// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.testing;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Random;

/** Seeded weights and inputs, and direct buffers of them. */
public final class Networks {
  private Networks() {}

  /** Uniform weights within ±scale/√H, the usual range at scale 1. */
  public static Weights weights(RnnSpec spec, long seed, float scale) {
    Random random = new Random(seed);
    float bound = scale / (float) Math.sqrt(spec.hiddenSize());
    Weights.Builder builder = Weights.builder();
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      float[] values = new float[(int) parameter.count()];
      for (int i = 0; i < values.length; i++) {
        values[i] = bound * (2 * random.nextFloat() - 1);
      }
      builder.add(parameter.name(), values, parameter.shape());
    }
    return builder.build();
  }

  /** The same at scale 1. */
  public static Weights weights(RnnSpec spec, long seed) {
    return weights(spec, seed, 1);
  }

  /** Those of these weights that a smaller network has. */
  public static Weights part(RnnSpec spec, Weights weights) {
    Weights.Builder builder = Weights.builder();
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      builder.add(parameter.name(), weights.floats(parameter.name()), parameter.shape());
    }
    return builder.build();
  }

  /** Normally distributed values. */
  public static float[] normal(int count, long seed) {
    Random random = new Random(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }

  /** Integers from {@code from} to {@code to}, both included. */
  public static int[] integers(int count, int from, int to, long seed) {
    return new Random(seed).ints(count, from, to + 1).toArray();
  }

  /** Lengths from 1 to T, one of them T. */
  public static int[] lengths(int steps, int batch, long seed) {
    int[] lengths = integers(batch, 1, steps, seed);
    lengths[(int) (seed % batch)] = steps;
    return lengths;
  }

  /** A direct buffer of zeros. */
  public static FloatBuffer floats(int count) {
    return ByteBuffer.allocateDirect(Float.BYTES * count)
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }

  /** A direct buffer of these values. */
  public static FloatBuffer direct(float... values) {
    return floats(values.length).put(0, values);
  }

  /** A direct buffer of these values. */
  public static IntBuffer direct(int... values) {
    return ByteBuffer.allocateDirect(Integer.BYTES * values.length)
        .order(ByteOrder.nativeOrder())
        .asIntBuffer()
        .put(0, values);
  }

  /** All values of a buffer. */
  public static float[] array(FloatBuffer buffer) {
    float[] values = new float[buffer.capacity()];
    buffer.get(0, values);
    return values;
  }
}
