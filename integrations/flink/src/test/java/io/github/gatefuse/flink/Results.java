// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.java.tuple.Tuple2;

/**
 * Collects scores by the number of their event; of a test's process, as MiniCluster's tasks are.
 */
final class Results implements MapFunction<Tuple2<Long, float[]>, Long> {
  private static final long serialVersionUID = 1;

  static final Map<Long, float[]> SCORES = new ConcurrentHashMap<>();

  /** Scores that came again, as after a restart. */
  static final AtomicInteger REPEATED = new AtomicInteger();

  /** Those of them that were not the same as before. */
  static final AtomicInteger DIFFERENT = new AtomicInteger();

  static void clear() {
    SCORES.clear();
    REPEATED.set(0);
    DIFFERENT.set(0);
  }

  @Override
  public Long map(Tuple2<Long, float[]> score) {
    float[] before = SCORES.put(score.f0, score.f1);
    if (before != null) {
      REPEATED.incrementAndGet();
      if (!Arrays.equals(before, score.f1)) {
        DIFFERENT.incrementAndGet();
      }
    }
    return score.f0;
  }
}
