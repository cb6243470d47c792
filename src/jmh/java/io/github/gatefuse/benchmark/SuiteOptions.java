// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * What {@link Suite} was asked for. Immutable.
 *
 * @param quick whether rough numbers will do
 * @param check whether results are compared and nothing is timed
 * @param parts of {@link #PARTS}
 * @param shapes for the comparison of LSTMs
 * @param threads for the comparison of LSTMs; the largest for the score
 * @param log to score; null for a synthetic one
 * @param output the folder for the report
 */
record SuiteOptions(
    boolean quick,
    boolean check,
    Set<String> parts,
    List<Shape> shapes,
    List<Integer> threads,
    Path log,
    Path output) {

  static final String LSTM = "lstm";
  static final String OVERHEAD = "overhead";
  static final String SCORE = "score";
  static final List<String> PARTS = List.of(LSTM, OVERHEAD, SCORE);

  static final String USAGE =
      """
      Usage: scripts/bench [OPTION...]

        --quick           a first look: few samples, rough numbers
        --check           only compare results, time nothing
        --only PART,...   lstm (against ONNX Runtime), overhead (of a call), score (of a log)
        --shapes BxTxH,.. the shapes for lstm (1x100x256,8x100x256,32x100x512)
        --all             further shapes: 1x100x128, 1x100x512, 128x100x128
        --threads N,...   the numbers of threads, each in a process of its own (1,2)
        --log FILE        the log for score (a synthetic one of 1 MB)
        --output DIR      where the report goes (docs/benchmarks)
        --no-build        run what was built before
      """;

  private static final String SHAPES = "1x100x256,8x100x256,32x100x512";
  private static final String MORE_SHAPES = "1x100x128,1x100x512,128x100x128";

  static SuiteOptions parse(String[] args) {
    boolean quick = false;
    boolean check = false;
    List<String> parts = PARTS;
    List<Shape> shapes = shapes(SHAPES);
    List<Integer> threads = List.of(1, 2);
    Path log = null;
    Path output = Path.of(System.getProperty("gatefuse.home", ""), "docs", "benchmarks");
    Deque<String> words = new ArrayDeque<>(List.of(args));
    while (!words.isEmpty()) {
      String word = words.pop();
      switch (word) {
        case "--quick" -> quick = true;
        case "--check" -> check = true;
        case "--all" -> {
          shapes = new ArrayList<>(shapes);
          shapes.addAll(shapes(MORE_SHAPES));
        }
        case "--only" -> parts = List.of(value(word, words).split(","));
        case "--shapes" -> shapes = shapes(value(word, words));
        case "--threads" -> threads = numbers(value(word, words));
        case "--log" -> log = Path.of(value(word, words));
        case "--output" -> output = Path.of(value(word, words));
        default -> throw new IllegalArgumentException("unknown option " + word + "\n" + USAGE);
      }
    }
    if (!PARTS.containsAll(parts)) {
      throw new IllegalArgumentException("--only: expected some of " + PARTS + ", got " + parts);
    }
    if (log != null && !Files.isReadable(log)) {
      throw new IllegalArgumentException("--log: expected a file that can be read, got " + log);
    }
    return new SuiteOptions(quick, check, new TreeSet<>(parts), shapes, threads, log, output);
  }

  private static String value(String option, Deque<String> words) {
    if (words.isEmpty()) {
      throw new IllegalArgumentException(option + ": expected a value");
    }
    return words.pop();
  }

  private static List<Shape> shapes(String list) {
    return Arrays.stream(list.split(",")).map(Shape::of).toList();
  }

  private static List<Integer> numbers(String list) {
    try {
      return Arrays.stream(list.split(",")).map(Integer::valueOf).toList();
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("--threads: expected numbers such as 1,2; got " + list, e);
    }
  }
}
