// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.util.Locale;

/** Sizes and times for people. */
final class Units {
  private Units() {}

  /** Such as {@code 12.3 kB}: decimal units. */
  static String bytes(double count) {
    if (count < 1e3) {
      return String.format(Locale.ROOT, "%.0f B", count);
    }
    if (count < 1e6) {
      return String.format(Locale.ROOT, "%.1f kB", count / 1e3);
    }
    return count < 1e9
        ? String.format(Locale.ROOT, "%.2f MB", count / 1e6)
        : String.format(Locale.ROOT, "%.2f GB", count / 1e9);
  }

  /** Such as {@code 1:02:03} or {@code 0:07}. */
  static String duration(double seconds) {
    long whole = (long) Math.ceil(seconds);
    long hours = whole / 3600;
    return hours > 0
        ? String.format(Locale.ROOT, "%d:%02d:%02d", hours, whole / 60 % 60, whole % 60)
        : String.format(Locale.ROOT, "%d:%02d", whole / 60, whole % 60);
  }
}
