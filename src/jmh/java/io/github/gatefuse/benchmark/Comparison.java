// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * All contenders of one number of threads, in one process: at each shape first whether they agree,
 * then how long they take. Started by {@link Suite}. Not thread-safe.
 */
public final class Comparison {
  /** Begins a line that is no {@link Series}: what was refused. */
  static final String REFUSED = "refused\t";

  /** So small that nothing but the call is left. */
  static final Shape EMPTY = new Shape(1, 1, 8);

  private final SuiteOptions options;
  private final int threads;
  private final List<String> lines = new ArrayList<>();
  private final Set<String> refusals = new TreeSet<>();

  private Comparison(SuiteOptions options, int threads) {
    this.options = options;
    this.threads = threads;
  }

  /**
   * Runs all shapes and writes a {@link Series} for each contender.
   *
   * @param args the number of threads, the file to write, the options of {@link Suite}
   * @throws IOException if the file cannot be written
   */
  public static void main(String[] args) throws IOException {
    SuiteOptions options = SuiteOptions.parse(Arrays.copyOfRange(args, 2, args.length));
    Comparison comparison = new Comparison(options, Integer.parseInt(args[0]));
    try {
      comparison.run();
    } catch (IllegalStateException e) {
      System.err.println("bench-cpu: " + e.getMessage());
      System.exit(1);
    }
    Files.write(Path.of(args[1]), comparison.lines);
    // Libraries of peers may have left threads that are no daemons.
    System.exit(0);
  }

  private void run() {
    boolean whole = options.races().stream().anyMatch(race -> !race.isReduced());
    if (threads == 1 && whole) {
      run(EMPTY);
    }
    options.shapes().forEach(this::run);
    refusals.forEach(refusal -> lines.add(REFUSED + refusal));
  }

  private void run(Shape shape) {
    System.err.println("threads " + threads + ", shape " + shape);
    List<Entry> entries = new ArrayList<>();
    try {
      enter(shape, entries);
      Map<Contender, Double> errors = check(shape, entries);
      if (!options.check()) {
        time(shape, entries, errors);
      }
    } finally {
      entries.forEach(Entry::close);
    }
  }

  private void enter(Shape shape, List<Entry> entries) {
    for (Race race : options.races()) {
      if (race.isReduced() && shape.equals(EMPTY)) {
        continue;
      }
      enter(entries, race, () -> List.of(GateFuseContender.of(race, shape, threads)));
      for (Peer peer : options.peers()) {
        if (peer.runs(race, shape)) {
          enter(entries, race, () -> peer.settings(race, shape, threads));
        }
      }
    }
  }

  private interface Settings {
    List<Contender> open();
  }

  /** In float32 everyone has to run; shorter types are not everywhere. */
  private void enter(List<Entry> entries, Race race, Settings settings) {
    try {
      entries.add(new Entry(race, settings.open()));
    } catch (Refusal e) {
      if (!race.isReduced()) {
        throw new IllegalStateException(e.getMessage(), e);
      }
      refusals.add(e.getMessage());
    }
  }

  private Map<Contender, Double> check(Shape shape, List<Entry> entries) {
    Agreement agreement = new Agreement(shape, threads);
    Map<Contender, Double> errors = new HashMap<>();
    for (Entry entry : entries) {
      for (Contender contender : entry.settings()) {
        errors.put(contender, agreement.check(entry.race(), contender));
      }
    }
    return errors;
  }

  private void time(Shape shape, List<Entry> entries, Map<Contender, Double> errors) {
    RoundRobin choice = new RoundRobin(options.quick() ? Effort.QUICK : Effort.CHOICE);
    entries.forEach(entry -> entry.keepFastest(choice));
    List<Contender> contenders = entries.stream().map(Entry::contender).toList();
    double[][] nanos =
        new RoundRobin(options.quick() ? Effort.QUICK : Effort.FULL).time(contenders);
    for (int i = 0; i < nanos.length; i++) {
      Contender contender = contenders.get(i);
      Series series =
          new Series(
              entries.get(i).race(),
              threads,
              shape,
              contender.name(),
              contender.path(),
              errors.get(contender),
              nanos[i]);
      lines.add(series.line());
    }
  }
}
