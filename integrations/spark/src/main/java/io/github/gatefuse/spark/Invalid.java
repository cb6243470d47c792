// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

import java.util.Arrays;
import java.util.Locale;

/**
 * What becomes of a row that cannot be scored: one without a sequence, with numbers that are not
 * finite, of another width, or with a token out of range.
 */
public enum Invalid {
  /** The job fails, and says which row of which partition it was and what is wrong with it. */
  ERROR,
  /** The row is left out. */
  SKIP,
  /** The row stays, with null for its score. */
  KEEP;

  String id() {
    return name().toLowerCase(Locale.ROOT);
  }

  static String[] ids() {
    return Arrays.stream(values()).map(Invalid::id).toArray(String[]::new);
  }
}
