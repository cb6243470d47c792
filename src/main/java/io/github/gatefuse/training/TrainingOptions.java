// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.training;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Backward;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnOptions;
import java.util.Objects;

/**
 * How a network is trained.
 *
 * <p>Immutable and thread-safe.
 *
 * @param maxSteps the largest T of a batch, at least 1
 * @param maxSequences the largest B of a batch, at least 1
 * @param loss what is made small
 * @param rate the learning rate
 * @param optimizer its settings
 * @param clipping the gradient of all parameters together is scaled down to this norm where it is
 *     longer; infinite for never
 * @param network backend, precision, device; what AUTO is, {@link #withNetwork} says
 * @param threads at most so many; 0: all that the process may use
 * @param backward what the network keeps for the way back
 * @param regularization what training leaves to chance; each step draws by its own number
 */
public record TrainingOptions(
    int maxSteps,
    int maxSequences,
    Objective loss,
    LearningRate rate,
    Adam optimizer,
    double clipping,
    RnnOptions network,
    int threads,
    Backward backward,
    Regularization regularization) {

  /**
   * Checks the ranges.
   *
   * @param maxSteps the largest T of a batch, at least 1
   * @param maxSequences the largest B of a batch, at least 1; the product with maxSteps at most
   *     2^31-1
   * @param loss what is made small
   * @param rate the learning rate
   * @param optimizer its settings
   * @param clipping the gradient of all parameters together is scaled down to this norm where it is
   *     longer; infinite for never
   * @param network backend, precision, device; what AUTO is, {@link #withNetwork} says
   * @param threads at most so many; 0: all that the process may use
   * @param backward what the network keeps for the way back
   * @param regularization what training leaves to chance; each step draws by its own number
   * @throws IllegalArgumentException in words, if one does not fit
   */
  public TrainingOptions {
    Objects.requireNonNull(loss, "loss");
    Objects.requireNonNull(rate, "rate");
    Objects.requireNonNull(optimizer, "optimizer");
    Objects.requireNonNull(network, "network");
    Objects.requireNonNull(backward, "backward");
    Objects.requireNonNull(regularization, "regularization");
    atLeast("maxSteps", maxSteps, 1);
    atLeast("maxSequences", maxSequences, 1);
    atLeast("threads", threads, 0);
    long places = (long) maxSteps * maxSequences;
    if (places > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "maxSteps %d x maxSequences %d: expected at most 2^31-1 places, got %d"
              .formatted(maxSteps, maxSequences, places));
    }
    if (!(clipping > 0)) {
      throw new IllegalArgumentException("clipping: expected a norm above 0, got " + clipping);
    }
    if (backward == Backward.NONE) {
      throw new IllegalArgumentException("backward: expected STORE or RECOMPUTE, got NONE");
    }
  }

  private static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(name + ": expected at least " + least + ", got " + value);
    }
  }

  /**
   * The set-up of most of the literature: Adam with a rate of 1e-3 and gradients of norm 1 at most,
   * by the backend that {@link #withNetwork} says AUTO is.
   *
   * @param maxSteps the largest T of a batch, at least 1
   * @param maxSequences the largest B of a batch, at least 1
   * @param loss what is made small
   * @return new options
   * @throws IllegalArgumentException in words, if a size does not fit
   */
  public static TrainingOptions of(int maxSteps, int maxSequences, Objective loss) {
    return new TrainingOptions(
        maxSteps,
        maxSequences,
        loss,
        LearningRate.constant(1e-3),
        Adam.standard(),
        1,
        RnnOptions.of(Backend.AUTO),
        0,
        Backward.STORE,
        Regularization.NONE);
  }

  /**
   * The same with another learning rate.
   *
   * @param value the schedule
   * @return new options
   */
  public TrainingOptions withRate(LearningRate value) {
    return new TrainingOptions(
        maxSteps,
        maxSequences,
        loss,
        value,
        optimizer,
        clipping,
        network,
        threads,
        backward,
        regularization);
  }

  /**
   * The same with another optimiser.
   *
   * @param value its settings
   * @return new options
   */
  public TrainingOptions withOptimizer(Adam value) {
    return new TrainingOptions(
        maxSteps,
        maxSequences,
        loss,
        rate,
        value,
        clipping,
        network,
        threads,
        backward,
        regularization);
  }

  /**
   * The same with another largest norm of the gradient.
   *
   * @param value above 0; infinite for none
   * @return new options
   */
  public TrainingOptions withClipping(double value) {
    return new TrainingOptions(
        maxSteps,
        maxSequences,
        loss,
        rate,
        optimizer,
        value,
        network,
        threads,
        backward,
        regularization);
  }

  /**
   * The same on another backend. {@link Backend#AUTO} is the CPU in float32, CUDA in the shorter
   * precisions, and the reference where they do not run.
   *
   * @param value backend, precision and device
   * @return new options
   */
  public TrainingOptions withNetwork(RnnOptions value) {
    return new TrainingOptions(
        maxSteps,
        maxSequences,
        loss,
        rate,
        optimizer,
        clipping,
        value,
        threads,
        backward,
        regularization);
  }

  /**
   * The same with a limit of threads.
   *
   * @param value at most so many; 0: all that the process may use
   * @return new options
   */
  public TrainingOptions withThreads(int value) {
    return new TrainingOptions(
        maxSteps,
        maxSequences,
        loss,
        rate,
        optimizer,
        clipping,
        network,
        value,
        backward,
        regularization);
  }

  /**
   * The same keeping other things for the way back.
   *
   * @param value STORE or RECOMPUTE
   * @return new options
   */
  public TrainingOptions withBackward(Backward value) {
    return new TrainingOptions(
        maxSteps,
        maxSequences,
        loss,
        rate,
        optimizer,
        clipping,
        network,
        threads,
        value,
        regularization);
  }

  /**
   * The same with dropout, zoneout or recurrent dropout. Steps draw, evaluations do not. The
   * network is to be run with the same zoneout afterwards.
   *
   * @param value what is left to chance
   * @return new options
   */
  public TrainingOptions withRegularization(Regularization value) {
    return new TrainingOptions(
        maxSteps, maxSequences, loss, rate, optimizer, clipping, network, threads, backward, value);
  }
}
