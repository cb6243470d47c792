// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

/**
 * Random numbers that are a pure function of a seed and of what they are for. SplitMix64, written
 * out so that the sequence is ours to keep. Not thread-safe.
 */
final class Draw {
  /** The seed of what is held out: far from those that people choose. */
  static final long HELD_OUT = 0x6865_6c64_2d6f_7574L;

  private static final long STEP = 0x9e3779b97f4a7c15L;

  private long state;

  private Draw(long state) {
    this.state = state;
  }

  /**
   * Numbers for a purpose.
   *
   * @param seed of a training
   * @param index such as a batch's number
   */
  static Draw of(long seed, long index) {
    // Mixed twice, so that neighbouring seeds and indices have nothing to do with each other.
    return new Draw(mix(mix(seed + STEP) + STEP * (index + 1)));
  }

  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }

  long bits() {
    state += STEP;
    return mix(state);
  }

  /** In [0, 1), a multiple of 2^-53. */
  double unit() {
    return (bits() >>> 11) * 0x1p-53;
  }

  /** In [0, 1), a multiple of 2^-24: a float keeps it. */
  float unitFloat() {
    return (bits() >>> 40) * 0x1p-24f;
  }

  /** 0 to bound-1, each as likely up to 2^-32. */
  int below(int bound) {
    return (int) (((bits() >>> 32) * bound) >>> 32);
  }

  /** In [from, to], both included. */
  int between(int from, int to) {
    return from + below(to - from + 1);
  }

  boolean chance() {
    return bits() < 0;
  }

  /** 0 to count-1 in random order. */
  int[] permutation(int count) {
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      int other = below(i + 1);
      order[i] = order[other];
      order[other] = i;
    }
    return order;
  }
}
