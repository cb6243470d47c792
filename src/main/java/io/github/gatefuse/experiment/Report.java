// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import io.github.gatefuse.experiment.RunResult.Status;
import io.github.gatefuse.tasks.Goal;
import io.github.gatefuse.tasks.Variant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.stream.Collector;
import java.util.stream.Collectors;

/** Writes what an experiment found, as Markdown and CSV. */
final class Report {
  private static final String RESULTS_HEADER =
      "variant,seed,cell,parameters,status,steps,seconds,metric,loss,accuracy,steps_to_goal,reason\n";

  private final Plan plan;
  private final List<RunResult> results;

  Report(Plan plan, List<RunResult> results) {
    this.plan = plan;
    this.results = results;
  }

  /** A line for each run. */
  String resultsCsv() {
    StringBuilder out = new StringBuilder(RESULTS_HEADER);
    for (RunResult r : results) {
      out.append(r.variant().id()).append(',').append(r.seed()).append(',');
      out.append(r.variant().cell().id()).append(',').append(r.parameters()).append(',');
      out.append(r.status().name().toLowerCase(Locale.ROOT)).append(',').append(r.steps());
      out.append(String.format(Locale.ROOT, ",%.3f,", r.seconds()));
      out.append(number(r.metric())).append(',');
      out.append(r.last() == null ? "," : r.last().loss() + "," + r.last().accuracy()).append(',');
      r.stepsToGoal().ifPresent(out::append);
      out.append(',').append(quoted(r.reason())).append('\n');
    }
    return out.toString();
  }

  private static String quoted(String text) {
    return text.isEmpty() ? "" : '"' + text.replace("\"", "\"\"").replace('\n', ' ') + '"';
  }

  private static String number(double value) {
    return Double.isNaN(value) ? "" : Double.toString(value);
  }

  /**
   * The report.
   *
   * @param command the exact command
   * @param machine facts by name
   * @param figures that lie in the folder
   * @param troubles what kept figures from being drawn
   */
  String markdown(
      String command, Map<String, ?> machine, List<Figure> figures, List<String> troubles) {
    StringBuilder out = new StringBuilder("# Experiment: " + plan.task().id() + "\n\n");
    out.append(plan.task().description()).append("\n\n");
    out.append("    ").append(command).append("\n\n");
    out.append("## Results\n\n").append(table()).append('\n').append(explanation());
    out.append(failures());
    if (!figures.isEmpty() || !troubles.isEmpty()) {
      out.append("\n## Figures\n");
    }
    for (Figure figure : figures) {
      out.append(
          "\n![%s](%s.png)\n\n%s ([SVG](%s.svg))\n"
              .formatted(figure.title(), figure.name(), figure.caption(), figure.name()));
    }
    troubles.forEach(trouble -> out.append("\n").append(trouble).append(".\n"));
    out.append("\n## Settings\n\n").append(settings());
    out.append("\n## Machine\n\n").append(rows(machine));
    return out.toString();
  }

  private String table() {
    Goal goal = plan.task().goal();
    boolean solvable = goal.solved().isPresent();
    StringBuilder out = new StringBuilder();
    out.append("| variant | cell | parameters | runs | " + goal.metric().label());
    out.append(solvable ? " | steps until the goal" : "").append(" | steps | seconds a run |\n");
    out.append("|---|---|---|---|---|---|---|").append(solvable ? "---|" : "").append('\n');
    for (Variant variant : plan.variants()) {
      List<RunResult> runs = of(variant);
      if (runs.isEmpty()) {
        continue; // Its turn has not come.
      }
      List<RunResult> complete = complete(runs);
      out.append("| ").append(variant.id().equals("--") ? "\\-\\-" : variant.id());
      out.append(" | ").append(variant.cell().id());
      out.append(" | ").append(runs.get(0).parameters());
      out.append(" | ").append(counts(runs));
      out.append(" | ").append(meanAndSpread(complete));
      if (solvable) {
        out.append(" | ").append(stepsToGoal(runs));
      }
      out.append(" | ").append(range(runs.stream().mapToDouble(RunResult::steps).toArray()));
      out.append(" | ").append(range(runs.stream().mapToDouble(RunResult::seconds).toArray()));
      out.append(" |\n");
    }
    return out.toString();
  }

  private List<RunResult> of(Variant variant) {
    return results.stream().filter(result -> result.variant() == variant).toList();
  }

  private static List<RunResult> complete(List<RunResult> runs) {
    return runs.stream().filter(run -> run.status() == Status.COMPLETE).toList();
  }

