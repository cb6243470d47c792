// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAccumulator;
import java.util.concurrent.atomic.LongAdder;

/**
 * Counts times in buckets that are a sixteenth of a power of two wide, from 1 ns to 292 years.
 *
 * <p>Thread-safe; a snapshot taken meanwhile may lack what is just being recorded.
 */
final class Histogram {
  private static final int BITS = 4;
  private static final int PARTS = 1 << BITS;

  private final AtomicLongArray buckets = new AtomicLongArray(bucket(Long.MAX_VALUE) + 1);
  private final LongAdder sum = new LongAdder();
  private final LongAccumulator max = new LongAccumulator(Math::max, 0);

  void record(long nanos) {
    long value = Math.max(0, nanos);
    buckets.incrementAndGet(bucket(value));
    sum.add(value);
    max.accumulate(value);
  }

  /** The first sixteen values have a bucket each. */
  static int bucket(long value) {
    if (value < PARTS) {
      return (int) value;
    }
    int exponent = Long.SIZE - 1 - Long.numberOfLeadingZeros(value);
    int part = (int) (value >> (exponent - BITS)) & (PARTS - 1);
    return (exponent - BITS + 1) * PARTS + part;
  }

  /** The largest value of a bucket. */
  static long largest(int bucket) {
    if (bucket < PARTS) {
      return bucket;
    }
    int shift = bucket / PARTS - 1;
    long first = (long) (PARTS + bucket % PARTS) << shift;
    return first + (1L << shift) - 1;
  }

  Timing timing() {
    long[] counts = new long[buckets.length()];
    long count = 0;
    for (int i = 0; i < counts.length; i++) {
      counts[i] = buckets.get(i);
      count += counts[i];
    }
    long most = max.get();
    long mean = count == 0 ? 0 : sum.sum() / count;
    return new Timing(
        count,
        Duration.ofNanos(mean),
        quantile(counts, count, most, 0.5),
        quantile(counts, count, most, 0.9),
        quantile(counts, count, most, 0.99),
        quantile(counts, count, most, 0.999),
        Duration.ofNanos(most));
  }

  private static Duration quantile(long[] counts, long count, long most, double part) {
    long rank = (long) Math.ceil(part * count);
    long below = 0;
    for (int i = 0; i < counts.length && count > 0; i++) {
      below += counts[i];
      if (below >= rank) {
        return Duration.ofNanos(Math.min(most, largest(i)));
      }
    }
    return Duration.ofNanos(most);
  }
}
