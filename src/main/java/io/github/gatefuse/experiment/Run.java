// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Weights;
import io.github.gatefuse.experiment.RunResult.Status;
import io.github.gatefuse.tasks.Goal;
import io.github.gatefuse.tasks.Practice;
import io.github.gatefuse.tasks.Task;
import io.github.gatefuse.tasks.Variant;
import io.github.gatefuse.training.Evaluation;
import io.github.gatefuse.training.LearningRate;
import io.github.gatefuse.training.Trainer;
import io.github.gatefuse.training.TrainingLoop;
import io.github.gatefuse.training.TrainingOptions;
import java.time.Duration;
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
  private final Folder folder;
  private final Watcher watcher;

  private Insight before;
  private Insight after;
  private Evaluation last;
  private String path = "";
  private long steps;
  private Duration elapsed = Duration.ZERO;

  /**
   * Prepares a run.
   *
   * @param probe to look into the network with; null for not
   * @param number of the run, 0 for the first
   * @param folder where its metrics go, and its checkpoint, from which it goes on
   */
  Run(
      Plan plan,
      Variant variant,
      long seed,
      Probe probe,
      int number,
      Folder folder,
      Watcher watcher) {
    this.plan = plan;
    this.task = plan.task();
    this.variant = variant;
    this.seed = seed;
    this.spec = variant.network(task, plan.hidden());
    this.probe = probe;
    this.number = number;
    this.folder = folder;
    this.watcher = watcher;
  }

  /** Trains; what goes wrong is part of the result, so that the other runs go on. */
  RunResult go() {
    try {
      String why = train();
      return result(why.isEmpty() ? Status.COMPLETE : Status.DIVERGED, why);
    } catch (GatefuseException | IllegalArgumentException e) {
      return result(Status.FAILED, e.getMessage());
    }
  }

  /** Gives where it diverged; "" for not. */
  private String train() {
    Weights initial = variant.init(task.steps()).weights(spec, seed);
    TrainingOptions options =
        TrainingOptions.of(task.steps(), plan.sequences(), task.objective())
            .withRate(LearningRate.constant(plan.rate()))
            .withNetwork(plan.network())
            .withThreads(plan.threads())
            .withRegularization(plan.regularization().withSeed(seed));
    Practice practice = task.practice(seed, plan.sequences());
    before = look(initial);
    TrainingLoop.Result result =
        TrainingLoop.of(spec, initial, options, practice)
            .untilStep(plan.steps())
            .atMost(plan.time())
            .evaluatingEvenly(
                trainer -> practice.evaluate(trainer, plan.quickBatches()), Plan.EVALUATIONS)
            .withMetrics(folder.metrics(name()))
            .withCheckpoint(folder.checkpoint(name()))
            .withListener(this::tell)
            .run();
    steps = result.steps();
    elapsed = result.elapsed();
    // A finished run that an experiment finds when it goes on is judged again, to the same bits.
    try (Trainer trainer = Trainer.create(spec, result.last(), options)) {
      path = path(trainer);
      if (result.end() != TrainingLoop.End.DIVERGED) {
        long begun = System.nanoTime();
        last = practice.evaluate(trainer, Long.MAX_VALUE);
        elapsed = elapsed.plusNanos(System.nanoTime() - begun);
        after = look(result.last());
      }
    }
    return result.why();
  }

  /** The name of its files. */
  private String name() {
    return variant.name().toLowerCase(Locale.ROOT).replace('_', '-') + "-" + seed;
  }

  private String path(Trainer trainer) {
    SessionOptions options =
        SessionOptions.of(1, 1)
            .withThreads(plan.threads())
            .withRegularization(plan.regularization());
    try (Session session = trainer.rnn().session(options)) {
      return session.path().toString();
    }
  }

  private Insight look(Weights weights) {
    return probe == null ? null : probe.look(spec, weights);
  }

  private void tell(TrainingLoop.Progress progress) {
    steps = progress.last().step() + 1;
    watcher.progress(number, progress.share(), text(progress));
  }

  private String text(TrainingLoop.Progress progress) {
    String start = "%s seed %d, step %d".formatted(variant.id(), seed, steps);
    if (progress.evaluation() == null) {
      return start; // It goes on from a checkpoint, and has not been judged since.
    }
    double metric = task.goal().metric().of(progress.evaluation());
    return start + String.format(Locale.ROOT, ", %s %.4g", task.goal().metric().label(), metric);
  }

  private RunResult result(Status status, String reason) {
    Goal goal = task.goal();
    List<Point> curve = Point.read(folder.metrics(name()), goal.metric());
    OptionalLong stepsToGoal =
        curve.stream()
            .filter(point -> goal.isSolved(point.metric()))
            .mapToLong(Point::step)
            .findFirst();
    return new RunResult(
        variant,
        seed,
        spec.parameters().stream().mapToLong(RnnSpec.Parameter::count).sum(),
        status,
        reason,
        steps,
        elapsed.toNanos() / 1e9,
        curve,
        last,
        last == null ? Double.NaN : goal.metric().of(last),
        stepsToGoal,
        path,
        before,
        after);
  }
}
