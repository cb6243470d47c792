// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Cell;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.Loss;
import org.junit.jupiter.api.Test;

class SyntheticTasksTest {
  @Test
  void addingAsksForTheSumOfTheMarkedNumbers() {
    int length = 13;
    Batch batch = new AddingTask(length).training(5, 7).batch(2);
    for (int b = 0; b < 7; b++) {
      float[] x = Batches.sequence(batch, b, 2);
      double sum = 0;
      int early = 0;
      int late = 0;
      for (int t = 0; t < length; t++) {
        assertTrue(x[2 * t] >= 0 && x[2 * t] < 1);
        assertTrue(x[2 * t + 1] == 0 || x[2 * t + 1] == 1);
        sum += x[2 * t] * x[2 * t + 1];
        if (x[2 * t + 1] == 1 && t < length / 2) {
          early++;
        } else if (x[2 * t + 1] == 1) {
          late++;
        }
        assertEquals(t == length - 1 ? 1 : 0, batch.weight(t, b));
      }
      assertEquals(1, early);
      assertEquals(1, late);
      assertEquals(sum, batch.values()[(length - 1) * 7 + b], 1e-6);
    }
  }

  @Test
  void addingHasItsBaseline() {
    AddingTask task = new AddingTask(4);
    HeldOut heldOut = task.heldOut(100);
    double sum = 0;
    double count = 0;
    for (long i = 0; i < heldOut.count(); i++) {
      Batch batch = heldOut.source().batch(i);
      float[] ones = new float[4 * batch.sequences()];
      java.util.Arrays.fill(ones, 1);
      Loss.Outcome outcome = task.loss().evaluate(batch, 1, ones, null);
      sum += outcome.loss() * outcome.weight();
      count += outcome.weight();
    }
    assertEquals(1000, count);
    assertEquals(task.goal().baseline().getAsDouble(), sum / count, 0.02);
  }

  @Test
  void copyAsksForTheDataAfterTheDelay() {
    int delay = 6;
    Batch batch = new CopyTask(delay).training(5, 4).batch(1);
    assertEquals(delay + 20, batch.steps());
    for (int b = 0; b < 4; b++) {
      int[] symbols = symbols(batch, b);
      for (int t = 0; t < batch.steps(); t++) {
        int right = batch.classes()[t * 4 + b];
        if (t < 10) {
          assertTrue(symbols[t] < 8);
        } else {
          assertEquals(t == delay + 9 ? 9 : 8, symbols[t], "step " + t);
        }
        assertEquals(t < delay + 10 ? 8 : symbols[t - delay - 10], right, "step " + t);
        assertEquals(1, batch.weight(t, b));
      }
    }
  }

  private static int[] symbols(Batch batch, int b) {
    float[] x = Batches.sequence(batch, b, 10);
    int[] out = new int[batch.steps()];
    for (int t = 0; t < out.length; t++) {
      int ones = 0;
      for (int i = 0; i < 10; i++) {
        if (x[10 * t + i] == 1) {
          out[t] = i;
          ones++;
        } else {
          assertEquals(0, x[10 * t + i]);
        }
      }
      assertEquals(1, ones);
    }
    return out;
  }

  /** A guess of one of eight at recall, whatever it says before, has a loss of log 8. */
  @Test
  void copyReportsTheRecallAlone() {
    CopyTask task = new CopyTask(3);
    Batch batch = task.heldOut(5).source().batch(0);
    float[] logits = new float[batch.steps() * 5 * 10];
    for (int i = 0; i < logits.length; i++) {
      logits[i] = i % 10 < 8 ? 0 : -100;
    }
    Loss.Outcome outcome = task.loss().evaluate(batch, 10, logits, null);
    assertEquals(50, outcome.weight());
    assertEquals(task.goal().baseline().getAsDouble(), outcome.loss(), 1e-6);
  }

  @Test
  void batchesAreFunctionsOfSeedAndNumber() {
    Batches.assertPure(new AddingTask(9), 3);
    Batches.assertPure(new CopyTask(4), 3);
    Batches.assertHeldOutAlike(new AddingTask(9), 2);
    Batches.assertHeldOutAlike(new CopyTask(4), 10);
  }

  @Test
  void theLastHeldOutBatchHasTheRest() {
    HeldOut heldOut = new CopyTask(4).heldOut(64);
    assertEquals(8, heldOut.count());
    assertEquals(500 - 7 * 64, heldOut.source().batch(7).sequences());
    assertEquals(2, heldOut.first(2).count());
    assertEquals(8, heldOut.first(Long.MAX_VALUE).count());
  }

  @Test
  void networksFitTheirBatches() {
    for (SupervisedTask task : new SupervisedTask[] {new AddingTask(5), new CopyTask(2)}) {
      Batch batch = task.training(1, 2).batch(0);
      int inputs = task.network(Cell.GRU, 6).inputSize();
      assertEquals(task.steps() * 2 * inputs, batch.inputs().length, task.id());
    }
  }

  @Test
  void goalsKnowWhichWayIsBetter() {
    assertTrue(new CopyTask(2).goal().isSolved(0.05));
    assertFalse(new CopyTask(2).goal().isSolved(0.2));
    assertFalse(new CopyTask(2).goal().isSolved(Double.NaN));
    assertTrue(Metric.ACCURACY.reaches(0.9, 0.8));
    assertFalse(Metric.LOSS.reaches(0.9, 0.8));
  }

  @Test
  void permutationsHaveEveryNumberOnce() {
    int[] order = Draw.of(1, 2).permutation(1000);
    int[] sorted = order.clone();
    java.util.Arrays.sort(sorted);
    for (int i = 0; i < 1000; i++) {
      assertEquals(i, sorted[i]);
    }
    assertArrayEquals(order, Draw.of(1, 2).permutation(1000));
  }

  @Test
  void sizesThatMakeNoSenseAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> new AddingTask(1));
    assertThrows(IllegalArgumentException.class, () -> new CopyTask(0));
  }
}
