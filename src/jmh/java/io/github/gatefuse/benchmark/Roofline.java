// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import static io.github.gatefuse.benchmark.Text.number;
import static io.github.gatefuse.benchmark.Text.row;

import io.github.gatefuse.experiment.FigureAccess;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The float32 contenders under what the processor reaches at best: tables and a figure for each
 * number of threads. Not to be changed.
 */
final class Roofline {
  /** Of the figure, left and right of the points. */
  private static final double MARGIN = 1.5;

  private final List<Series> series;
  private final List<Ceilings> ceilings;

  Roofline(List<Series> series, List<Ceilings> ceilings) {
    this.series =
        series.stream()
            .filter(s -> !s.race().isReduced() && !s.shape().equals(Comparison.EMPTY))
            .toList();
    this.ceilings = ceilings;
  }

  /** Appends its section to a report of a name, and draws figures into the report's folder. */
  void write(StringBuilder out, Path folder, String name) {
    if (series.isEmpty()) {
      return;
    }
    ceilings(out);
    fractions(out);
    out.append(
        """

        FLOP per byte: the products' operations over the recurrent weights at every step, the other
        weights, the input and the output once. Points above a line of memory have found their
        weights in a nearer one.
        """);
    for (Ceilings c : ceilings) {
      figure(out, folder, name + "-roofline-" + c.threads() + "t", c);
    }
  }

  private void ceilings(StringBuilder out) {
    out.append(
        """

        ## Roofline

        Measured in the same run, the best of five tries: fused multiplications and additions in
        float32 from registers, and reading a buffer again and again, in each thread one of its own.

        | threads | FMA, GFLOP/s | read, GB/s |
        |---|---|---|
        """);
    for (Ceilings c : ceilings) {
      StringBuilder reads = new StringBuilder();
      c.gigabytes().forEach((name, rate) -> reads.append(name + " " + number(rate) + ", "));
      reads.setLength(reads.length() - 2);
      row(out, c.threads(), number(c.gigaflops()), reads);
    }
  }

  private void fractions(StringBuilder out) {
    out.append(
        """

        Ours as a part of the FMA peak:

        | B x T x H | threads | FLOP per byte | contender | GFLOP/s | of the peak |
        |---|---|---|---|---|---|
        """);
    for (Series s : series) {
      Optional<Ceilings> c = ceilings.stream().filter(x -> x.threads() == s.threads()).findFirst();
      if (s.isOurs() && c.isPresent()) {
        String part = Text.format("%.0f %%", 100 * s.gigaflops() / c.get().gigaflops());
        String intensity = number(intensity(s.shape()));
        row(out, s.shape(), s.threads(), intensity, s.contender(), number(s.gigaflops()), part);
      }
    }
  }

  private static double intensity(Shape shape) {
    return shape.operations() / shape.bytes();
  }

  private void figure(StringBuilder out, Path folder, String file, Ceilings c) {
    String title = "Roofline, threads " + c.threads();
    FigureAccess figure = new FigureAccess(file, title, "FLOP per byte", "GFLOP/s");
    List<Series> points = series.stream().filter(s -> s.threads() == c.threads()).toList();
    double[] intensities =
        points.stream().mapToDouble(s -> intensity(s.shape())).sorted().toArray();
    bounds(figure, c, intensities[0] / MARGIN, intensities[intensities.length - 1] * MARGIN);
    points.stream().map(Roofline::label).distinct().forEach(label -> points(figure, label, points));
    out.append(
        figure
            .draw(folder)
            .map(trouble -> "\n" + trouble + ".\n")
            .orElse("\n![%s](%s.png)\n\n([SVG](%s.svg))\n".formatted(title, file, file)));
  }

  private static void bounds(FigureAccess figure, Ceilings c, double from, double to) {
    double peak = c.gigaflops();
    figure.bound(
        "FMA " + number(peak) + " GFLOP/s", new double[] {from, to}, new double[] {peak, peak});
    for (Map.Entry<String, Double> memory : c.gigabytes().entrySet()) {
      double rate = memory.getValue();
      double corner = Math.min(to, peak / rate);
      if (corner > from) {
        figure.bound(
            memory.getKey() + " " + number(rate) + " GB/s",
            new double[] {from, corner},
            new double[] {from * rate, corner * rate});
      }
    }
  }

  /** The settings of a contender that differ by shape are one in the figure. */
  private static String label(Series series) {
    return series.contender().split(",")[0];
  }

  private static void points(FigureAccess figure, String label, List<Series> all) {
    List<Series> of = all.stream().filter(s -> label(s).equals(label)).toList();
    figure.points(
        label,
        of.stream().mapToDouble(s -> intensity(s.shape())).toArray(),
        of.stream().mapToDouble(Series::gigaflops).toArray());
  }
}
