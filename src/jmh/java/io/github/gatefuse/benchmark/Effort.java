// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

/** How much is measured. */
enum Effort {
  /** To see whether all works; the numbers are rough. */
  QUICK(7, 200, 15),
  /** For numbers to quote. */
  FULL(31, 1000, 30);

  private final int rounds;
  private final int warmUpMillis;
  private final int turnMillis;

  Effort(int rounds, int warmUpMillis, int turnMillis) {
    this.rounds = rounds;
    this.warmUpMillis = warmUpMillis;
    this.turnMillis = turnMillis;
  }

  /** How often each contender has its turn. */
  int rounds() {
    return rounds;
  }

  /** How long each contender runs before the first round. */
  long warmUpNanos() {
    return warmUpMillis * 1_000_000L;
  }

  /** How long a turn is timed, at least. */
  long turnNanos() {
    return turnMillis * 1_000_000L;
  }
}
