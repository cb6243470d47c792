// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;

/** Keeps the lines of the highest scores, of equal ones the earlier. Not thread-safe. */
final class SurprisingLines {
  /** A line that is kept, with the beginning of its text as it is shown. */
  record Entry(LineScore line, String text) {}

  private static final Comparator<LineScore> MOST_SURPRISING_FIRST =
      Comparator.comparingDouble(LineScore::bitsPerByte)
          .reversed()
          .thenComparingInt(LineScore::file)
          .thenComparingLong(LineScore::number);

  private static final Comparator<Entry> ORDER =
      Comparator.comparing(Entry::line, MOST_SURPRISING_FIRST);

  private final int most;
  private final PriorityQueue<Entry> kept = new PriorityQueue<>(ORDER.reversed());

  SurprisingLines(int most) {
    this.most = most;
  }

  /**
   * Keeps the line if it is among the most surprising; an empty one has nothing to show and is not.
   */
  void offer(LineScore line, byte[] bytes, int offset) {
    if (line.bytes() == 0 || most == 0) {
      return;
    }
    if (kept.size() == most) {
      if (MOST_SURPRISING_FIRST.compare(line, kept.peek().line()) > 0) {
        return;
      }
      kept.remove();
    }
    kept.add(new Entry(line, Excerpt.of(bytes, offset, line.bytes())));
  }

  /** The lines that were kept, the most surprising first. */
  List<Entry> entries() {
    return kept.stream().sorted(ORDER).toList();
  }
}
