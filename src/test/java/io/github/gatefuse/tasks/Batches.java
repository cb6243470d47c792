// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.BatchSource;
import java.util.Arrays;

/** What tests ask of batches. */
final class Batches {
  private Batches() {}

  static void assertSame(Batch expected, Batch actual) {
    assertEquals(expected.steps(), actual.steps());
    assertEquals(expected.sequences(), actual.sequences());
    assertEquals(expected.continues(), actual.continues());
    assertArrayEquals(expected.inputs(), actual.inputs());
    assertArrayEquals(expected.tokens(), actual.tokens());
    assertArrayEquals(expected.classes(), actual.classes());
    assertArrayEquals(expected.values(), actual.values());
    assertArrayEquals(expected.weights(), actual.weights());
    assertArrayEquals(expected.lengths(), actual.lengths());
  }

  /** Holds that batches depend on seed and number alone, and on both. */
  static void assertPure(SupervisedTask task, int sequences) {
    BatchSource one = task.training(1, sequences);
    BatchSource same = task.training(1, sequences);
    BatchSource other = task.training(2, sequences);
    Batch third = one.batch(3);
    one.batch(0);
    assertSame(third, one.batch(3));
    assertSame(third, same.batch(3));
    assertEquals(false, sameInputs(third, other.batch(3)), "another seed");
    assertEquals(false, sameInputs(third, one.batch(4)), "another number");
  }

  /** Holds that the held-out sequences are the same whatever the size of the batches is. */
  static void assertHeldOutAlike(SupervisedTask task, int width) {
    Batch large = task.heldOut(8).source().batch(0);
    Batch small = task.heldOut(3).source().batch(1);
    for (int b = 0; b < small.sequences(); b++) {
      assertArrayEquals(sequence(large, 3 + b, width), sequence(small, b, width));
    }
  }

  /** The inputs of one sequence [T, I]. */
  static float[] sequence(Batch batch, int b, int width) {
    float[] out = new float[batch.steps() * width];
    for (int t = 0; t < batch.steps(); t++) {
      System.arraycopy(batch.inputs(), (t * batch.sequences() + b) * width, out, t * width, width);
    }
    return out;
  }

  private static boolean sameInputs(Batch a, Batch b) {
    return Arrays.equals(a.inputs(), b.inputs()) && Arrays.equals(a.tokens(), b.tokens());
  }
}
