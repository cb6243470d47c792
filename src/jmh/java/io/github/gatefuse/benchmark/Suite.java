// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * All benchmarks of the CPU, for {@code scripts/bench}: runs them and writes the report.
 * Thread-safe; it keeps no state.
 */
public final class Suite {
  /** So small that nothing but the call is left. */
  private static final Shape EMPTY = new Shape(1, 1, 8);

  private Suite() {}

  /**
   * Runs what the options ask for.
   *
   * @param args the options
   * @throws IOException if a file cannot be read or written
   * @throws InterruptedException if this thread is interrupted
   */
  public static void main(String[] args) throws IOException, InterruptedException {
    if (List.of(args).contains("--help")) {
      System.out.print(SuiteOptions.USAGE);
      return;
    }
    try {
      run(SuiteOptions.parse(args), String.join(" ", args));
    } catch (IllegalArgumentException | IllegalStateException e) {
      System.err.println("bench: " + e.getMessage());
      System.exit(2);
    }
  }

  private static void run(SuiteOptions options, String words)
      throws IOException, InterruptedException {
    Path work = Files.createTempDirectory("gatefuse-bench");
    try {
      Report report = new Report(words, options.quick());
      if (options.parts().contains(SuiteOptions.LSTM)) {
        for (int threads : options.threads()) {
          report.add(compare(options, threads, work.resolve(threads + ".tsv")));
        }
      }
      if (options.check()) {
        return;
      }
      if (options.parts().contains(SuiteOptions.OVERHEAD)) {
        System.err.println("overhead of a call");
        report.addOverheads(CallOverhead.run(options.quick()));
      }
      if (options.parts().contains(SuiteOptions.SCORE)) {
        System.err.println("score");
        int threads = options.threads().stream().mapToInt(Integer::intValue).max().orElseThrow();
        report.addScore(ScoreComparison.run(options.log(), threads, options.quick(), work));
      }
      String markdown = report.write(options.output(), "cpu-" + LocalDate.now());
      System.out.print(markdown);
    } finally {
      delete(work);
    }
  }

  /** In a process of its own, so that no other number of threads leaves a trace. */
  private static List<Series> compare(SuiteOptions options, int threads, Path result)
      throws IOException, InterruptedException {
    String effort =
        options.check() ? "CHECK" : (options.quick() ? Effort.QUICK : Effort.FULL).name();
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:+UseSerialGC", "-Xms256m", "-Dslf4j.internal.verbosity=ERROR"));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(Comparison.class.getName());
    command.addAll(List.of(Integer.toString(threads), result.toString(), effort));
    if (threads == 1) {
      command.add(EMPTY.toString());
    }
    options.shapes().forEach(shape -> command.add(shape.toString()));
    int code = new ProcessBuilder(command).inheritIO().start().waitFor();
    if (code != 0) {
      throw new IllegalStateException(
          "the comparison with " + threads + " threads failed; see above");
    }
    return Files.readAllLines(result).stream().map(Series::of).toList();
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }
}
