// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

/** Receives each line's score, in the order of the input. */
interface Results {
  /**
   * A line has been scored.
   *
   * @param line its place and score
   * @param bytes holds the line, or its first {@link Excerpt#KEPT_BYTES} bytes; valid during the
   *     call only
   * @param offset where it begins
   */
  void accept(LineScore line, byte[] bytes, int offset);
}
