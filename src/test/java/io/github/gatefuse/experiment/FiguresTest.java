// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class FiguresTest {
  @Test
  void whatALogarithmCannotShowIsLeftOut() {
    Figure.Axis log = new Figure.Axis("", true);
    Figure.Axis linear = new Figure.Axis("", false);
    double nan = Double.NaN;
    Figure.Line line =
        new Figure.Line(
            "", new double[] {0, 1, 2, 3}, new double[] {1, -1, nan, 4}, 0, Figure.Style.SOLID);
    double[][] both = line.points(new Figure("", "", "", log, log, List.of(line)));
    assertArrayEquals(new double[] {3}, both[0]);
    double[][] neither = line.points(new Figure("", "", "", linear, linear, List.of(line)));
    assertArrayEquals(new double[] {0, 1, 3}, neither[0]);
    assertArrayEquals(new double[] {1, -1, 4}, neither[1]);
  }

  @Test
  void anOutlineGoesAroundEveryBin() {
    double[][] outline =
        Figures.histogramOutline(new double[] {0, 1, 3}, new double[] {0.25, 0.75});
    assertArrayEquals(new double[] {0, 1, 1, 3}, outline[0]);
    assertArrayEquals(new double[] {0.25, 0.25, 0.75, 0.75}, outline[1]);
  }

  /** Near saturation the flattest refine gate is a standard gate, and the steepest twice that. */
  @Test
  void theRefineGateIsUpToTwiceAsSteepNearSaturation() {
    double[] range = Figures.refineRange(1e-4);
    assertEquals(1e-4, range[0], 1e-6);
    assertEquals(2e-4, range[1], 1e-5);
    assertTrue(Figures.refineRange(0.5)[1] > 0.25);
  }

  @Test
  void theSpreadIsThatOfASample() {
    assertTrue(Report.deviation(new double[] {3}).isEmpty());
    assertEquals(Math.sqrt(2), Report.deviation(new double[] {1, 3}).getAsDouble(), 1e-12);
  }
}
