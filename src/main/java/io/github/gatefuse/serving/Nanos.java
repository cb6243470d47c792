// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import java.time.Duration;

/** Times as the clock counts them. Stateless. */
final class Nanos {
  /** A time that nobody sees the end of, and that can be added to the clock's. */
  private static final long LONGEST = Long.MAX_VALUE / 2;

  private Nanos() {}

  /** Of a duration of any length that is not below zero. */
  static long of(Duration duration) {
    boolean fits = duration.compareTo(Duration.ofNanos(LONGEST)) < 0;
    return fits ? duration.toNanos() : LONGEST;
  }
}
