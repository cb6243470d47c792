// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;

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

  private static void check(GoldenCase golden, Rounding rounding, double tolerance) {
    ReferenceNetwork network = new ReferenceNetwork(golden.spec(), golden.weights(), rounding);
    Outputs out =
        network.run(
            Inputs.of(golden.steps(), golden.batch(), pastTheEndNaN(golden))
                .withLengths(golden.lengths())
                .withState(golden.h0(), golden.c0()));
    assertEquals(0, GoldenCase.maxDifference(golden.y(), out.y()), tolerance, "y");
    assertEquals(0, GoldenCase.maxDifference(golden.hn(), out.hn()), tolerance, "hn");
    if (golden.spec().cell().hasCellState()) {
      // A cell state is not bounded by one: its error is relative where it is larger.
      double scale = Math.max(1, Arrays.stream(golden.cn()).map(Math::abs).max().getAsDouble());
      assertEquals(0, GoldenCase.maxDifference(golden.cn(), out.cn()), tolerance * scale, "cn");
    }
  }

  /** The input with NaN wherever it must not be read. */
  private static double[] pastTheEndNaN(GoldenCase golden) {
    double[] x = golden.x().clone();
    int width = golden.spec().inputSize();
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
