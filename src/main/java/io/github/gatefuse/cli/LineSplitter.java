// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * Cuts streams into lines, has them scored and hands the scores on in the order of the input. Lines
 * are split at line feeds only; a last line without one counts. What is held at a time is one
 * window and one line of at most the largest length: a longer line is scored while it is read. Not
 * thread-safe.
 */
final class LineSplitter {
  private final Scorer scorer;
  private final Results results;
  private final Window window;
  private final int maxLine;
  private final byte[] buffer = new byte[1 << 16];

  /** The line that is too long to be held, or null. */
  private Scorer.LongLine longLine;

  private byte[] longHead;
  private long longLength;

  /**
   * Makes a splitter.
   *
   * @param windowBytes how many bytes of lines are gathered before they are scored
   * @param maxLine the bytes of the longest line that is held as a whole
   */
  LineSplitter(Scorer scorer, Results results, int windowBytes, int maxLine) {
    this.scorer = scorer;
    this.results = results;
    this.window = new Window(windowBytes);
    this.maxLine = maxLine;
  }

  /**
   * Reads a stream to its end; {@link #flush} must follow the last one.
   *
   * @return the bytes read
   */
  long read(InputStream in, int file) throws IOException {
    long total = 0;
    long number = 0;
    for (int got = in.read(buffer); got >= 0; got = in.read(buffer)) {
      total += got;
      int from = 0;
      while (from < got) {
        int end = lineFeed(from, got);
        append(from, end - from);
        if (end < got) {
          endLine(file, ++number);
        }
        from = end + 1;
      }
    }
    if (longLine != null || window.growing() > 0) {
      endLine(file, ++number);
    }
    return total;
  }

  private int lineFeed(int from, int to) {
    int at = from;
    while (at < to && buffer[at] != '\n') {
      at++;
    }
    return at;
  }

  private void append(int from, int length) {
    if (longLine == null && length > maxLine - window.growing()) {
      beginLongLine();
    }
    if (longLine == null) {
      window.append(buffer, from, length);
    } else {
      appendLong(buffer, from, length);
    }
  }

  private void beginLongLine() {
    byte[] begun = window.takeGrowing();
    flush();
    longLine = scorer.longLine();
    longHead = new byte[0];
    longLength = 0;
    appendLong(begun, 0, begun.length);
  }

  private void appendLong(byte[] bytes, int offset, int length) {
    int kept = longHead.length;
    if (kept < Excerpt.KEPT_BYTES) {
      int more = Math.min(length, Excerpt.KEPT_BYTES - kept);
      longHead = Arrays.copyOf(longHead, kept + more);
      System.arraycopy(bytes, offset, longHead, kept, more);
    }
    longLine.append(bytes, offset, length);
    longLength += length;
  }

  private void endLine(int file, long number) {
    if (longLine != null) {
      results.accept(new LineScore(file, number, longLength, longLine.end()), longHead, 0);
      longLine = null;
    } else {
      window.endLine(file, number);
      if (window.isFull()) {
        flush();
      }
    }
  }

  /** Scores the lines that wait. */
  void flush() {
    double[] bits = scorer.score(window);
    for (int i = 0; i < bits.length; i++) {
      LineScore line = new LineScore(window.file(i), window.number(i), window.length(i), bits[i]);
      results.accept(line, window.bytes(), window.start(i));
    }
    window.clear();
  }
}
