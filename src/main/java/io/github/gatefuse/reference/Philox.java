// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

/**
 * The random words that masks are drawn from: Philox 4x32-10 of Salmon, Moraes, Dror and Shaw
 * (<i>Parallel random numbers: as easy as 1, 2, 3</i>, SC 2011). It has no state: four words are a
 * function of a counter and a key. The native code has its twin, {@code random.hpp}.
 */
final class Philox {
  private static final long FIRST_FACTOR = 0xD2511F53L;
  private static final long SECOND_FACTOR = 0xCD9E8D57L;
  private static final int FIRST_WEYL = 0x9E3779B9;
  private static final int SECOND_WEYL = 0xBB67AE85;
  private static final int ROUNDS = 10;

  private Philox() {}

  /** The four words of a counter of four and a key of two. */
  static int[] words(int[] counter, int[] key) {
    int[] word = counter.clone();
    for (int round = 0; round < ROUNDS; round++) {
      long a = FIRST_FACTOR * Integer.toUnsignedLong(word[0]);
      long b = SECOND_FACTOR * Integer.toUnsignedLong(word[2]);
      word[0] = (int) (b >>> 32) ^ word[1] ^ (key[0] + round * FIRST_WEYL);
      word[2] = (int) (a >>> 32) ^ word[3] ^ (key[1] + round * SECOND_WEYL);
      word[1] = (int) b;
      word[3] = (int) a;
    }
    return word;
  }
}
