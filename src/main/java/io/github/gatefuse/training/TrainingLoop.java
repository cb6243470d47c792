// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.io.Safetensors;
import io.github.gatefuse.io.SafetensorsWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * Trains until enough is done: so many steps, so much time, or no more progress on held-out data.
 * On its way it evaluates, writes metrics as CSV, keeps the best parameters, and saves checkpoints
 * that it goes on from when it is run again.
 *
 * <pre>{@code
 * TrainingLoop.Result result =
 *     TrainingLoop.of(spec, initial, options, batches)
 *         .untilStep(2000)
 *         .evaluating(heldOut, 10, 100)
 *         .withCheckpoint(Path.of("run.checkpoint"))
 *         .run();
 * }</pre>
 *
 * <p>Immutable and thread-safe; a run is a matter of its thread.
 */
public final class TrainingLoop {
  /**
   * How far a run has come.
   *
   * @param last the last step
   * @param meanLoss of the steps since the report before
   * @param evaluation the newest; null before the first
   * @param isEvaluated whether it is that of this very step
   * @param elapsed since the run began, time before a checkpoint counted
   * @param share how much of the run is done, 0 to 1, by steps or time
   */
  public record Progress(
      StepReport last,
      double meanLoss,
      Evaluation evaluation,
      boolean isEvaluated,
      Duration elapsed,
      double share) {}

  /** Why a run ended. */
  public enum End {
    /** All steps are taken. */
    STEPS,
    /** The time is up. */
    TIME,
    /** Held-out data were not predicted better for as many evaluations as were allowed. */
    PATIENCE,
    /** A number was not finite. */
    DIVERGED
  }

  /**
   * What a run gave.
   *
   * @param end why it ended
   * @param why a sentence, where it diverged; else ""
   * @param steps taken in all
   * @param elapsed in all
   * @param last the parameters after the last step
   * @param best the parameters of the best evaluation; without evaluations the last ones
   * @param bestEvaluation the best evaluation; null without any
   * @param bestStep after how many steps it was made
   */
  public record Result(
      End end,
      String why,
      long steps,
      Duration elapsed,
      Weights last,
      Weights best,
      Evaluation bestEvaluation,
      long bestStep) {}

  private final RnnSpec spec;
  private final Weights initial;
  private final TrainingOptions options;
  private final Lesson lesson;

  // Set by the methods that give a changed copy, and never again.
  private long steps = 1000;
  private Duration time = Duration.ofDays(3650);
  private Function<Trainer, Evaluation> judge;
  private long every = Long.MAX_VALUE;
  private int evenly;
  private int patience = Integer.MAX_VALUE;
  private Path checkpoint;
  private Path metrics;
  private Consumer<Progress> listener = progress -> {};

  private TrainingLoop(RnnSpec spec, Weights initial, TrainingOptions options, Lesson lesson) {
    this.spec = Objects.requireNonNull(spec, "spec");
    this.initial = Objects.requireNonNull(initial, "initial");
    this.options = Objects.requireNonNull(options, "options");
    this.lesson = lesson;
  }

  private TrainingLoop copy() {
    TrainingLoop copy = new TrainingLoop(spec, initial, options, lesson);
    copy.steps = steps;
    copy.time = time;
    copy.judge = judge;
    copy.every = every;
    copy.evenly = evenly;
    copy.patience = patience;
    copy.checkpoint = checkpoint;
    copy.metrics = metrics;
    copy.listener = listener;
    return copy;
  }

  /**
   * A loop that takes 1000 steps.
   *
   * @param spec the network
   * @param initial its parameters to begin with
   * @param options how it is trained
   * @param batches what it learns from
   * @return a new loop
   */
  public static TrainingLoop of(
      RnnSpec spec, Weights initial, TrainingOptions options, BatchSource batches) {
    Objects.requireNonNull(batches, "batches");
    return of(spec, initial, options, (trainer, index) -> trainer.step(batches.batch(index)));
  }

  /**
   * A loop that takes 1000 steps of its own kind.
   *
   * @param spec the network
   * @param initial its parameters to begin with
   * @param options how it is trained
   * @param lesson what it does at each step
   * @return a new loop
   */
  public static TrainingLoop of(
      RnnSpec spec, Weights initial, TrainingOptions options, Lesson lesson) {
    return new TrainingLoop(spec, initial, options, Objects.requireNonNull(lesson, "lesson"));
  }

  /**
   * The same until a number of steps, those before a checkpoint counted.
   *
   * @param value at least 0
   * @return a new loop
   * @throws IllegalArgumentException if it is less
   */
  public TrainingLoop untilStep(long value) {
    if (value < 0) {
      throw new IllegalArgumentException("steps: expected at least 0, got " + value);
    }
    TrainingLoop copy = copy();
    copy.steps = value;
    return copy;
  }

