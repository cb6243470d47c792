// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

/** How much is measured. */
enum Effort {
  /** To see whether all works; the numbers are rough. */
  QUICK(1500, 3, 7, 100, 15),
  /** To choose among settings. */
  CHOICE(1500, 3, 7, 200, 15),
  /** For numbers to quote. */
  FULL(16_000, 9, 31, 300, 30);

  private final int budgetMillis;
  private final int leastRounds;
  private final int mostRounds;
  private final int warmUpMillis;
  private final int turnMillis;

  Effort(int budgetMillis, int leastRounds, int mostRounds, int warmUpMillis, int turnMillis) {
    this.budgetMillis = budgetMillis;
    this.leastRounds = leastRounds;
    this.mostRounds = mostRounds;
    this.warmUpMillis = warmUpMillis;
    this.turnMillis = turnMillis;
  }

  /** How often each contender has its turn, if a round takes so long. */
  int rounds(double roundNanos) {
    double affordable = budgetMillis * 1e6 / roundNanos;
    return (int) Math.max(leastRounds, Math.min(mostRounds, affordable));
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
