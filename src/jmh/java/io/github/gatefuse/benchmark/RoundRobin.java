// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;

/**
 * Times contenders by turns, so that what disturbs the machine for a while disturbs all of them.
 *
 * <p>A turn begins when the process is idle: worker threads that spin after another's turn would
 * take the processor from this one. Then come untimed calls, until caches, clock and workers are as
 * in a series of calls; then timed ones. A turn counts as one sample, its median. Not thread-safe.
 */
final class RoundRobin {
  private static final long SETTLE_NANOS = 5_000_000;
  private static final int LEAST_BLOCKS = 3;

  /** A block of calls is timed as one; short calls are too short for the clock. */
  private static final long BLOCK_NANOS = 200_000;

  /** The system counts a process's time in ticks of 10 ms: a shorter probe would see nothing. */
  private static final long IDLE_PROBE_MILLIS = 50;

  private static final long IDLE_LIMIT_NANOS = 5_000_000_000L;

  private final Effort effort;
  private final OperatingSystemMXBean process =
      ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);

  RoundRobin(Effort effort) {
    this.effort = effort;
  }

  /** Nanoseconds per call, [contender][round]. */
  double[][] time(List<Contender> contenders) {
    int[] blocks = new int[contenders.size()];
    double roundNanos = 0;
    for (int i = 0; i < blocks.length; i++) {
      double call = warmUp(contenders.get(i));
      blocks[i] = (int) Math.max(1, BLOCK_NANOS / call);
      roundNanos += turnNanos(call);
    }
    double[][] nanos = new double[contenders.size()][effort.rounds(roundNanos)];
    for (int round = 0; round < nanos[0].length; round++) {
      for (int k = 0; k < blocks.length; k++) {
        // Every second round goes backwards: nobody always comes after the same.
        int i = round % 2 == 0 ? k : blocks.length - 1 - k;
        awaitIdle();
        nanos[i][round] = turn(contenders.get(i), blocks[i]);
      }
    }
    return nanos;
  }

  /** How long a call takes. */
  private double warmUp(Contender contender) {
    awaitIdle();
    long begun = System.nanoTime();
    int calls = repeat(contender, effort.warmUpNanos());
    return (double) (System.nanoTime() - begun) / calls;
  }

  /** About how long a turn takes with calls of a length. */
  private double turnNanos(double call) {
    return IDLE_PROBE_MILLIS * 1e6
        + Math.max(SETTLE_NANOS, call)
        + Math.max(effort.turnNanos(), LEAST_BLOCKS * Math.max(call, BLOCK_NANOS));
  }

  private double turn(Contender contender, int block) {
    repeat(contender, SETTLE_NANOS);
    double[] samples = new double[16];
    int count = 0;
    long begun = System.nanoTime();
    long now = begun;
    while (count < LEAST_BLOCKS || now - begun < effort.turnNanos()) {
      long before = now;
      for (int call = 0; call < block; call++) {
        contender.run();
      }
      now = System.nanoTime();
      if (count == samples.length) {
        samples = Arrays.copyOf(samples, 2 * count);
      }
      samples[count++] = (double) (now - before) / block;
    }
    return Spread.of(Arrays.copyOf(samples, count)).median();
  }

  /** Runs for a time, once at least; the number of calls. */
  private static int repeat(Contender contender, long nanos) {
    long begun = System.nanoTime();
    int calls = 0;
    do {
      contender.run();
      calls++;
    } while (System.nanoTime() - begun < nanos);
    return calls;
  }

  /** Waits until this process uses less than a quarter of one processor. */
  private void awaitIdle() {
    long begun = System.nanoTime();
    long before;
    long spent;
    do {
      before = System.nanoTime();
      spent = process.getProcessCpuTime();
      try {
        Thread.sleep(IDLE_PROBE_MILLIS);
      } catch (InterruptedException e) {
        throw new IllegalStateException("interrupted", e);
      }
      spent = process.getProcessCpuTime() - spent;
    } while (spent > (System.nanoTime() - before) / 4 && before - begun < IDLE_LIMIT_NANOS);
  }
}
