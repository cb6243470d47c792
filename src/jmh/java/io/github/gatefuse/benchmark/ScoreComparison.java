// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.cli.CommandLineAccess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The command {@code gatefuse score} on a log: native code with some threads against the Java
 * reference with one. The reference scores only the first lines, and the two are compared by bytes
 * per second. Immutable.
 *
 * @param file the log's name; null if it was synthetic
 * @param bytes of the log
 * @param referenceBytes of the part that the reference scored
 * @param threads of the native code
 * @param bitsPerByte of the part, by native code; the reference's is the same within a tolerance
 * @param nativeSpeed bytes per second, by round
 * @param referenceSpeed bytes per second, by round
 */
record ScoreComparison(
    String file,
    long bytes,
    long referenceBytes,
    int threads,
    double bitsPerByte,
    double[] nativeSpeed,
    double[] referenceSpeed) {

  private static final int SYNTHETIC_BYTES = 1_000_000;
  private static final double TOLERANCE = 1e-4;

  /** Scores a log, or a synthetic one where there is none. The folder is for temporary files. */
  static ScoreComparison run(Path log, int threads, boolean quick, Path folder) throws IOException {
    byte[] bytes = log == null ? SyntheticLog.bytes(SYNTHETIC_BYTES) : Files.readAllBytes(log);
    Path whole = Files.write(folder.resolve("score.log"), bytes);
    byte[] firstLines = firstLines(bytes, quick ? 20_000 : 100_000);
    Path part = Files.write(folder.resolve("score-part.log"), firstLines);
    String[] onNative = {"--backend", "cpu", "--threads", Integer.toString(threads)};
    String[] onReference = {"--backend", "reference", "--threads", "1"};

    // The first runs check, and warm up.
    double bits = number(score(part, onNative), "bits_per_byte");
    expectEqual(bits, number(score(part, onReference), "bits_per_byte"));
    score(whole, onNative);
    int rounds = quick ? 2 : 7;
    double[] nativeSpeed = new double[rounds];
    double[] referenceSpeed = new double[rounds];
    for (int round = 0; round < rounds; round++) {
      nativeSpeed[round] = number(score(whole, onNative), "bytes_per_second");
      referenceSpeed[round] = number(score(part, onReference), "bytes_per_second");
    }
    return new ScoreComparison(
        log == null ? null : log.getFileName().toString(),
        bytes.length,
        firstLines.length,
        threads,
        bits,
        nativeSpeed,
        referenceSpeed);
  }

  Spread ratio() {
    return Spread.ofRatio(nativeSpeed, referenceSpeed);
  }

  private static String score(Path log, String... options) {
    String[] fixed = {"score", "--json", "--no-progress", log.toString()};
    String[] args = Arrays.copyOf(fixed, fixed.length + options.length);
    System.arraycopy(options, 0, args, fixed.length, options.length);
    return CommandLineAccess.run(args);
  }

  /** A number of the command's summary; no text comes before those that are asked for. */
  private static double number(String json, String name) {
    Matcher matcher = Pattern.compile("\"" + name + "\": ([-+.0-9eE]+)").matcher(json);
    if (!matcher.find()) {
      throw new IllegalStateException("score: expected a number " + name + ", got " + json);
    }
    return Double.parseDouble(matcher.group(1));
  }

  private static void expectEqual(double bits, double reference) {
    if (!(Math.abs(bits - reference) <= TOLERANCE)) {
      throw new IllegalStateException(
          "score: expected " + reference + " bits per byte as the reference, got " + bits);
    }
  }

  /** Whole lines, so many bytes or a little more; all, if there are fewer. */
  private static byte[] firstLines(byte[] bytes, int count) {
    int end = Math.min(count, bytes.length);
    while (end < bytes.length && bytes[end - 1] != '\n') {
      end++;
    }
    return Arrays.copyOf(bytes, end);
  }

  /** For JSON. */
  Map<String, Object> facts() {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("log", file == null ? "synthetic" : file);
    facts.put("bytes", bytes);
    facts.put("reference_bytes", referenceBytes);
    facts.put("threads", threads);
    facts.put("bits_per_byte", bitsPerByte);
    facts.put("native_bytes_per_second", Spread.of(nativeSpeed).facts());
    facts.put("reference_bytes_per_second", Spread.of(referenceSpeed).facts());
    facts.put("ratio", ratio().facts());
    return facts;
  }
}
