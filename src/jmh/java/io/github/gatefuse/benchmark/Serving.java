// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.List;
import java.util.Locale;

/**
 * Measures serving, for {@code scripts/bench-serving}; prints what it finds line by line, and last
 * how busy the machine was with other work.
 */
public final class Serving {
  private static final String HELP =
      """
      bench-serving [options]
        --part NAME       batcher, answers, streams; all without it
        --requests N      requests of the part answers (1000000)
        --rounds N        rounds of the other parts (5)
        --clients N       threads that submit requests (64)
        --threads N       threads that compute (as many as there are processors)
        --no-build        runs what was built before
      """;

  /** What is asked for. */
  record Options(String part, int requests, int rounds, int clients, int threads) {
    boolean has(String name) {
      return part.isEmpty() || part.equals(name);
    }
  }

  private Serving() {}

  /**
   * Runs.
   *
   * @param args as the help says
   */
  public static void main(String[] args) throws Exception {
    if (List.of(args).contains("--help")) {
      System.out.print(HELP);
      return;
    }
    Options options = options(args);
    OtherWork others = new OtherWork();
    for (int threads = 1; threads <= options.threads; threads += Math.max(1, options.threads - 1)) {
      Ceilings ceilings = Ceilings.measure(threads);
      say(
          "ceilings, threads=%d: FMA %.0f GFLOP/s; read GB/s %s",
          threads, ceilings.gigaflops(), ceilings.gigabytes());
    }
    if (options.has("batcher")) {
      BatcherLoad.measure(options);
    }
    if (options.has("answers")) {
      BatcherAnswers.measure(options);
    }
    if (options.has("streams")) {
      StreamSteps.measure(options);
    }
    say("other work meanwhile: %s", others.text());
  }

  private static Options options(String[] args) {
    String part = "";
    int requests = 1_000_000;
    int rounds = 5;
    int clients = 64;
    int threads = Runtime.getRuntime().availableProcessors();
    for (int i = 0; i < args.length; i += 2) {
      String value = i + 1 < args.length ? args[i + 1] : "";
      switch (args[i]) {
        case "--part" -> part = value;
        case "--requests" -> requests = Integer.parseInt(value);
        case "--rounds" -> rounds = Integer.parseInt(value);
        case "--clients" -> clients = Integer.parseInt(value);
        case "--threads" -> threads = Integer.parseInt(value);
        default -> throw new IllegalArgumentException("unknown option " + args[i] + "\n" + HELP);
      }
    }
    return new Options(part, requests, rounds, clients, threads);
  }

  static void say(String format, Object... values) {
    System.out.println(String.format(Locale.ROOT, format, values));
  }
}