  /**
   * The same for at most a time, that before a checkpoint counted.
   *
   * @param value how long, at least 0
   * @return a new loop
   * @throws IllegalArgumentException if it is less
   */
  public TrainingLoop atMost(Duration value) {
    if (value.isNegative()) {
      throw new IllegalArgumentException("time: expected at least 0, got " + value);
    }
    TrainingLoop copy = copy();
    copy.time = value;
    return copy;
  }

  /**
   * The same with evaluations on batches that are not learnt from.
   *
   * @param source the batches
   * @param count how many each time, from number 0 on
   * @param interval how many steps lie between evaluations
   * @return a new loop
   */
  public TrainingLoop evaluating(BatchSource source, long count, long interval) {
    if (count < 1 || interval < 1) {
      throw new IllegalArgumentException(
          "evaluation: expected at least one batch and one step, got "
              + count
              + " and "
              + interval);
    }
    Objects.requireNonNull(source, "source");
    TrainingLoop copy = copy();
    copy.judge = trainer -> trainer.evaluate(source::batch, count);
    copy.every = interval;
    copy.evenly = 0;
    return copy;
  }

  /**
   * The same with an evaluation before the first step, and a number of them evenly over the steps
   * or the time, the last one at the end.
   *
   * @param value judges the network, without learning
   * @param count how many evaluations, the one before the first step apart
   * @return a new loop
   */
  public TrainingLoop evaluatingEvenly(Function<Trainer, Evaluation> value, int count) {
    if (count < 1) {
      throw new IllegalArgumentException("evaluation: expected at least one, got " + count);
    }
    TrainingLoop copy = copy();
    copy.judge = Objects.requireNonNull(value, "value");
    copy.every = Long.MAX_VALUE;
    copy.evenly = count;
    return copy;
  }

  /**
   * The same, ending early.
   *
   * @param evaluations so many in a row may pass without a new best one
   * @return a new loop
   */
  public TrainingLoop withPatience(int evaluations) {
    TrainingLoop copy = copy();
    copy.patience = evaluations;
    return copy;
  }

  /**
   * The same with a checkpoint: written after every evaluation and at the end, and gone on from
   * where it exists when the run begins. The best parameters lie beside it, in {@link #bestFile}.
   *
   * @param file where
   * @return a new loop
   */
  public TrainingLoop withCheckpoint(Path file) {
    TrainingLoop copy = copy();
    copy.checkpoint = file;
    return copy;
  }

  /**
   * Where the best parameters of a run with a checkpoint lie.
   *
   * @param checkpoint that of {@link #withCheckpoint}
   * @return a file beside it, of its name with {@code .best} behind it
   */
  public static Path bestFile(Path checkpoint) {
    return checkpoint.resolveSibling(checkpoint.getFileName() + ".best");
  }

  /**
   * The same with metrics: a line for every evaluation, with the means of loss and gradient norm
   * over the steps since the one before.
   *
   * @param file a CSV file; a run that goes on from a checkpoint adds to it
   * @return a new loop
   */
  public TrainingLoop withMetrics(Path file) {
    TrainingLoop copy = copy();
    copy.metrics = file;
    return copy;
  }

  /**
   * The same with somebody who is told of every step.
   *
   * @param value called by the thread that runs
   * @return a new loop
   */
  public TrainingLoop withListener(Consumer<Progress> value) {
    TrainingLoop copy = copy();
    copy.listener = value;
    return copy;
  }

  /**
   * Trains.
   *
   * @return what came of it; also where it diverged
   * @throws io.github.gatefuse.GatefuseException if the backend fails, or a file cannot be read or
   *     written
   */
  public Result run() {
    boolean resumed = checkpoint != null && Files.exists(checkpoint);
    try (Trainer trainer =
            resumed
                ? Trainer.resume(checkpoint, spec, options)
                : Trainer.create(spec, initial, options);
        Metrics file = Metrics.open(metrics, trainer.steps())) {
      Run run = new Run(trainer, file);
      if (resumed) {
        run.restore(Checkpoint.read(checkpoint, spec).notes());
      }
      return run.go();
    }
  }

  /** One run. */
  private final class Run {
    private final Trainer trainer;
    private final Metrics file;
    private final long begun = System.nanoTime();
    private long nanosBefore;
    private Weights best;
    private Evaluation bestEvaluation;
    private Evaluation newest;
    private long bestStep;
    private int stale;
    private long dueBefore;
    private double lossSum;
    private double normSum;
    private long sumCount;

