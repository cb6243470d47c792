// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * What {@link Suite} was asked for. Immutable.
 *
 * @param quick whether rough numbers will do
 * @param check whether results are compared and nothing is timed
 * @param parts of {@link #PARTS}
 * @param peers to compare with
 * @param shapes for the races
 * @param threads for the races and uneven lengths; the largest for the score
 * @param log to score; null for a synthetic one
 * @param output the folder for the report
 */
record SuiteOptions(
    boolean quick,
    boolean check,
    List<String> parts,
    List<Peer> peers,
    List<Shape> shapes,
    List<Integer> threads,
    Path log,
    Path output) {

  static final String RAGGED = "ragged";
  static final String OVERHEAD = "overhead";
  static final String SCORE = "score";
  static final List<String> PARTS =
      Stream.concat(Arrays.stream(Race.values()).map(Race::id), Stream.of(RAGGED, OVERHEAD, SCORE))
          .toList();
  private static final List<String> PEERS = Arrays.stream(Peer.values()).map(Peer::id).toList();

  static final String USAGE =
      """
      Usage: scripts/bench-cpu [OPTION...]

        --quick           a first look: few samples, rough numbers
        --check           only compare results, time nothing
        --only PART,...   standard, refine, bfloat16, int8 (the LSTMs against peers), ragged (what
                          uneven lengths cost), overhead (of a call), score (of a log)
        --peers PEER,...  onnxruntime, onednn, libtorch, nd4j
        --shapes BxTxH,.. the shapes for the LSTMs
        --threads N,...   the numbers of threads, each in a process of its own (1,2)
        --log FILE        the log for score (a synthetic one of 1 MB)
        --output DIR      where the report goes (docs/benchmarks)
        --no-build        run what was built before
      """;

  private static final String SHAPES =
      "1x100x128,1x100x256,1x100x512,1x100x1024,8x100x256,32x100x256,32x100x512,64x50x1024,"
          + "128x100x128";

  static SuiteOptions parse(String[] args) {
    boolean quick = false;
    boolean check = false;
    List<String> parts = PARTS;
    List<String> peers = PEERS;
    List<Shape> shapes = list(SHAPES, Shape::of);
    List<Integer> threads = List.of(1, 2);
    Path log = null;
    Path output = Path.of(System.getProperty("gatefuse.home", ""), "docs", "benchmarks");
    Deque<String> words = new ArrayDeque<>(List.of(args));
    while (!words.isEmpty()) {
      String word = words.pop();
      switch (word) {
        case "--quick" -> quick = true;
        case "--check" -> check = true;
        case "--only" -> parts = some(word, words, PARTS);
        case "--peers" -> peers = some(word, words, PEERS);
        case "--shapes" -> shapes = list(value(word, words), Shape::of);
        case "--threads" -> threads = numbers(value(word, words));
        case "--log" -> log = Path.of(value(word, words));
        case "--output" -> output = Path.of(value(word, words));
        default -> throw new IllegalArgumentException("unknown option " + word + "\n" + USAGE);
      }
    }
    if (log != null && !Files.isReadable(log)) {
      throw new IllegalArgumentException("--log: expected a file that can be read, got " + log);
    }
    return new SuiteOptions(
        quick, check, parts, peers.stream().map(Peer::of).toList(), shapes, threads, log, output);
  }

  /** Those parts that are races. */
  List<Race> races() {
    return Arrays.stream(Race.values()).filter(race -> parts.contains(race.id())).toList();
  }

  private static String value(String option, Deque<String> words) {
    if (words.isEmpty()) {
      throw new IllegalArgumentException(option + ": expected a value");
    }
    return words.pop();
  }

  private static <T> List<T> list(String text, Function<String, T> element) {
    return Arrays.stream(text.split(",")).map(element).toList();
  }

  private static List<String> some(String option, Deque<String> words, List<String> of) {
    List<String> chosen = list(value(option, words), Function.identity());
    if (!of.containsAll(chosen)) {
      throw new IllegalArgumentException(
          option + ": expected some of " + String.join(", ", of) + "; got " + chosen);
    }
    return chosen;
  }

  private static List<Integer> numbers(String text) {
    try {
      return list(text, Integer::valueOf);
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException("--threads: expected numbers such as 1,2; got " + text, e);
    }
  }
}
