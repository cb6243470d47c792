// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

/**
 * A line's place and score.
 *
 * @param file index of its file among those given
 * @param number of the line in its file, from 1
 * @param bytes n, without the line feed
 * @param bits the sum of -log2 p over its n + 1 predictions
 */
record LineScore(int file, long number, long bytes, double bits) {
  /** The line's bytes and the line feed after them, each of which was predicted. */
  long predictions() {
    return bytes + 1;
  }

  double bitsPerByte() {
    return bits / predictions();
  }
}
