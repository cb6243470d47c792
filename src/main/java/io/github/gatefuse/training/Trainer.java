// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import io.github.gatefuse.Backend;
import io.github.gatefuse.BackwardCall;
import io.github.gatefuse.Devices;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.Parameters;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import io.github.gatefuse.Weights;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Objects;
import java.util.function.LongFunction;

/**
 * A network that learns: each {@link #step} runs a batch forwards and backwards and moves the
 * parameters by Adam.
 *
 * <p>What it does is a function of its options, its batches and the numbers it began with: the same
 * ones give the same bits, whatever the number of threads, on one kind of processor. {@link #save}
 * and {@link #resume} keep that.
 *
 * <p>Not thread-safe. To be closed; what it was made from and what it gives stays valid.
 */
public final class Trainer implements AutoCloseable {
  private static final int LARGEST = Integer.MAX_VALUE / Float.BYTES;

  private final RnnSpec spec;
  private final TrainingOptions options;
  private final Rnn rnn;
  private final Session session;
  private final ForwardCall forward;
  private final BackwardCall backward;
  private final Parameters parameters;
  private final Parameters gradients;
  private final float[] slopes;
  private final AdamState adam;
  private final FloatBuffer input;
  private final IntBuffer tokens;
  private final IntBuffer lengths;
  private final FloatBuffer logitsMemory;
  private final FloatBuffer gradientMemory;
  private final float[] logits;
  private final float[] gradient;

  /** The parameters once more, as an array. */
  private float[] values;

  /** What they become in a step, until the network has taken it. */
  private float[] moved;

  private State carried;
  private long steps;

  private Trainer(RnnSpec spec, Weights initial, TrainingOptions options) {
    this.spec = spec;
    this.options = Objects.requireNonNull(options, "options");
    if (spec.outputs() == 0) {
      throw new IllegalArgumentException("training: expected a network with a head, got outputs=0");
    }
    int inputCount = spec.vocabulary() > 0 ? 0 : count("inputs", "I", spec.inputSize());
    int logitCount = count("logits", "O", spec.outputs());
    parameters = Parameters.of(spec, initial);
    gradients = Parameters.zeros(spec);
    values = new float[parameters.count()];
    moved = new float[parameters.count()];
    slopes = new float[parameters.count()];
    parameters.all().get(values);
    adam = new AdamState(spec, options.optimizer(), parameters.count());
    input = floats(inputCount);
    tokens = ints(spec.vocabulary() > 0 ? options.maxSteps() * options.maxSequences() : 0);
    lengths = ints(options.maxSequences());
    logits = new float[logitCount];
    gradient = new float[logits.length];
    logitsMemory = floats(logits.length);
    gradientMemory = floats(logits.length);
    rnn = Rnn.create(spec, initial, learning(options.network()));
    boolean complete = false;
    try {
      session =
          rnn.session(
              SessionOptions.of(options.maxSteps(), options.maxSequences())
                  .withThreads(options.threads())
                  .withBackward(options.backward())
                  .withRegularization(options.regularization()));
      forward = session.call().logits(logitsMemory);
      backward = session.backward().logitsGradient(gradientMemory).parameterGradients(gradients);
      complete = true;
    } finally {
      if (!complete) {
        rnn.close();
      }
    }
  }

  /**
   * AUTO is the CPU in float32, and CUDA in what the CPU does not train in; where they do not run,
   * the reference.
   */
  private static RnnOptions learning(RnnOptions asked) {
    if (asked.precision() == Precision.INT8) {
      throw new IllegalArgumentException(
          "precision: expected float32, tf32, bfloat16 or float16 to train in, got int8");
    }
    if (asked.backend() != Backend.AUTO) {
      return asked;
    }
    boolean isFloat = asked.precision() == Precision.FLOAT32;
    Backend wanted = isFloat ? Backend.CPU : Backend.CUDA;
    boolean there =
        Devices.report().stream()
            .anyMatch(report -> report.backend() == wanted && report.available());
    return there
        ? asked.withBackend(wanted)
        : RnnOptions.of(Backend.REFERENCE).withPrecision(asked.precision());
  }

  /** The numbers of the largest batch, of so many at each place, if a buffer can hold them. */
  private int count(String name, String letter, int width) {
    long places = (long) options.maxSteps() * options.maxSequences();
    if (places > LARGEST / width) {
      throw new IllegalArgumentException(
          "%s: expected at most %d values [T, B, %s], the most that a buffer can hold, got [%d, %d, %d]"
              .formatted(name, LARGEST, letter, options.maxSteps(), options.maxSequences(), width));
    }
    return (int) places * width;
  }

  private static FloatBuffer floats(int count) {
    return bytes(count).asFloatBuffer();
  }

  private static IntBuffer ints(int count) {
    return bytes(count).asIntBuffer();
  }

  private static ByteBuffer bytes(int count) {
    return ByteBuffer.allocateDirect(Float.BYTES * count).order(ByteOrder.nativeOrder());
  }

