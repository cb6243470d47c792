// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;

/** Where figures are drawn: by libraries that need not be there. Thread-safe; it keeps no state. */
public final class ChartLibrary {
  private static final String CHARTS = "org.knowm.xchart.XYChart";
  private static final String SVG = "org.apache.batik.svggen.SVGGraphics2D";

  private ChartLibrary() {}

  /**
   * What is missing to draw figures.
   *
   * @return a sentence; empty if nothing is
   */
  public static Optional<String> missing() {
    // Asked for before any class of AWT: there may be no display, and none is needed.
    System.setProperty("java.awt.headless", "true");
    if (!isThere(CHARTS)) {
      return Optional.of(
          "no figures are drawn: the charting library XChart (org.knowm.xchart:xchart) is not on"
              + " the class path");
    }
    if (!isThere(SVG)) {
      return Optional.of(
          "no figures are drawn: the SVG generator of Batik"
              + " (org.apache.xmlgraphics:batik-svggen) is not on the class path");
    }
    return Optional.empty();
  }

  private static boolean isThere(String name) {
    try {
      Class.forName(name, false, ChartLibrary.class.getClassLoader());
      return true;
    } catch (ClassNotFoundException | LinkageError e) {
      return false;
    }
  }

  /**
   * Draws a figure as {@code NAME.png} and {@code NAME.svg}.
   *
   * @return what went wrong, a sentence; empty if nothing did
   */
  static Optional<String> draw(Figure figure, Path folder) {
    try {
      Charts.write(figure, folder);
      return Optional.empty();
    } catch (IOException | RuntimeException | LinkageError | InternalError e) {
      // Java without fonts or without its native part of AWT fails in many ways.
      return Optional.of("the figure " + figure.name() + " could not be drawn: " + e);
    }
  }
}
