// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** What benchmarks need of the package of experiments: to draw a figure. Not thread-safe. */
public final class FigureAccess {
  private final String name;
  private final String title;
  private final Figure.Axis x;
  private final Figure.Axis y;
  private final List<Figure.Line> lines = new ArrayList<>();

  /**
   * A figure with logarithmic axes.
   *
   * @param name of its files, without an ending
   * @param title above it
   * @param x the title of its horizontal axis
   * @param y the title of its vertical axis
   */
  public FigureAccess(String name, String title, String x, String y) {
    this.name = name;
    this.title = title;
    this.x = new Figure.Axis(x, true);
    this.y = new Figure.Axis(y, true);
  }

  /**
   * Adds a dashed grey line.
   *
   * @param label in the legend
   * @param xs as many as ys
   * @param ys as many as xs
   */
  public void bound(String label, double[] xs, double[] ys) {
    lines.add(new Figure.Line(label, xs, ys, -1, Figure.Style.DASHED));
  }

  /**
   * Adds points in a colour of their own.
   *
   * @param label in the legend
   * @param xs as many as ys
   * @param ys as many as xs
   */
  public void points(String label, double[] xs, double[] ys) {
    long colored = lines.stream().filter(line -> line.style() == Figure.Style.POINTS).count();
    lines.add(new Figure.Line(label, xs, ys, (int) colored, Figure.Style.POINTS));
  }

  /**
   * Draws it as PNG and SVG.
   *
   * @param folder for both
   * @return what went wrong, a sentence; empty if nothing did
   */
  public Optional<String> draw(Path folder) {
    Optional<String> missing = ChartLibrary.missing();
    return missing.isPresent()
        ? missing
        : ChartLibrary.draw(new Figure(name, title, "", x, y, lines), folder);
  }
}