  /**
   * Begins a training.
   *
   * @param spec the network, with a head
   * @param initial its parameters to begin with, copied; see {@link io.github.gatefuse.WeightInit}
   * @param options how it is trained
   * @return a trainer that the caller closes
   * @throws IllegalArgumentException if the network has no head, the weights do not fit it, or it
   *     or the largest batch is larger than a buffer can be
   * @throws GatefuseException if the backend is not there or memory runs out
   */
  public static Trainer create(RnnSpec spec, Weights initial, TrainingOptions options) {
    return new Trainer(spec, initial, options);
  }

  /**
   * Goes on with a training from what {@link #save} wrote: with the same options and batches, on
   * the same kind of processor, to the same bits as if it had never stopped.
   *
   * @param checkpoint the file
   * @param spec the network, as when it was saved
   * @param options how it is trained
   * @return a trainer that the caller closes
   * @throws IllegalArgumentException if the file is that of another network, naming what differs
   * @throws GatefuseException if the file cannot be read or is no checkpoint, the backend is not
   *     there or memory runs out
   */
  public static Trainer resume(Path checkpoint, RnnSpec spec, TrainingOptions options) {
    Checkpoint saved = Checkpoint.read(checkpoint, spec);
    Trainer trainer = new Trainer(spec, saved.weights(), options);
    System.arraycopy(saved.first(), 0, trainer.adam.first, 0, saved.first().length);
    System.arraycopy(saved.second(), 0, trainer.adam.second, 0, saved.second().length);
    trainer.carried = saved.state();
    trainer.steps = saved.steps();
    return trainer;
  }

  /**
   * The network as it is now; its parameters change with every step.
   *
   * @return open until this trainer is closed
   */
  public Rnn rnn() {
    return rnn;
  }

  /**
   * The network.
   *
   * @return its specification
   */
  public RnnSpec spec() {
    return spec;
  }

  /**
   * How it is trained.
   *
   * @return the options
   */
  public TrainingOptions options() {
    return options;
  }

  /**
   * The parameters as they are now.
   *
   * @return a copy
   */
  public Weights weights() {
    return parameters.toWeights();
  }

  /**
   * The number of steps taken.
   *
   * @return 0 before the first, those before a checkpoint counted
   */
  public long steps() {
    return steps;
  }

  /**
   * Learns from a batch, with the loss of the options. After an exception nothing has changed, and
   * the step may be tried again, unless it was the backend that failed.
   *
   * @param batch at most as large as the options say
   * @return what it found
   * @throws IllegalArgumentException in words, if the batch does not fit the network or the loss,
   *     or the learning rate of the step is negative or not finite
   * @throws IllegalStateException if a session of {@link #rnn} is in use or has enqueued calls
   * @throws DivergedException if a number is not finite
   * @throws GatefuseException if the backend fails
   */
  public StepReport step(Batch batch) {
    return step(batch, options.loss());
  }

  /**
   * Learns from a batch, with another objective. After an exception nothing has changed, and the
   * step may be tried again, unless it was the backend that failed.
   *
   * @param batch at most as large as the options say
   * @param objective what is to become smaller
   * @return what it found
   * @throws IllegalArgumentException in words, if the batch does not fit the network or the
   *     objective, or the learning rate of the step is negative or not finite
   * @throws IllegalStateException if a session of {@link #rnn} is in use or has enqueued calls
   * @throws DivergedException if a number is not finite
   * @throws GatefuseException if the backend fails
   */
  public StepReport step(Batch batch, Objective objective) {
    double rate = rate();
    forward.training(steps);
    State end = run(batch, carried);
    int count = batch.steps() * batch.sequences() * spec.outputs();
    Arrays.fill(gradient, 0, count, 0f);
    Objective.Outcome outcome = objective.evaluate(batch, spec.outputs(), logits, gradient);
    if (!Double.isFinite(outcome.loss())) {
      throw new DivergedException(steps, whatIsNotFinite(batch, outcome.loss()));
    }
    gradientMemory.put(0, gradient, 0, count);
    backward.run();
    gradients.all().get(slopes);
    double norm = norm(slopes);
    if (!Double.isFinite(norm)) {
      throw new DivergedException(steps, "the norm of the gradient is " + norm);
    }
    double scale = norm > options.clipping() ? options.clipping() / norm : 1;
    adam.move(values, slopes, moved, steps + 1, rate, scale);
    update();
    adam.remember(slopes);
    carried = end;
    return new StepReport(steps++, outcome.loss(), outcome.accuracy(), norm, rate);
  }

  private double rate() {
    double rate = options.rate().at(steps);
    if (!(rate >= 0) || Double.isInfinite(rate)) {
      throw new IllegalArgumentException(
          "learning rate of step " + steps + ": expected at least 0, got " + rate);
    }
    return rate;
  }

  /** Gives the network the moved values; where it refuses them all stays as it was. */
  private void update() {
    parameters.all().put(moved);
    boolean updated = false;
    try {
      rnn.update(parameters);
      updated = true;
    } finally {
      if (!updated) {
        parameters.all().put(values);
      }
    }
    float[] before = values;
    values = moved;
    moved = before;
  }

