// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import java.util.Arrays;
import java.util.List;

/**
 * Lines over one axis, as data. Not to be changed.
 *
 * @param name of its files, without an ending
 * @param title above it
 * @param caption a sentence or two below it: how it was made
 * @param x its horizontal axis
 * @param y its vertical axis
 * @param lines at least one
 */
record Figure(String name, String title, String caption, Axis x, Axis y, List<Line> lines) {
  /**
   * An axis.
   *
   * @param title what it shows
   * @param logarithmic whether it is; what is not positive is then left out
   */
  record Axis(String title, boolean logarithmic) {}

  /** How a line looks. */
  enum Style {
    /** What the figure is about. */
    SOLID,
    /** One of several that belong together. */
    THIN,
    /** For comparison. */
    DASHED,
    /** No line: its points by themselves. */
    POINTS
  }

  /**
   * A line.
   *
   * @param name in the legend; null for a line that is not in it
   * @param x as many as y
   * @param y NaN where there is nothing
   * @param color the number of a colour; -1 for grey
   * @param style how it looks
   */
  record Line(String name, double[] x, double[] y, int color, Style style) {
    static Line level(String name, double y, double from, double to) {
      return new Line(name, new double[] {from, to}, new double[] {y, y}, -1, Style.DASHED);
    }

    private boolean isDrawable(int i, Figure figure) {
      boolean finite = Double.isFinite(x[i]) && Double.isFinite(y[i]);
      return finite && (!figure.x.logarithmic || x[i] > 0) && (!figure.y.logarithmic || y[i] > 0);
    }

    /** The points that can be drawn, as x and y. */
    double[][] points(Figure figure) {
      int count = 0;
      double[][] out = new double[2][x.length];
      for (int i = 0; i < x.length; i++) {
        if (isDrawable(i, figure)) {
          out[0][count] = x[i];
          out[1][count++] = y[i];
        }
      }
      return new double[][] {Arrays.copyOf(out[0], count), Arrays.copyOf(out[1], count)};
    }
  }
}
