// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Cell;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.WeightInit;
import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.Evaluation;
import io.github.gatefuse.training.Trainer;
import io.github.gatefuse.training.TrainingOptions;
import java.util.Random;
import org.junit.jupiter.api.Test;

class MatchTaskTest {
  private static final int DELAY = 3;
  private static final int COUNT = 40;

  private static MatchRooms rooms() {
    return new MatchRooms(DELAY, 7, 0, COUNT);
  }

  /** Which colour is shown at one of the three places for colours: ahead, left, right. */
  private static int color(float[] x, int b, int where) {
    int color = -1;
    for (int k = 0; k < MatchRooms.COLORS; k++) {
      if (x[b * MatchRooms.INPUTS + 3 + where * MatchRooms.COLORS + k] == 1) {
        assertEquals(-1, color);
        color = k;
      }
    }
    return color;
  }

  private static float[] look(MatchRooms rooms, int t) {
    float[] x = new float[COUNT * MatchRooms.INPUTS];
    rooms.look(t, x, 0);
    return x;
  }

  @Test
  void whoGoesToTheColourOfTheCueMatches() {
    MatchRooms rooms = rooms();
    float[] cue = look(rooms, 0);
    float[] panels = look(rooms, rooms.firstChoice());
    for (int b = 0; b < COUNT; b++) {
      int left = color(panels, b, 1);
      int right = color(panels, b, 2);
      int wanted = color(cue, b, 0);
      assertTrue(left != right && (left == wanted || right == wanted));
      boolean rightly = b % 2 == 0;
      int action = (left == wanted) == rightly ? 0 : 2;
      rooms.act(rooms.firstChoice(), b, action);
      assertEquals(-1, rooms.endedAt(b));
      rooms.act(rooms.firstChoice() + 1, b, 1);
      rooms.act(rooms.firstChoice() + 2, b, action);
      assertEquals(rooms.firstChoice() + 2, rooms.endedAt(b));
      assertEquals(rightly, rooms.isMatched(b));
      assertFalse(rooms.isOpen(rooms.firstChoice() + 3, b));
    }
    assertArrayEquals(new float[COUNT * MatchRooms.INPUTS], look(rooms, rooms.firstChoice() + 3));
  }

  @Test
  void nothingDoneBeforeTheChoiceHasAnEffect() {
    MatchRooms rooms = rooms();
    float[] before = look(rooms, rooms.firstChoice());
    for (int t = 0; t < rooms.firstChoice(); t++) {
      for (int b = 0; b < COUNT; b++) {
        rooms.act(t, b, 0);
      }
    }
    assertArrayEquals(before, look(rooms, rooms.firstChoice()));
  }

  @Test
  void theCueIsOnlySeenInTheBeginning() {
    MatchRooms rooms = rooms();
    int same = 0;
    for (int t = MatchRooms.CUE_STEPS; t < rooms.firstChoice(); t++) {
      for (int b = 0; b < COUNT; b++) {
        same += color(look(rooms, 0), b, 0) == color(look(rooms, t), b, 0) ? 1 : 0;
      }
    }
    double share = (double) same / (DELAY * COUNT);
    assertTrue(share > 0.1 && share < 0.4, "as often as any other colour: " + share);
    assertEquals(-1, color(look(rooms, rooms.firstChoice()), 0, 0));
  }

  /** The gradient of the actor-critic by differences, the advantage held as it is. */
  @Test
  void theGradientIsThatOfTheLoss() {
    Random random = new Random(5);
    float[] logits = new float[2 * 3 * 4];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) random.nextGaussian();
    }
    float[] returns = {1, 0, 0.5f, 0.9f, 0, 1};
    int[] actions = {0, 1, 2, 0, 1, 2};
    Batch batch = Batch.of(2, 3, new float[6], actions).withWeights(new float[] {1, 1, 0, 1, 1, 1});
    float[] gradient = new float[logits.length];
    new ActorCritic(returns, 1, 2, 0.5, 0.1).evaluate(batch, 4, logits, gradient);
    for (int i = 0; i < logits.length; i++) {
      double slope =
          (loss(logits, i, 1e-3f, returns, batch) - loss(logits, i, -1e-3f, returns, batch)) / 2e-3;
      assertEquals(slope, gradient[i], 2e-4, "output " + i);
    }
  }

  /** Written out, with the advantage of the logits as they are in the policy's part. */
  private static double loss(float[] at, int i, float by, float[] returns, Batch batch) {
    float[] logits = at.clone();
    logits[i] += by;
    double sum = 0;
    for (int place = 0; place < 6; place++) {
      double[] p = new double[3];
      ActorCritic.softmax(logits, place * 4, p);
      double constant = returns[place] - at[place * 4 + 3];
      double error = returns[place] - logits[place * 4 + 3];
      double entropy = 0;
      for (double one : p) {
        entropy -= one * Math.log(one);
      }
      double policy = -constant * Math.log(p[batch.classes()[place]]);
      sum += batch.weights()[place] / 5 * (policy + 0.5 * error * error - 0.1 * entropy);
    }
    return sum;
  }

  @Test
  void aNetworkLearnsToMatchOverAShortDelay() {
    MatchTask task = new MatchTask(2);
    RnnSpec spec = task.network(Cell.LSTM_REFINE, 24);
    TrainingOptions options =
        TrainingOptions.of(task.steps(), 64, task.objective())
            .withThreads(1)
            .withRate(step -> 5e-3);
    try (Trainer trainer = Trainer.create(spec, WeightInit.uniform().weights(spec, 1), options)) {
      Practice practice = task.practice(1, 64);
      Evaluation before = practice.evaluate(trainer, Long.MAX_VALUE);
      assertTrue(before.accuracy() < 0.6, before.toString());
      for (int i = 0; i < 600; i++) {
        practice.step(trainer, i);
      }
      Evaluation after = practice.evaluate(trainer, Long.MAX_VALUE);
      assertTrue(after.accuracy() > 0.8, after.toString());
    }
  }

  /** Zoneout of a rate near one hides the cue; without it the same weights act otherwise. */
  @Test
  void aNetworkActsWithTheZoneoutThatItIsTrainedWith() {
    Regularization zoneout = Regularization.NONE.withZoneout(0.99, 0.99);
    assertNotEquals(success(Regularization.NONE), success(zoneout));
  }

  private static double success(Regularization regularization) {
    MatchTask task = new MatchTask(2);
    RnnSpec spec = task.network(Cell.LSTM, 8);
    TrainingOptions options =
        TrainingOptions.of(task.steps(), 100, task.objective())
            .withThreads(1)
            .withRegularization(regularization);
    try (Trainer trainer = Trainer.create(spec, Networks.weights(spec, 1, 10), options)) {
      return task.practice(1, 100).evaluate(trainer, Long.MAX_VALUE).accuracy();
    }
  }

  @Test
  void theSameSeedGivesTheSameSteps() {
    MatchTask task = new MatchTask(2);
    assertEquals(firstLosses(task, 1), firstLosses(task, 1));
    assertFalse(firstLosses(task, 1).equals(firstLosses(task, 2)));
    assertThrows(IllegalArgumentException.class, () -> new MatchTask(0));
  }

  private static String firstLosses(MatchTask task, long seed) {
    RnnSpec spec = task.network(Cell.GRU, 5);
    TrainingOptions options = TrainingOptions.of(task.steps(), 6, task.objective());
    try (Trainer trainer = Trainer.create(spec, WeightInit.uniform().weights(spec, 1), options)) {
      Practice practice = task.practice(seed, 6);
      return practice.step(trainer, 0) + " " + practice.step(trainer, 1);
    }
  }
}