  /**
   * Tries the network on batches, without learning.
   *
   * @param batches gives the batch of each number
   * @param count how many, from number 0 on
   * @return the mean over all places of all batches
   */
  public Evaluation evaluate(LongFunction<Batch> batches, long count) {
    return evaluate(batches, count, options.loss());
  }

  /**
   * Tries the network on batches with another objective, without learning.
   *
   * @param batches gives the batch of each number
   * @param count how many, from number 0 on
   * @param objective what is reported
   * @return the mean over all places of all batches
   */
  public Evaluation evaluate(LongFunction<Batch> batches, long count, Objective objective) {
    double loss = 0;
    double correct = 0;
    double weight = 0;
    State state = null;
    forward.evaluation();
    for (long i = 0; i < count; i++) {
      Batch batch = batches.apply(i);
      state = run(batch, state);
      Objective.Outcome outcome = objective.evaluate(batch, spec.outputs(), logits, null);
      loss += outcome.loss() * outcome.weight();
      correct += outcome.correct();
      weight += outcome.weight();
    }
    return new Evaluation(
        weight == 0 ? 0 : loss / weight, weight == 0 ? 0 : correct / weight, weight);
  }

  /**
   * Writes everything that {@link #resume} needs, as a safetensors file: as a whole or not at all,
   * so that an earlier file of that name stays until the new one is complete.
   *
   * @param checkpoint the file
   * @throws GatefuseException if it cannot be written
   */
  public void save(Path checkpoint) {
    save(checkpoint, Map.of());
  }

  void save(Path checkpoint, Map<String, String> notes) {
    new Checkpoint(weights(), adam.first, adam.second, carried, steps, notes)
        .write(checkpoint, spec);
  }

  /** Runs a batch forwards and gives its final state; its logits are in the array then. */
  private State run(Batch batch, State before) {
    check(batch);
    if (spec.vocabulary() > 0) {
      forward.tokens(tokens.put(0, batch.tokens()));
    } else {
      forward.input(input.put(0, batch.inputs()));
    }
    forward.lengths(batch.lengths() == null ? null : lengths.put(0, batch.lengths()));
    State end = State.zeros(spec, batch.sequences());
    forward.initialState(batch.continues() ? continued(batch, before) : null).finalState(end);
    forward.run(batch.steps(), batch.sequences());
    logitsMemory.get(0, logits, 0, batch.steps() * batch.sequences() * spec.outputs());
    return end;
  }

  private void check(Batch batch) {
    if (batch.steps() > options.maxSteps() || batch.sequences() > options.maxSequences()) {
      throw new IllegalArgumentException(
          "batch: expected at most T=%d, B=%d, got T=%d, B=%d"
              .formatted(
                  options.maxSteps(), options.maxSequences(), batch.steps(), batch.sequences()));
    }
    boolean tokens = spec.vocabulary() > 0;
    if (tokens != (batch.tokens() != null)) {
      throw new IllegalArgumentException(
          "batch: expected " + (tokens ? "tokens" : "inputs") + " for this network, got the other");
    }
    int expected = batch.steps() * batch.sequences() * spec.inputSize();
    if (!tokens && batch.inputs().length != expected) {
      throw new IllegalArgumentException(
          "batch: expected inputs [T, B, I=%d] = %d values, got %d"
              .formatted(spec.inputSize(), expected, batch.inputs().length));
    }
  }

  private static State continued(Batch batch, State before) {
    if (before == null || before.batch() != batch.sequences()) {
      throw new IllegalArgumentException(
          "batch: expected one before of B=%d to go on from, got %s"
              .formatted(batch.sequences(), before == null ? "none" : "B=" + before.batch()));
    }
    return before;
  }

  private static double norm(float[] values) {
    double sum = 0;
    for (float value : values) {
      sum += (double) value * value;
    }
    return Math.sqrt(sum);
  }

  /** Says where the trouble begins, as far as the data show it. */
  private String whatIsNotFinite(Batch batch, double loss) {
    int place = firstNotFinite(batch, batch.inputs());
    if (place >= 0) {
      return at("input", batch, place) + " is not finite";
    }
    place = firstNotFinite(batch, batch.values());
    if (place >= 0) {
      return at("value to predict", batch, place) + " is not finite";
    }
    place = firstNotFinite(batch, batch.weights());
    if (place >= 0) {
      return at("weight", batch, place) + " is not finite";
    }
    return "the loss is " + loss + ", though the data are finite";
  }

  private static String at(String name, Batch batch, int place) {
    return "%s of step %d of sequence %d of the batch"
        .formatted(name, place / batch.sequences(), place % batch.sequences());
  }

  /** The first place [T, B] within the lengths with a number that is not finite; -1 for none. */
  private static int firstNotFinite(Batch batch, float[] values) {
    int places = batch.steps() * batch.sequences();
    int width = values == null ? 0 : values.length / places;
    for (int i = 0; i < places * width; i++) {
      int place = i / width;
      boolean valid = place / batch.sequences() < batch.length(place % batch.sequences());
      if (valid && !Float.isFinite(values[i])) {
        return place;
      }
    }
    return -1;
  }

  /** Frees the network. A second close does nothing. */
  @Override
  public void close() {
    session.close();
    rnn.close();
  }
}