  private static String counts(List<RunResult> runs) {
    List<String> parts = new ArrayList<>();
    for (Status status : Status.values()) {
      long count = runs.stream().filter(run -> run.status() == status).count();
      if (count > 0) {
        parts.add(status == Status.COMPLETE ? "" + count : count + " " + lower(status));
      }
    }
    return String.join(", ", parts);
  }

  private static String lower(Status status) {
    return status.name().toLowerCase(Locale.ROOT);
  }

  private static String meanAndSpread(List<RunResult> runs) {
    if (runs.isEmpty()) {
      return "";
    }
    double[] values = runs.stream().mapToDouble(RunResult::metric).toArray();
    double mean = mean(values);
    OptionalDouble spread = deviation(values);
    return spread.isPresent()
        ? String.format(Locale.ROOT, "%.4g ± %.2g", mean, spread.getAsDouble())
        : String.format(Locale.ROOT, "%.4g", mean);
  }

  private static double mean(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum / values.length;
  }

  /** The standard deviation of a sample; empty for one value. */
  static OptionalDouble deviation(double[] values) {
    if (values.length < 2) {
      return OptionalDouble.empty();
    }
    double mean = mean(values);
    double squares = 0;
    for (double value : values) {
      squares += (value - mean) * (value - mean);
    }
    return OptionalDouble.of(Math.sqrt(squares / (values.length - 1)));
  }

  private static String stepsToGoal(List<RunResult> runs) {
    return runs.stream()
        .map(
            run ->
                run.stepsToGoal().isPresent()
                    ? Long.toString(run.stepsToGoal().getAsLong())
                    : "not reached")
        .collect(Collectors.joining(", "));
  }

  private static String range(double[] values) {
    double least = Double.MAX_VALUE;
    double most = 0;
    for (double value : values) {
      least = Math.min(least, value);
      most = Math.max(most, value);
    }
    String low = String.format(Locale.ROOT, "%.0f", least);
    String high = String.format(Locale.ROOT, "%.0f", most);
    return low.equals(high) ? low : low + " to " + high;
  }

  private String explanation() {
    Goal goal = plan.task().goal();
    StringBuilder out = new StringBuilder();
    out.append("What is told is the ").append(goal.metric().label());
    out.append(" with the last parameters on all held-out data");
    out.append(
        plan.seeds().size() > 1
            ? ": mean and standard deviation over the complete runs of all seeds.\n"
            : ", of one run: how much it depends on the seed is not known.\n");
    goal.baseline()
        .ifPresent(
            value -> out.append(String.format(Locale.ROOT, "Without memory it is %.4g.\n", value)));
    goal.solved()
        .ifPresent(
            value ->
                out.append(
                    String.format(
                        Locale.ROOT,
                        "The goal is %.4g; steps until it are those of the first evaluation that"
                            + " reached it, in the order of the seeds.\n",
                        value)));
    out.append("The time of a run has its evaluations in it. [results.csv](results.csv) has every");
    out.append(" run, `runs/` a file of metrics for each.\n");
    return out.toString();
  }

  private String failures() {
    StringBuilder out = new StringBuilder();
    for (RunResult result : results) {
      if (result.status() != Status.COMPLETE) {
        out.append(
            "\n- %s, seed %d %s after %d steps: %s\n"
                .formatted(
                    result.variant().id(),
                    result.seed(),
                    lower(result.status()),
                    result.steps(),
                    result.reason().replace('\n', ' ')));
      }
    }
    return out.toString();
  }

  private String settings() {
    Map<String, Object> all = new LinkedHashMap<>();
    all.put("variants", ids());
    all.put("seeds", plan.seeds().toString().replaceAll("[\\[\\]]", ""));
    all.put("hidden units", plan.hidden());
    all.put("longest sequence", plan.task().steps());
    all.put("sequences in a batch", plan.sequences());
    all.put(
        "length of a run",
        plan.steps() < Long.MAX_VALUE ? plan.steps() + " steps" : plan.minutes() + " minutes");
    all.put("optimiser", "Adam, rate " + plan.rate() + ", gradients clipped to norm 1");
    all.put("left to chance", plan.chance());
    all.put(
        "path",
        results.stream()
            .map(RunResult::path)
            .filter(path -> !path.isEmpty())
            .distinct()
            .collect(joining()));
    return rows(all);
  }

  private String ids() {
    return plan.variants().stream().map(Variant::id).collect(joining());
  }

  private static Collector<CharSequence, ?, String> joining() {
    return Collectors.joining(", ");
  }

  private static String rows(Map<String, ?> facts) {
    StringBuilder out = new StringBuilder("| | |\n|---|---|\n");
    facts.forEach((name, value) -> out.append("| " + name + " | " + value + " |\n"));
    return out.toString();
  }
}
