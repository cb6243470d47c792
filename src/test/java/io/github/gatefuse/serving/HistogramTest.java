// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

class HistogramTest {
  @Test
  void bucketsFollowOneAnotherWithoutGaps() {
    assertEquals(0, Histogram.bucket(0));
    int last = Histogram.bucket(Long.MAX_VALUE);
    assertEquals(Long.MAX_VALUE, Histogram.largest(last));
    for (int bucket = 0; bucket < last; bucket++) {
      long largest = Histogram.largest(bucket);
      assertEquals(bucket, Histogram.bucket(largest));
      assertEquals(bucket + 1, Histogram.bucket(largest + 1));
    }
  }

  @Test
  void percentilesAreWithinABucketOfTheTrueOnes() {
    Histogram histogram = new Histogram();
    Random random = new Random(1);
    long[] values = new long[10_000];
    long sum = 0;
    for (int i = 0; i < values.length; i++) {
      values[i] = (long) Math.exp(random.nextDouble() * 20);
      sum += values[i];
      histogram.record(values[i]);
    }
    Arrays.sort(values);
    Timing timing = histogram.timing();
    assertEquals(values.length, timing.count());
    assertEquals(sum / values.length, timing.mean().toNanos());
    assertEquals(values[values.length - 1], timing.max().toNanos());
    assertWithin(values[4999], timing.p50().toNanos());
    assertWithin(values[8999], timing.p90().toNanos());
    assertWithin(values[9899], timing.p99().toNanos());
    assertWithin(values[9989], timing.p999().toNanos());
  }

  private static void assertWithin(long expected, long actual) {
    assertTrue(
        actual >= expected && actual <= expected * 1.07,
        "expected " + expected + " to 7 % more, got " + actual);
  }

  @Test
  void nothingRecordedIsZeroAndTimesBelowZeroAreZero() {
    Histogram histogram = new Histogram();
    assertEquals(0, histogram.timing().count());
    assertEquals(0, histogram.timing().p99().toNanos());
    histogram.record(-5);
    assertEquals(1, histogram.timing().count());
    assertEquals(0, histogram.timing().max().toNanos());
  }
}
