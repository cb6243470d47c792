// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Weights;
import io.github.gatefuse.experiment.RunResult.Status;
import io.github.gatefuse.tasks.Practice;
import io.github.gatefuse.tasks.Task;
import io.github.gatefuse.tasks.Variant;
import io.github.gatefuse.training.DivergedException;
import io.github.gatefuse.training.Evaluation;
import io.github.gatefuse.training.LearningRate;
import io.github.gatefuse.training.StepReport;
import io.github.gatefuse.training.Trainer;
import io.github.gatefuse.training.TrainingOptions;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;

/** One training of one variant from one seed. For one thread. */
final class Run {
  private final Plan plan;
  private final Task task;
  private final Variant variant;
  private final long seed;
  private final RnnSpec spec;
  private final Probe probe;
  private final int number;
  private final Watcher watcher;

  private final long begun = System.nanoTime();
  private final List<Point> curve = new ArrayList<>();
  private OptionalLong stepsToGoal = OptionalLong.empty();
  private Insight before;
  private Insight after;
  private Evaluation last;
  private String path = "";
  private long steps;
  private double lossSum;
  private double normSum;
  private long sumCount;

  /**
   * Prepares a run.
   *
   * @param probe to look into the network with; null for not
   * @param number of the run, 0 for the first
   */
  Run(Plan plan, Variant variant, long seed, Probe probe, int number, Watcher watcher) {
    this.plan = plan;
    this.task = plan.task();
    this.variant = variant;
    this.seed = seed;
    this.spec = variant.network(task, plan.hidden());
    this.probe = probe;
    this.number = number;
    this.watcher = watcher;
  }

  /** Trains; what goes wrong is part of the result, so that the other runs go on. */
  RunResult go() {
    try {
      train();
      return result(Status.COMPLETE, "");
    } catch (DivergedException e) {
      return result(Status.DIVERGED, e.getMessage());
    } catch (GatefuseException | IllegalArgumentException e) {
      return result(Status.FAILED, e.getMessage());
    }
  }

  private void train() {
    Weights initial = variant.init(task.steps()).weights(spec, seed);
    TrainingOptions options =
        TrainingOptions.of(task.steps(), plan.sequences(), task.objective())
            .withRate(LearningRate.constant(plan.rate()))
            .withNetwork(plan.network())
            .withThreads(plan.threads());
    Practice practice = task.practice(seed, plan.sequences());
    before = look(initial);
    try (Trainer trainer = Trainer.create(spec, initial, options)) {
      path = path(trainer);
      evaluate(trainer, practice);
      int evaluations = 0;
      while (share() < 1) {
        StepReport report = practice.step(trainer, steps);
        steps++;
        lossSum += report.loss();
        normSum += report.gradientNorm();
        sumCount++;
        double share = share();
        watcher.progress(number, Math.min(1, share), text());
        if (share * Plan.EVALUATIONS >= evaluations + 1) {
          evaluations = (int) (share * Plan.EVALUATIONS);
          evaluate(trainer, practice);
        }
      }
      last = practice.evaluate(trainer, Long.MAX_VALUE);
      after = look(trainer.weights());
    }
  }

  private String path(Trainer trainer) {
    SessionOptions options = SessionOptions.of(1, 1).withThreads(plan.threads());
    try (Session session = trainer.rnn().session(options)) {
      return session.path().toString();
    }
  }

  private Insight look(Weights weights) {
    return probe == null ? null : probe.look(spec, weights);
  }

  /** How much is done, by steps or by time, whichever is more. */
  private double share() {
    return Math.max((double) steps / plan.steps(), seconds() / 60 / plan.minutes());
  }

  private double seconds() {
    return (System.nanoTime() - begun) / 1e9;
  }

  private void evaluate(Trainer trainer, Practice practice) {
    Evaluation evaluation = practice.evaluate(trainer, plan.quickBatches());
    double metric = task.goal().metric().of(evaluation);
    curve.add(
        new Point(
            steps,
            seconds(),
            lossSum / sumCount,
            normSum / sumCount,
            evaluation.loss(),
            evaluation.accuracy(),
            metric));
    lossSum = 0;
    normSum = 0;
    sumCount = 0;
    if (stepsToGoal.isEmpty() && task.goal().isSolved(metric)) {
      stepsToGoal = OptionalLong.of(steps);
    }
  }

  private String text() {
    Point point = curve.get(curve.size() - 1);
    return String.format(
        Locale.ROOT,
        "%s seed %d, step %d, %s %.4g",
        variant.id(),
        seed,
        steps,
        task.goal().metric().label(),
        point.metric());
  }

  private RunResult result(Status status, String reason) {
    long parameters = spec.parameters().stream().mapToLong(RnnSpec.Parameter::count).sum();
    double metric = last == null ? Double.NaN : task.goal().metric().of(last);
    return new RunResult(
        variant,
        seed,
        parameters,
        status,
        reason,
        steps,
        seconds(),
        List.copyOf(curve),
        last,
        metric,
        stepsToGoal,
        path,
        before,
        after);
  }
}
