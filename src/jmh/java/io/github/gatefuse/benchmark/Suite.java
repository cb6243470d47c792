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
 * All benchmarks of the CPU, for {@code scripts/bench-cpu}: runs them and writes the report.
 * Thread-safe; it keeps no state.
 */
public final class Suite {
  private static final Path HOME = Path.of(System.getProperty("gatefuse.home", ""));

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
      run(SuiteOptions.parse(args), List.of(args));
    } catch (IllegalArgumentException | IllegalStateException e) {
      System.err.println("bench-cpu: " + e.getMessage());
      System.exit(2);
    }
  }

  private static void run(SuiteOptions options, List<String> words)
      throws IOException, InterruptedException {
    Path work = Files.createTempDirectory("gatefuse-bench");
    try {
      Report report = new Report(words, options.quick());
      if (!options.races().isEmpty()) {
        for (int threads : options.threads()) {
          report.addLines(compare(words, threads, work.resolve(threads + ".tsv")));
        }
      }
      if (options.check()) {
        return;
      }
      if (!options.races().isEmpty()) {
        for (int threads : options.threads()) {
          report.add(Ceilings.measure(threads));
        }
      }
      if (options.parts().contains(SuiteOptions.RAGGED)) {
        for (int threads : options.threads()) {
          System.err.println("uneven lengths, threads " + threads);
          report.addRagged(RaggedCost.run(threads, options.quick()));
        }
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
      System.out.print(report.write(options.output(), "cpu-" + LocalDate.now()));
      System.out.println();
      report.summaries().stream()
          .filter(summary -> !summary.race().isReduced())
          .forEach(summary -> System.out.println(summary.line()));
    } finally {
      delete(work);
    }
  }

  /** In a process of its own, so that no other number of threads leaves a trace. */
  private static List<String> compare(List<String> words, int threads, Path result)
      throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(Pinning.words(threads));
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-XX:+UseSerialGC", "-Xms256m", "-Dslf4j.internal.verbosity=ERROR"));
    command.addAll(TorchContender.javaOptions(threads, HOME.resolve("target").resolve("djl")));
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add(Comparison.class.getName());
    command.addAll(List.of(Integer.toString(threads), result.toString()));
    command.addAll(words);
    ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
    // Read by the OpenMP of oneDNN and of libtorch, where they are loaded.
    builder.environment().put("OMP_NUM_THREADS", Integer.toString(threads));
    if (builder.start().waitFor() != 0) {
      throw new IllegalStateException(
          "the comparison with " + threads + " threads failed; see above");
    }
    return Files.readAllLines(result);
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
