// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.Cell;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.Evaluation;
import io.github.gatefuse.training.Loss;
import io.github.gatefuse.training.Objective;
import io.github.gatefuse.training.StepReport;
import io.github.gatefuse.training.Trainer;

/**
 * Passive match, after Hung et al. 2018: a colour is shown, then for long others that mean nothing,
 * and in the end one has to walk to that of two panels that has the first colour. Learnt by an
 * advantage actor-critic with an entropy bonus, in many rooms side by side.
 *
 * <p>The cue, one of four colours, is shown for two steps. For the length of the delay a random
 * colour is shown at each step. Then there are six steps to walk through a corridor of five places,
 * from its middle to one of its ends, where panels of two colours hang; nothing that is done before
 * has an effect. A match is rewarded with 1, times 0.9 for each step that it took. The success rate
 * is the share of rooms that end with a match, with actions drawn by their probabilities.
 *
 * <p>Immutable and thread-safe.
 */
public final class MatchTask implements Task {
  private static final int HELD_OUT = 500;
  private static final double DISCOUNT = 0.9;
  private static final double VALUE_WEIGHT = 0.5;
  private static final double ENTROPY_WEIGHT = 0.03;

  /** Apart from the seeds of what rooms show. */
  private static final long ACTIONS = 0x6163_7469_6f6e_7300L;

  private final int delay;

  /**
   * Makes the task.
   *
   * @param delay the steps between the cue and the choice, at least 1
   * @throws IllegalArgumentException if it is less
   */
  public MatchTask(int delay) {
    if (delay < 1) {
      throw new IllegalArgumentException("match: expected a delay of at least 1, got " + delay);
    }
    this.delay = delay;
  }

  @Override
  public String id() {
    return "match";
  }

  @Override
  public String description() {
    return ("Passive match: walk to that of two panels that has the colour shown %d steps before,"
            + " learnt from reward by an advantage actor-critic. The baseline is a choice by"
            + " chance.")
        .formatted(delay);
  }

  @Override
  public RnnSpec network(Cell cell, int hiddenSize) {
    return RnnSpec.of(cell, MatchRooms.INPUTS, hiddenSize).withOutputs(MatchRooms.ACTIONS + 1);
  }

  @Override
  public int steps() {
    return MatchRooms.steps(delay);
  }

  /** That of the actions of a sample; each step of practice has one of its own. */
  @Override
  public Objective objective() {
    return Loss.CROSS_ENTROPY;
  }

  @Override
  public Goal goal() {
    return Goal.of(Metric.SUCCESS, 0.5, 0.95);
  }

  @Override
  public Practice practice(long seed, int sequences) {
    return new Practice() {
      @Override
      public StepReport step(Trainer trainer, long index) {
        Rollout rollout = rollout(trainer, seed, index, sequences);
        return trainer.step(
            rollout.batch(),
            new ActorCritic(
                rollout.returns(DISCOUNT),
                rollout.matches(),
                sequences,
                VALUE_WEIGHT,
                ENTROPY_WEIGHT));
      }

      @Override
      public Evaluation evaluate(Trainer trainer, long mostBatches) {
        long batches = Math.min(mostBatches, (HELD_OUT + sequences - 1L) / sequences);
        double matches = 0;
        for (long i = 0; i < batches; i++) {
          matches += rollout(trainer, Draw.HELD_OUT, i, sequences).matches();
        }
        double success = matches / (batches * sequences);
        return new Evaluation(1 - success, success, batches * sequences);
      }
    };
  }

  private Rollout rollout(Trainer trainer, long seed, long index, int sequences) {
    MatchRooms rooms = new MatchRooms(delay, seed, index * sequences, sequences);
    Draw draw = Draw.of(seed ^ ACTIONS, index);
    return Rollout.run(trainer, rooms, delay, sequences, draw);
  }

  /** Rooms in which nobody moves. */
  @Override
  public Batch sample(int sequences) {
    MatchRooms rooms = new MatchRooms(delay, Draw.HELD_OUT, 0, sequences);
    float[] x = new float[steps() * sequences * MatchRooms.INPUTS];
    for (int t = 0; t < steps(); t++) {
      rooms.look(t, x, t * sequences * MatchRooms.INPUTS);
    }
    return Batch.of(steps(), sequences, x, new int[steps() * sequences]);
  }
}
