// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import io.github.gatefuse.experiment.Figure.Axis;
import io.github.gatefuse.experiment.Figure.Line;
import io.github.gatefuse.experiment.Figure.Style;
import io.github.gatefuse.reference.EffectiveGate;
import io.github.gatefuse.tasks.Goal;
import io.github.gatefuse.tasks.Metric;
import io.github.gatefuse.tasks.Variant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.stream.Stream;

/** Makes the figures of a comparison. */
final class Figures {
  private static final int GATE_BINS = 40;
  private static final int TIME_BINS = 48;
  private static final double LONGEST_TIME = 1e6;

  /** What is below cannot be seen, and hides the rest where it is drawn. */
  private static final double LEAST_GRADIENT = 1e-15;

  private final Plan plan;
  private final List<RunResult> results;

  Figures(Plan plan, List<RunResult> results) {
    this.plan = plan;
    this.results = results;
  }

  /** All figures that have something to show. */
  List<Figure> all() {
    return Stream.of(
            curves(),
            gates("before", RunResult::before),
            gates("after", RunResult::after),
            times("before", RunResult::before),
            times("after", RunResult::after),
            gradients("before", RunResult::before),
            gradients("after", RunResult::after),
            saturation())
        .filter(figure -> !figure.lines().isEmpty())
        .toList();
  }

  private Figure curves() {
    Goal goal = plan.task().goal();
    List<Line> lines = new ArrayList<>();
    double furthest = 0;
    for (RunResult result : results) {
      int count = result.curve().size();
      boolean first = result.seed() == plan.seeds().get(0);
      if (count > 0) {
        furthest = Math.max(furthest, result.curve().get(count - 1).step());
        double[] x = result.curve().stream().mapToDouble(Point::step).toArray();
        double[] y = result.curve().stream().mapToDouble(Point::metric).toArray();
        lines.add(line(first ? result.variant().id() : null, x, y, result.variant()));
      }
    }
    if (!lines.isEmpty()) {
      double end = furthest;
      goal.baseline().ifPresent(y -> lines.add(Line.level(named("baseline", y), y, 0, end)));
      goal.solved().ifPresent(y -> lines.add(Line.level(named("goal", y), y, 0, end)));
    }
    return new Figure(
        "curves",
        plan.task().id() + ": " + goal.metric().label() + " on held-out data",
        "A line for each run; the first "
            + plan.quickBatches()
            + " held-out batches at each evaluation.",
        new Axis("steps", false),
        new Axis(goal.metric().label(), goal.metric() == Metric.LOSS),
        lines);
  }

  private static String named(String name, double value) {
    return String.format(Locale.ROOT, "%s %.3g", name, value);
  }

  private Line line(String name, double[] x, double[] y, Variant variant) {
    Style style = plan.seeds().size() == 1 ? Style.SOLID : Style.THIN;
    return new Line(name, x, y, plan.variants().indexOf(variant), style);
  }

  private Figure gates(String when, Function<RunResult, Insight> look) {
    double[] edges = new double[GATE_BINS + 1];
    for (int i = 0; i <= GATE_BINS; i++) {
      edges[i] = (double) i / GATE_BINS;
    }
    return new Figure(
        "gates-" + when,
        "Effective gates " + when + " training",
        "The share of the memory that is kept, of all units at some steps of held-out sequences;"
            + " the first seed of each variant.",
        new Axis("effective gate", false),
        new Axis("share", false),
        lines(look, insight -> histogram(insight.gates(), edges, value -> value)));
  }

  private Figure times(String when, Function<RunResult, Insight> look) {
    double[] edges = new double[TIME_BINS + 1];
    for (int i = 0; i <= TIME_BINS; i++) {
      edges[i] = Math.pow(LONGEST_TIME, (double) i / TIME_BINS);
    }
    return new Figure(
        "time-scales-" + when,
        "Time scales " + when + " training",
        "1 / (1 - effective gate) in steps, in bins of the same width on the logarithmic axis; what"
            + " is longer than a million is counted as that. The same data as those of the gates.",
        new Axis("time scale in steps", true),
        new Axis("share", false),
        lines(look, insight -> histogram(insight.complements(), edges, value -> 1 / value)));
  }

