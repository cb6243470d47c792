// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/**
 * How busy the machine is with other work than this process and those that it started: what decides
 * whether its numbers can be quoted. Linux only; says so elsewhere. Not thread-safe.
 */
final class OtherWork {
  /** Of a second: the kernel's unit towards programs, whatever it counts by itself. */
  private static final int TICKS = 100;

  private static final int IDLE = 3;
  private static final int IO_WAIT = 4;
  private static final int STEAL = 7;

  private final long begun = System.nanoTime();
  private final long others;
  private final long stolen;

  /** Begins to count. */
  OtherWork() {
    others = others();
    stolen = column(STEAL);
  }

  /** The mean since the beginning, in words. */
  String text() {
    if (others < 0) {
      return "unknown";
    }
    double ticks = (System.nanoTime() - begun) / 1e9 * TICKS;
    return String.format(
        Locale.ROOT,
        "%.2f processors, and %.2f stolen by the host",
        (others() - others) / ticks,
        (column(STEAL) - stolen) / ticks);
  }

  /**
   * Ticks of all processes, without ours and without our children that have ended; -1 if unknown.
   */
  private static long others() {
    long[] all = machine();
    if (all.length <= STEAL) {
      return -1;
    }
    long busy = Arrays.stream(all, 0, STEAL).sum() - all[IDLE] - all[IO_WAIT];
    // The name may hold spaces and parentheses; after its end comes field 3.
    String stat = text("/proc/self/stat");
    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
    long own = Arrays.stream(fields, 14 - 3, 18 - 3).mapToLong(Long::parseLong).sum();
    return busy - own;
  }

  private static long column(int column) {
    long[] all = machine();
    return column < all.length ? all[column] : 0;
  }

  /** The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal, ... */
  private static long[] machine() {
    String stat = text("/proc/stat");
    return stat.isEmpty()
        ? new long[0]
        : Arrays.stream(stat.lines().findFirst().orElseThrow().split("\\s+"))
            .skip(1)
            .mapToLong(Long::parseLong)
            .toArray();
  }

  private static String text(String file) {
    try {
      return Files.readString(Path.of(file));
    } catch (IOException e) {
      return "";
    }
  }
}
