// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Rounding to each format, against other ways of writing the same. */
class FormatTest {
  private static void assertSame(double expected, double actual, String message) {
    if (Double.doubleToRawLongBits(expected) != Double.doubleToRawLongBits(actual)
        && !(Double.isNaN(expected) && Double.isNaN(actual))) {
      assertEquals(expected, actual, 0.0, message);
      throw new AssertionError(message + ": expected " + expected + ", got " + actual);
    }
  }

  /** All exponents, ties among them, both signs, and what is not finite. */
  private static void compare(Format format, DoubleUnaryOperator expected) {
    Random random = new Random(1);
    for (int i = 0; i < 300_000; i++) {
      int bits = random.nextInt();
      // Every third is half way between two numbers of the shortest formats, or near.
      bits = i % 3 == 0 ? bits & 0xFFFF8000 : i % 3 == 1 ? bits & 0xFFFFF000 : bits;
      check(format, expected, Float.intBitsToFloat(bits));
      check(format, expected, Float.intBitsToFloat(bits + 1));
      check(format, expected, Float.intBitsToFloat(bits - 1));
    }
    float[] others = {
      0f,
      -0f,
      1f,
      Float.NaN,
      Float.POSITIVE_INFINITY,
      Float.NEGATIVE_INFINITY,
      Float.MAX_VALUE,
      -Float.MAX_VALUE,
      Float.MIN_VALUE,
      Float.MIN_NORMAL,
      65504f,
      65519.996f,
      65520f,
      -65536f
    };
    for (float x : others) {
      check(format, expected, x);
    }
  }

  private static void check(Format format, DoubleUnaryOperator expected, float x) {
    assertSame(expected.applyAsDouble(x), format.round(x), format + " of " + x);
  }

  /** Adds half a unit to the bits and cuts: a carry moves on to the exponent as it should. */
  private static float cut(float x, int half, int mask) {
    return Float.isNaN(x) ? x : Float.intBitsToFloat(Float.floatToRawIntBits(x) + half & ~mask);
  }

  @Test
  void bfloat16AsByItsBits() {
    compare(
        Format.BFLOAT16,
        x -> {
          int odd = Float.floatToRawIntBits((float) x) >>> 16 & 1;
          return cut((float) x, 0x7FFF + odd, 0xFFFF);
        });
  }

  @Test
  void tf32AsByItsBits() {
    compare(Format.TF32, x -> cut((float) x, 0x1000, 0x1FFF));
  }

  @Test
  void float16AsByItsBits() {
    compare(Format.FLOAT16, x -> widen(narrow((float) x)));
  }

  /** IEEE binary16 by integers, with the bits that are cut off kept to round by. */
  private static int narrow(float x) {
    int bits = Float.floatToRawIntBits(x);
    int sign = bits >>> 16 & 0x8000;
    int exponent = (bits >>> 23 & 0xFF) - 127;
    int fraction = bits & 0x7FFFFF;
    if (exponent == 128) {
      return sign | 0x7C00 | (fraction == 0 ? 0 : 0x200);
    }
    if (exponent < -25) {
      return sign;
    }
    int shift = exponent < -14 ? 13 + (-14 - exponent) : 13;
    int whole = exponent < -14 ? fraction | 0x800000 : (exponent + 15 << 23) | fraction;
    int result = whole >>> shift;
    int rest = whole & (1 << shift) - 1;
    int half = 1 << shift - 1;
    result += rest > half || rest == half && (result & 1) == 1 ? 1 : 0;
    return sign | Math.min(result, 0x7C00);
  }

  private static double widen(int half) {
    int exponent = half >>> 10 & 0x1F;
    int fraction = half & 0x3FF;
    double magnitude =
        switch (exponent) {
          case 0 -> fraction * 0x1p-24;
          case 31 -> fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN;
          default -> Math.scalb(1024.0 + fraction, exponent - 25);
        };
    return (half & 0x8000) == 0 ? magnitude : -magnitude;
  }

  @Test
  void tiesGoWhereTheFormatSays() {
    double tie = 1 + 0x1p-8;
    assertEquals(1, Format.BFLOAT16.round(tie));
    assertEquals(1 + 0x1p-6, Format.BFLOAT16.round(1 + 3 * 0x1p-8));
    assertEquals(1, Format.FLOAT16.round(1 + 0x1p-11));
    assertEquals(1 + 0x1p-10, Format.TF32.round(1 + 0x1p-11));
    assertEquals(-1 - 0x1p-10, Format.TF32.round(-1 - 0x1p-11));
    assertEquals(1 + 0x1p-7, Format.BFLOAT16.round(tie + 0x1p-23));
    assertEquals(1, Format.BFLOAT16.round(tie + 0x1p-40), "float32 comes first");
  }

  @Test
  void whatIsTooLargeBecomesInfinite() {
    assertEquals(65504, Format.FLOAT16.round(65519.99));
    assertEquals(Double.POSITIVE_INFINITY, Format.FLOAT16.round(65520));
    assertEquals(Double.NEGATIVE_INFINITY, Format.FLOAT16.round(-1e6));
    assertEquals(Double.POSITIVE_INFINITY, Format.BFLOAT16.round(Float.MAX_VALUE));
    assertEquals(Double.POSITIVE_INFINITY, Format.TF32.round(Float.MAX_VALUE));
    assertEquals(Double.POSITIVE_INFINITY, Format.FLOAT32.round(1e40));
    assertEquals(1e40, Format.FLOAT64.round(1e40));
  }

  @ParameterizedTest
  @EnumSource(Format.class)
  void aRoundedNumberStays(Format format) {
    Random random = new Random(2);
    for (int i = 0; i < 100_000; i++) {
      double rounded = format.round(random.nextGaussian());
      assertSame(rounded, format.round(rounded), "rounded twice");
    }
  }

  @Test
  void int8HasAScaleForEachVector() {
    double[] out = new double[4];
    Format.INT8.round(new double[] {9, 0.5, -1, 0.25, 0.003}, 1, out);
    float unit = 1f / 127;
    assertEquals(64 * (double) unit, out[0], "a tie, 63.5, goes to the even number");
    assertEquals(-127 * (double) unit, out[1]);
    assertEquals(32 * (double) unit, out[2]);
    assertEquals(0, out[3]);
    Format.INT8.round(new double[] {0x1p-101, 0, 0x1p-120, 0}, 0, out);
    assertArrayEquals(new double[4], out);
    Format.INT8.round(new double[] {1, 2, Double.POSITIVE_INFINITY, 3}, 0, out);
    for (double x : out) {
      assertEquals(Double.NaN, x);
    }
    assertEquals(0.75, Format.INT8.round(0.75), 1e-7, "alone, a number is the largest");
  }
}