    Run(Trainer trainer, Metrics file) {
      this.trainer = trainer;
      this.file = file;
    }

    Result go() {
      try {
        if (evenly > 0 && trainer.steps() == 0) {
          evaluate(Double.NaN);
        }
        dueBefore = due();
        while (true) {
          End end = end();
          if (end != null) {
            return finish(end, "");
          }
          StepReport report = lesson.step(trainer, trainer.steps());
          lossSum += report.loss();
          normSum += report.gradientNorm();
          sumCount++;
          long due = due();
          boolean evaluate = judge != null && due > dueBefore;
          if (evaluate) {
            evaluate(report.learningRate());
          }
          listener.accept(progress(report, evaluate));
          if (evaluate) {
            dueBefore = due;
            lossSum = 0;
            normSum = 0;
            sumCount = 0;
            save();
          }
        }
      } catch (DivergedException e) {
        return finish(End.DIVERGED, e.getMessage());
      }
    }

    private End end() {
      if (trainer.steps() >= steps) {
        return End.STEPS;
      }
      if (elapsed().compareTo(time) >= 0) {
        return End.TIME;
      }
      return stale >= patience ? End.PATIENCE : null;
    }

    /** How many evaluations are due, those that were made counted. */
    private long due() {
      return evenly > 0 ? (long) (share() * evenly) : trainer.steps() / every;
    }

    private double share() {
      double bySteps = steps == 0 ? 1 : (double) trainer.steps() / steps;
      double byTime = seconds(elapsed()) / seconds(time);
      return Math.min(1, Math.max(bySteps, byTime));
    }

    /** The nanoseconds of a long time are more than a long holds. */
    private static double seconds(Duration duration) {
      return duration.getSeconds() + duration.getNano() / 1e9;
    }

    private Duration elapsed() {
      return Duration.ofNanos(nanosBefore + System.nanoTime() - begun);
    }

    private void evaluate(double rate) {
      newest = judge.apply(trainer);
      if (bestEvaluation == null || newest.loss() < bestEvaluation.loss()) {
        bestEvaluation = newest;
        bestStep = trainer.steps();
        best = trainer.weights();
        stale = 0;
        saveBest();
      } else {
        stale++;
      }
      double loss = lossSum / sumCount;
      double norm = normSum / sumCount;
      file.write(trainer.steps(), elapsed(), loss, norm, rate, newest);
    }

    private Progress progress(StepReport report, boolean evaluated) {
      return new Progress(report, lossSum / sumCount, newest, evaluated, elapsed(), share());
    }

    private Result finish(End end, String why) {
      if (end != End.DIVERGED) {
        save();
      }
      Weights last = trainer.weights();
      return new Result(
          end,
          why,
          trainer.steps(),
          elapsed(),
          last,
          best == null ? last : best,
          bestEvaluation,
          bestStep);
    }

    private void saveBest() {
      if (checkpoint != null) {
        SafetensorsWriter.create().add(Checkpoint.LAYERS, best).write(bestFile(checkpoint));
      }
    }

    private void save() {
      if (checkpoint == null) {
        return;
      }
      Map<String, String> notes = new TreeMap<>();
      notes.put("nanoseconds", Long.toString(elapsed().toNanos()));
      notes.put("stale", Integer.toString(stale));
      notes.put("best_step", Long.toString(bestStep));
      if (bestEvaluation != null) {
        notes.put("best_loss", Double.toString(bestEvaluation.loss()));
        notes.put("best_accuracy", Double.toString(bestEvaluation.accuracy()));
        notes.put("best_weight", Double.toString(bestEvaluation.weight()));
      }
      trainer.save(checkpoint, notes);
    }

    void restore(Map<String, String> notes) {
      nanosBefore = note(notes, "nanoseconds", Long::parseLong);
      stale = note(notes, "stale", Integer::parseInt);
      bestStep = note(notes, "best_step", Long::parseLong);
      if (notes.containsKey("best_loss") && Files.exists(bestFile(checkpoint))) {
        bestEvaluation =
            new Evaluation(
                note(notes, "best_loss", Double::parseDouble),
                note(notes, "best_accuracy", Double::parseDouble),
                note(notes, "best_weight", Double::parseDouble));
        try (Safetensors file = Safetensors.open(bestFile(checkpoint))) {
          best = Checkpoint.parameters(file, spec);
        }
      }
    }

    private <T> T note(Map<String, String> notes, String name, Function<String, T> parse) {
      String text = notes.getOrDefault(name, "0");
      try {
        return parse.apply(text);
      } catch (NumberFormatException e) {
        throw new GatefuseException(
            Code.BAD_FILE, checkpoint + ": " + name + ": expected a number, got " + text);
      }
    }
  }
}
