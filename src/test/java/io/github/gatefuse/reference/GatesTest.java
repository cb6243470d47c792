// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** The properties of the gates, against arithmetic of 80 digits where rounding matters. */
class GatesTest {
  private static final MathContext DIGITS = new MathContext(80);
  private static final double ULP = 0x1p-52;

  private static double refineOf(double forget, double refine) {
    return Gates.refine(Gates.sigmoid(forget), Gates.sigmoid(-forget), Gates.sigmoid(refine));
  }

  @Test
  void refineOfOneHalfIsTheForgetGate() {
    for (double a = -30; a <= 30; a += 0.37) {
      double f = Gates.sigmoid(a);
      assertEquals(f, refineOf(a, 0), 4 * ULP * f);
    }
  }

  @Test
  void complementIsTheSameFunctionOfTheComplements() {
    for (double a = -20; a <= 20; a += 0.7) {
      for (double r = -20; r <= 20; r += 0.7) {
        assertEquals(1, refineOf(a, r) + refineOf(-a, -r), 4 * ULP);
      }
    }
  }

  @Test
  void growsWithBothGates() {
    for (double a = -12; a <= 12; a += 0.25) {
      for (double r = -12; r <= 12; r += 0.25) {
        double g = refineOf(a, r);
        double gBar = refineOf(-a, -r);
        // Near one the gate itself has no digits left, but its complement has: look at both.
        double byForget = refineOf(a + 0.25, r) - g + gBar - refineOf(-a - 0.25, -r);
        double byRefine = refineOf(a, r + 0.25) - g + gBar - refineOf(-a, -r - 0.25);
        assertTrue(byForget > 0, a + ", " + r);
        assertTrue(byRefine > 0, a + ", " + r);
      }
    }
  }

  /** f² ≤ g ≤ 1 - (1-f)², the upper bound written f (1 + f̄). */
  @Test
  void staysBetweenItsBounds() {
    for (double a = -40; a <= 40; a += 0.3) {
      for (double r = -40; r <= 40; r += 0.3) {
        double f = Gates.sigmoid(a);
        double fBar = Gates.sigmoid(-a);
        double g = refineOf(a, r);
        assertTrue(g >= f * f * (1 - 4 * ULP), a + ", " + r);
        assertTrue(g <= f * (1 + fBar) * (1 + 4 * ULP) && g <= 1, a + ", " + r);
      }
    }
  }

  @Test
  void sigmoidIsRightAtBothEnds() {
    for (double a : new double[] {-700, -300, -87, -37.5, -1, -1e-9, 0, 1e-9, 2, 36, 300, 800}) {
      double exact = sigmoid(a).doubleValue();
      assertEquals(exact, Gates.sigmoid(a), 4 * ULP * exact, "a = " + a);
    }
    assertEquals(0, Gates.sigmoid(Double.NEGATIVE_INFINITY));
    assertEquals(1, Gates.sigmoid(Double.POSITIVE_INFINITY));
  }

  /** In float32, 1 - g keeps a relative error of 2e-6 from gates near zero to 1 - g of 1e-37. */
  @Test
  void complementHoldsInFloatDownTo1e37() {
    Random random = new Random(11);
    double smallest = 1;
    for (int n = 0; n < 600; n++) {
      double a = (float) (random.nextDouble() * 90 - 5);
      double r = (float) (random.nextDouble() * 90 - 5);
      double exact = exactComplement(a, r).doubleValue();
      if (exact < 1e-37) {
        continue;
      }
      smallest = Math.min(smallest, exact);
      double f = Rounding.FLOAT.value(Gates.sigmoid(a));
      double fBar = Rounding.FLOAT.value(Gates.sigmoid(-a));
      double rBar = Rounding.FLOAT.value(Gates.sigmoid(-r));
      double gBar = Rounding.FLOAT.value(Gates.refine(fBar, f, rBar));
      assertEquals(exact, gBar, 2e-6 * exact, "a = " + a + ", r = " + r);
    }
    assertTrue(smallest < 1e-36, "the smallest complement was " + smallest);
  }

  /** 1 - g straight from the definition g = r (1 - (1-f)²) + (1-r) f², in 80 digits. */
  private static BigDecimal exactComplement(double a, double r) {
    BigDecimal f = sigmoid(a);
    BigDecimal refine = sigmoid(r);
    BigDecimal one = BigDecimal.ONE;
    BigDecimal notF = one.subtract(f);
    BigDecimal upper = one.subtract(notF.multiply(notF));
    BigDecimal lower = f.multiply(f);
    BigDecimal g = refine.multiply(upper).add(one.subtract(refine).multiply(lower));
    return one.subtract(g, DIGITS);
  }

  private static BigDecimal sigmoid(double a) {
    return BigDecimal.ONE.divide(BigDecimal.ONE.add(exp(-a)), wide(a));
  }

  /** Digits enough that one minus the result still has 40 right ones. */
  private static MathContext wide(double a) {
    return new MathContext(80 + (int) (Math.abs(a) / 2));
  }

  /** e^a by its series at a/1024, squared ten times. */
  private static BigDecimal exp(double a) {
    MathContext digits = new MathContext(120 + (int) Math.abs(a));
    BigDecimal x = new BigDecimal(a).divide(BigDecimal.valueOf(1024), digits);
    BigDecimal sum = BigDecimal.ONE;
    BigDecimal term = BigDecimal.ONE;
    for (int n = 1; n < 80; n++) {
      term = term.multiply(x, digits).divide(BigDecimal.valueOf(n), digits);
      sum = sum.add(term, digits);
    }
    for (int i = 0; i < 10; i++) {
      sum = sum.multiply(sum, digits);
    }
    return sum;
  }

