// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/**
 * A format of numbers, as what the reference rounds to.
 *
 * <p>The formats of fewer bits round from float32, which is what every implementation holds before
 * it rounds further. Rounded values are float64 here too, NaN stays NaN, and what lies beyond the
 * largest number of a format becomes infinite.
 *
 * <p>Immutable and thread-safe.
 */
public enum Format {
  /** IEEE binary64: nothing is rounded. */
  FLOAT64 {
    @Override
    double round(double x) {
      return x;
    }
  },

  /** IEEE binary32, to nearest, ties to even. */
  FLOAT32 {
    @Override
    double round(double x) {
      return (float) x;
    }
  },

  /** 10 bits of fraction and the exponents of float32, to nearest, ties away from zero. */
  TF32 {
    @Override
    double round(double x) {
      double unit = unit((float) x, 10, Float.MIN_EXPONENT);
      double magnitude = Math.floor(Math.abs((float) x) / unit + 0.5) * unit;
      return Math.copySign((float) magnitude, x);
    }
  },

  /** 7 bits of fraction and the exponents of float32, to nearest, ties to even. */
  BFLOAT16 {
    @Override
    double round(double x) {
      double unit = unit((float) x, 7, Float.MIN_EXPONENT);
      return (float) (Math.rint((float) x / unit) * unit);
    }
  },

  /** IEEE binary16, to nearest, ties to even. */
  FLOAT16 {
    private static final double LARGEST = 65504;

    @Override
    double round(double x) {
      double unit = unit((float) x, 10, -14);
      double rounded = Math.rint((float) x / unit) * unit;
      return Math.abs(rounded) > LARGEST ? Math.copySign(Double.POSITIVE_INFINITY, x) : rounded;
    }
  },

  /**
   * Whole numbers from -127 to 127 times a scale of the vector, ties to even. What is not finite
   * makes the whole vector NaN; one that is smaller than 2^-100 everywhere becomes zeros.
   */
  INT8 {
    private static final float LARGEST = 127;
    private static final float SMALLEST = 0x1p-100f;

    @Override
    double round(double x) {
      double[] alone = {x};
      round(alone, 0, alone);
      return alone[0];
    }

    @Override
    void round(double[] from, int start, double[] to) {
      float most = 0;
      boolean finite = true;
      for (int i = 0; i < to.length; i++) {
        float x = (float) from[start + i];
        finite &= Float.isFinite(x);
        most = Math.max(most, Math.abs(x));
      }
      double scale = finite ? most / LARGEST : Double.NaN;
      float inverse = finite && most >= SMALLEST ? LARGEST / most : 0;
      for (int i = 0; i < to.length; i++) {
        float x = (float) from[start + i];
        to[i] = finite ? Math.rint(x * inverse) * scale : Double.NaN;
      }
    }
  };

  /** The nearest number of this format. */
  abstract double round(double x);

  /** The nearest vector of this format, of another one's numbers from an index on. */
  void round(double[] from, int start, double[] to) {
    for (int i = 0; i < to.length; i++) {
      to[i] = round(from[start + i]);
    }
  }

  /**
   * The distance of neighbouring numbers around x, a power of two: dividing by it and multiplying
   * with it are exact. Below the smallest exponent numbers are subnormal, as far apart as there.
   */
  private static double unit(float x, int fractionBits, int smallestExponent) {
    return Math.scalb(1.0, Math.max(Math.getExponent(x), smallestExponent) - fractionBits);
  }
}
