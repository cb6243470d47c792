// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.gatefuse.io.Safetensors;
import io.github.gatefuse.reference.ReferenceNetwork.Cotangents;
import io.github.gatefuse.reference.ReferenceNetwork.Gradients;
import io.github.gatefuse.reference.ReferenceNetwork.Inputs;
import io.github.gatefuse.reference.ReferenceNetwork.Outputs;
import io.github.gatefuse.testing.GoldenCase;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Holds the reference to vectors that PyTorch computed. */
class GoldenTest {
  /** What float64 arithmetic in another order may differ by. */
  private static final double DOUBLE_TOLERANCE = 1e-10;

  /**
   * What rounding to float32 may add: parameters and each quantity are off by 6e-8 of themselves,
   * and a few dozen such errors meet in a unit over the steps and layers.
   */
  private static final double FLOAT_TOLERANCE = 3e-6;

  static List<GoldenCase> cases() {
    return GoldenCase.all();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void doubleAgrees(GoldenCase golden) {
    check(golden, Rounding.DOUBLE, DOUBLE_TOLERANCE);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void floatAgrees(GoldenCase golden) {
    check(golden, Rounding.FLOAT, FLOAT_TOLERANCE);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void doubleGradientsAgree(GoldenCase golden) {
    checkGradients(golden, Rounding.DOUBLE, DOUBLE_TOLERANCE);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void floatGradientsAgree(GoldenCase golden) {
    checkGradients(golden, Rounding.FLOAT, FLOAT_TOLERANCE);
  }

  /** Errors are relative to the largest value of a tensor where that is above one. */
  private static void checkGradients(GoldenCase golden, Rounding rounding, double tolerance) {
    ReferenceNetwork network = new ReferenceNetwork(golden.spec(), golden.weights(), rounding);
    try (Safetensors file = Safetensors.open(golden.path())) {
      boolean cell = golden.spec().cell().hasCellState();
      Gradients gradients =
          network.backward(
              inputs(golden),
              Cotangents.ZEROS
                  .withOutput(pastTheEndNaN(golden, file.doubles("dy")))
                  .withState(file.doubles("dhn"), cell ? file.doubles("dcn") : null));
      checkGradient(file, "x", gradients.dx(), tolerance);
      checkGradient(file, "h0", gradients.dh0(), tolerance);
      if (cell) {
        checkGradient(file, "c0", gradients.dc0(), tolerance);
      }
      for (String name : gradients.parameters().names()) {
        checkGradient(file, name, gradients.parameters().doubles(name), tolerance);
      }
    }
  }

  private static void checkGradient(
      Safetensors file, String name, double[] actual, double tolerance) {
    double[] expected = file.doubles("grad." + name);
    double scale = Math.max(1, Arrays.stream(expected).map(Math::abs).max().getAsDouble());
    assertEquals(0, GoldenCase.maxDifference(expected, actual), tolerance * scale, name);
  }

  private static Inputs inputs(GoldenCase golden) {
    return Inputs.of(golden.steps(), golden.batch(), pastTheEndNaN(golden, golden.x()))
        .withLengths(golden.lengths())
        .withState(golden.h0(), golden.c0());
  }

  private static void check(GoldenCase golden, Rounding rounding, double tolerance) {
    ReferenceNetwork network = new ReferenceNetwork(golden.spec(), golden.weights(), rounding);
    Outputs out = network.run(inputs(golden));
    assertEquals(0, GoldenCase.maxDifference(golden.y(), out.y()), tolerance, "y");
    assertEquals(0, GoldenCase.maxDifference(golden.hn(), out.hn()), tolerance, "hn");
    if (golden.spec().cell().hasCellState()) {
      // A cell state is not bounded by one: its error is relative where it is larger.
      double scale = Math.max(1, Arrays.stream(golden.cn()).map(Math::abs).max().getAsDouble());
      assertEquals(0, GoldenCase.maxDifference(golden.cn(), out.cn()), tolerance * scale, "cn");
    }
  }

  /** Values [T, B, width] with NaN wherever they must not be read. */
  private static double[] pastTheEndNaN(GoldenCase golden, double[] values) {
    double[] x = values.clone();
    int width = values.length / golden.steps() / golden.batch();
    for (int t = 0; t < golden.steps(); t++) {
      for (int b = 0; b < golden.batch(); b++) {
        if (t >= golden.lengths()[b]) {
          int start = (t * golden.batch() + b) * width;
          Arrays.fill(x, start, start + width, Double.NaN);
        }
      }
    }
    return x;
  }
}
