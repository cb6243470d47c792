// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.Random;

/** Inputs of benchmarks. Stateless. */
final class Values {
  private Values() {}

  /** From -1 to 1. */
  static float[] uniform(Random random, int count) {
    float[] values = new float[count];
    for (int i = 0; i < count; i++) {
      values[i] = random.nextFloat() * 2 - 1;
    }
    return values;
  }
}
