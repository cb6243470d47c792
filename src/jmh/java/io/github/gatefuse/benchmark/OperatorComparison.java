// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * GateFuse's operators in ONNX Runtime against what it has by itself, for {@code
 * scripts/bench-onnxruntime}: the operator LSTM, and Scan for the refine cell. All run in one
 * process, by turns, and are first compared with one another. Not thread-safe.
 */
public final class OperatorComparison {
  private static final List<Race> RACES = List.of(Race.STANDARD, Race.REFINE);
  private static final List<Shape> SHAPES =
      Stream.of("1x100x128", "1x100x256", "32x100x256").map(Shape::of).toList();

  private final int threads;
  private final double[] logarithms = new double[RACES.size()];

  private OperatorComparison(int threads) {
    this.threads = threads;
  }

  /**
   * Prints a table.
   *
   * @param args the number of threads
   */
  public static void main(String[] args) {
    OperatorComparison comparison = new OperatorComparison(Integer.parseInt(args[0]));
    System.out.println(
        "| B x T x H | cell | threads | ONNX Runtime | µs | GateFuse | µs | ratio |");
    System.out.println("|---|---|--:|---|--:|---|--:|--:|");
    SHAPES.forEach(comparison::run);
    for (int i = 0; i < RACES.size(); i++) {
      System.out.printf(
          Locale.ROOT,
          "%n%s %dt: geomean %.2f%n",
          RACES.get(i).id(),
          comparison.threads,
          Math.exp(comparison.logarithms[i] / SHAPES.size()));
    }
    // A peer may have left threads that are no daemons.
    System.exit(0);
  }

  private void run(Shape shape) {
    List<Entry> entries = new ArrayList<>();
    try {
      Agreement agreement = new Agreement(shape, threads);
      for (Race race : RACES) {
        entries.add(new Entry(race, OrtContender.settings(race, shape, threads)));
        entries.add(new Entry(race, List.of(OrtContender.operator(race, shape, threads))));
      }
      for (Entry entry : entries) {
        entry.settings().forEach(contender -> agreement.check(entry.race(), contender));
        entry.keepFastest(new RoundRobin(Effort.CHOICE));
      }
      List<Contender> contenders = entries.stream().map(Entry::contender).toList();
      double[][] nanos = new RoundRobin(Effort.FULL).time(contenders);
      for (int i = 0; i < RACES.size(); i++) {
        print(shape, i, contenders.subList(2 * i, 2 * i + 2), nanos[2 * i], nanos[2 * i + 1]);
      }
    } finally {
      entries.forEach(Entry::close);
    }
  }

  private void print(Shape shape, int race, List<Contender> pair, double[] theirs, double[] ours) {
    Spread ratio = Spread.ofRatio(theirs, ours);
    logarithms[race] += Math.log(ratio.median());
    System.out.printf(
        Locale.ROOT,
        "| %s | %s | %d | %s | %.0f | %s | %.0f | %.2f (%.2f to %.2f) |%n",
        shape,
        RACES.get(race).cell().id(),
        threads,
        pair.get(0).name(),
        Spread.of(theirs).median() / 1e3,
        pair.get(1).name(),
        Spread.of(ours).median() / 1e3,
        ratio.median(),
        ratio.lower(),
        ratio.upper());
  }
}