  @Test
  void cumaxAndItsComplementAreSumsOfTheSoftmax() {
    double[] a = {9, 0.5, -1, 2, 0.25};
    double[] cumax = new double[8];
    double[] complement = new double[8];
    Gates.cumax(a, 1, 2, cumax, complement);
    double total = Arrays.stream(a).skip(1).map(Math::exp).sum();
    double sum = 0;
    for (int slot = 0; slot < 4; slot++) {
      sum += Math.exp(a[1 + slot]) / total;
      for (int j = 2 * slot; j < 2 * slot + 2; j++) {
        assertEquals(sum, cumax[j], 1e-15);
        assertEquals(1 - sum, complement[j], 1e-15);
      }
    }
    assertEquals(1, cumax[7], 0);
    assertEquals(0, complement[7], 0);
  }

  @Test
  void cumaxComplementIsExactWhereItIsSmall() {
    double[] a = {0, -50, -60};
    double[] cumax = new double[3];
    double[] complement = new double[3];
    Gates.cumax(a, 0, 1, cumax, complement);
    double tail = Math.exp(-50) + Math.exp(-60);
    assertEquals(tail, complement[0], 1e-14 * tail);
    assertEquals(Math.exp(-60), complement[1], 1e-14 * Math.exp(-60));
  }

  @Test
  void cumaxOfLargeLogitsIsFinite() {
    double[] cumax = new double[3];
    double[] complement = new double[3];
    Gates.cumax(new double[] {1e4, -1e4, 1e4}, 0, 1, cumax, complement);
    assertEquals(0.5, cumax[0], 0);
    assertEquals(0.5, complement[1], 0);
    assertEquals(1, cumax[2], 0);
  }

  /** Slopes of gates that are all but open or shut keep their digits. */
  @Test
  void slopesAreRightAtBothEnds() {
    for (double a = -40; a <= 40; a += 0.7) {
      double magnitude = Math.exp(-Math.abs(a));
      double sigmoid = magnitude / ((1 + magnitude) * (1 + magnitude));
      assertEquals(sigmoid, Gates.sigmoidSlope(a), 8 * ULP * sigmoid, "sigmoid, a = " + a);
      double cosh = Math.cosh(a);
      double tanh = 1 / cosh / cosh;
      assertEquals(tanh, Gates.tanhSlope(a), 16 * ULP * tanh, "tanh, a = " + a);
    }
  }

  /**
   * ∂g/∂a_f = 2 f f̄ (f r̄ + r f̄) and ∂g/∂a_r = 2 f f̄ r r̄, by differences of the smaller side.
   */
  @Test
  void refineSlopesAreThoseOfRefine() {
    double step = 1e-5;
    for (double a = -8; a <= 8; a += 0.7) {
      for (double r = -8; r <= 8; r += 0.7) {
        // The complement is the same function with a minus, and is precise where the gate is not.
        double side = refineOf(a, r) < 0.5 ? 1 : -1;
        double byForget =
            refineOf(side * (a + step), side * r) - refineOf(side * (a - step), side * r);
        double byRefine =
            refineOf(side * a, side * (r + step)) - refineOf(side * a, side * (r - step));
        double f = Gates.sigmoid(a);
        double fBar = Gates.sigmoid(-a);
        double forget =
            Gates.refineByForget(f, fBar, Gates.sigmoid(r), Gates.sigmoid(-r))
                * Gates.sigmoidSlope(a);
        double refine = Gates.refineByRefine(f, fBar) * Gates.sigmoidSlope(r);
        String where = "a = " + a + ", r = " + r;
        assertEquals(side * byForget / (2 * step), forget, 1e-7 * forget, where);
        assertEquals(side * byRefine / (2 * step), refine, 1e-6 * refine, where);
      }
    }
  }

  @Test
  void cumaxGradientIsThatOfCumax() {
    double[] a = {9, 0.5, -1, 2, 0.25};
    double[] byValue = new Random(1).doubles(8, -1, 1).toArray();
    double[] da = new double[5];
    Gates.cumaxGradient(a, 1, 2, byValue, da);
    double step = 1e-5;
    for (int k = 1; k < 5; k++) {
      double[] above = a.clone();
      double[] below = a.clone();
      above[k] += step;
      below[k] -= step;
      double difference = weighted(above, byValue) - weighted(below, byValue);
      assertEquals(difference / (2 * step), da[k], 1e-9);
    }
    assertEquals(0, da[0], 0);
  }

  /** The values of a cumulative softmax of four slots, each twice, in a weighted sum. */
  private static double weighted(double[] a, double[] weights) {
    double[] cumax = new double[8];
    Gates.cumax(a, 1, 2, cumax, new double[8]);
    double sum = 0;
    for (int j = 0; j < 8; j++) {
      sum += weights[j] * cumax[j];
    }
    return sum;
  }

  @Test
  void cumaxGradientOfLargeLogitsIsFinite() {
    double[] da = new double[3];
    Gates.cumaxGradient(new double[] {1e4, -1e4, 1e4}, 0, 1, new double[] {1, 2, 4}, da);
    // p = (1/2, 0, 1/2), G = (7, 6, 4).
    assertEquals(0.75, da[0], 0);
    assertEquals(0, da[1], 0);
    assertEquals(-0.75, da[2], 0);
  }
}