  private interface Histogram {
    double[][] of(Insight insight);
  }

  private List<Line> lines(Function<RunResult, Insight> look, Histogram histogram) {
    List<Line> lines = new ArrayList<>();
    for (RunResult result : results) {
      Insight insight = look.apply(result);
      if (insight != null) {
        double[][] points = histogram.of(insight);
        int color = plan.variants().indexOf(result.variant());
        lines.add(new Line(result.variant().id(), points[0], points[1], color, Style.SOLID));
      }
    }
    return lines;
  }

  private interface Value {
    double of(double x);
  }

  /** The outline of a histogram: two points for each bin. */
  static double[][] histogramOutline(double[] edges, double[] shares) {
    double[][] out = new double[2][2 * shares.length];
    for (int i = 0; i < shares.length; i++) {
      out[0][2 * i] = edges[i];
      out[0][2 * i + 1] = edges[i + 1];
      out[1][2 * i] = shares[i];
      out[1][2 * i + 1] = shares[i];
    }
    return out;
  }

  private static double[][] histogram(float[] values, double[] edges, Value value) {
    double[] shares = new double[edges.length - 1];
    for (float x : values) {
      double v = value.of(x);
      int bin = 0;
      while (bin < shares.length - 1 && v >= edges[bin + 1]) {
        bin++;
      }
      shares[bin] += 1.0 / values.length;
    }
    return histogramOutline(edges, shares);
  }

  private Figure gradients(String when, Function<RunResult, Insight> look) {
    return new Figure(
        "gradients-" + when,
        "Gradient by distance in time, " + when + " training",
        "The length of the gradient of the loss at the last step by the input so many steps before"
            + " it, the mean over held-out sequences; the first seed of each variant.",
        new Axis("distance in steps", false),
        new Axis("length of the gradient", true),
        lines(look, insight -> byDistance(insight.gradientByDistance())));
  }

  private static double[][] byDistance(double[] gradient) {
    double[][] out = new double[2][gradient.length];
    for (int d = 0; d < gradient.length; d++) {
      out[0][d] = d;
      out[1][d] = gradient[d] < LEAST_GRADIENT ? Double.NaN : gradient[d];
    }
    return out;
  }

  /** Nothing measured: what the formulas say. */
  private static Figure saturation() {
    int points = 60;
    double[] distance = new double[points];
    double[] standard = new double[points];
    double[] least = new double[points];
    double[] most = new double[points];
    for (int i = 0; i < points; i++) {
      double complement = 0.5 * Math.pow(1e-5, (double) i / (points - 1));
      distance[i] = complement;
      standard[i] = complement * (1 - complement);
      double[] range = refineRange(complement);
      least[i] = range[0];
      most[i] = range[1];
    }
    return new Figure(
        "saturation",
        "Gradient of the gate near saturation",
        "From the formulas, not measured: the length of the gradient of a gate g by its"
            + " pre-activations. A refine cell reaches the same g by many pairs of forget and"
            + " refine gate; shown are the steepest and the flattest of them.",
        new Axis("1 - g", true),
        new Axis("length of the gradient", true),
        List.of(
            new Line("refine gate, steepest", distance, most, 1, Style.SOLID),
            new Line("refine gate, flattest", distance, least, 4, Style.SOLID),
            new Line("standard gate", distance, standard, 0, Style.DASHED)));
  }

  /**
   * The least and the greatest slope over all pairs of pre-activations that give one effective
   * gate.
   */
  static double[] refineRange(double complement) {
    double least = Double.MAX_VALUE;
    double most = 0;
    for (double r = -20; r <= 20; r += 0.125) {
      double slope = EffectiveGate.refineSlope(forgetFor(complement, r), r);
      least = Math.min(least, slope);
      most = Math.max(most, slope);
    }
    return new double[] {least, most};
  }

  /** The forget gate's pre-activation that gives an effective gate, by bisection. */
  private static double forgetFor(double complement, double r) {
    double low = -40;
    double high = 40;
    for (int i = 0; i < 50; i++) {
      double middle = (low + high) / 2;
      if (EffectiveGate.refineComplement(middle, r) > complement) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return (low + high) / 2;
  }
}
