// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Dimension;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import org.apache.batik.svggen.SVGGraphics2D;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.SeriesMarkers;
import org.w3c.dom.Document;

/** Draws figures with XChart, as bitmaps and by Batik as SVG. The only user of both. */
final class Charts {
  private static final int WIDTH = 900;
  private static final int HEIGHT = 540;
  private static final Color GREY = new Color(0x777777);
  private static final Color LIGHT = new Color(0xE2E2E2);

  /** That of Okabe and Ito, made to be told apart by everyone, and a few more. */
  private static final Color[] COLORS = {
    new Color(0x0072B2),
    new Color(0xD55E00),
    new Color(0x009E73),
    new Color(0xCC79A7),
    new Color(0xE69F00),
    new Color(0x56B4E9),
    new Color(0x000000),
    new Color(0x8C564B),
    new Color(0x6A3D9A),
    new Color(0xB8B000),
    new Color(0x17807E)
  };

  private Charts() {}

  static void write(Figure figure, Path folder) throws IOException {
    XYChart chart = chart(figure);
    BitmapEncoder.saveBitmap(
        chart, folder.resolve(figure.name() + ".png").toString(), BitmapEncoder.BitmapFormat.PNG);
    svg(chart, folder.resolve(figure.name() + ".svg"));
  }

  private static XYChart chart(Figure figure) {
    XYChart chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(figure.title())
            .xAxisTitle(figure.x().title())
            .yAxisTitle(figure.y().title())
            .build();
    XYStyler styler = chart.getStyler();
    styler.setDefaultSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Line);
    styler.setChartBackgroundColor(Color.WHITE);
    styler.setLegendPosition(Styler.LegendPosition.OutsideE);
    styler.setLegendBorderColor(Color.WHITE);
    styler.setPlotBorderColor(GREY);
    // Solid: a dashed line is hundreds of shapes in SVG.
    styler.setPlotGridLinesColor(LIGHT);
    styler.setPlotGridLinesStroke(new BasicStroke(0.7f));
    styler.setXAxisLogarithmic(figure.x().logarithmic());
    styler.setYAxisLogarithmic(figure.y().logarithmic());
    for (int i = 0; i < figure.lines().size(); i++) {
      add(chart, figure, i);
    }
    return chart;
  }

  private static void add(XYChart chart, Figure figure, int number) {
    Figure.Line line = figure.lines().get(number);
    double[][] data = line.points(figure);
    if (data[0].length == 0) {
      return;
    }
    // Names have to differ; those that are not shown may be anything.
    String name = line.name() == null ? "line " + number : line.name();
    XYSeries series = chart.addSeries(name, data[0], data[1]);
    series.setShowInLegend(line.name() != null);
    boolean points = line.style() == Figure.Style.POINTS;
    if (points) {
      series.setXYSeriesRenderStyle(XYSeries.XYSeriesRenderStyle.Scatter);
    }
    boolean marked = points || data[0].length == 1;
    series.setMarker(marked ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE);
    Color color = line.color() < 0 ? GREY : COLORS[line.color() % COLORS.length];
    series.setLineColor(color);
    series.setMarkerColor(color);
    series.setLineStyle(stroke(line.style()));
  }

  private static BasicStroke stroke(Figure.Style style) {
    return switch (style) {
      case SOLID, POINTS -> new BasicStroke(2.2f, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND);
      case THIN -> new BasicStroke(1f, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND);
      case DASHED ->
          new BasicStroke(
              1.4f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 10, new float[] {7, 5}, 0);
    };
  }

  private static void svg(XYChart chart, Path file) throws IOException {
    Document document;
    try {
      document =
          DocumentBuilderFactory.newInstance()
              .newDocumentBuilder()
              .getDOMImplementation()
              .createDocument("http://www.w3.org/2000/svg", "svg", null);
    } catch (ParserConfigurationException e) {
      throw new IOException(e);
    }
    SVGGraphics2D graphics = new SVGGraphics2D(document);
    graphics.setSVGCanvasSize(new Dimension(WIDTH, HEIGHT));
    chart.paint(graphics, WIDTH, HEIGHT);
    try (Writer out = Files.newBufferedWriter(file)) {
      graphics.stream(out, true);
    }
  }
}
