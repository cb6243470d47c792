// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import static io.github.gatefuse.benchmark.Text.number;
import static io.github.gatefuse.benchmark.Text.quartiles;
import static io.github.gatefuse.benchmark.Text.row;

import io.github.gatefuse.cli.CommandLineAccess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Collects what was measured, and writes it for people and for programs. Not thread-safe. */
final class Report {
  private final String command;
  private final boolean quick;

  /** As it was at the start: the load at the end would be our own. */
  private final Map<String, Object> machine = MachineFacts.read();

  private final OtherWork otherWork = new OtherWork();

  private final List<Series> series = new ArrayList<>();
  private final List<String> refusals = new ArrayList<>();
  private final List<Ceilings> ceilings = new ArrayList<>();
  private final List<RaggedCost> ragged = new ArrayList<>();
  private final List<CallOverhead> overheads = new ArrayList<>();
  private ScoreComparison score;

  Report(List<String> options, boolean quick) {
    command = ("scripts/bench-cpu " + String.join(" ", options)).strip();
    this.quick = quick;
  }

  /** What a {@link Comparison} wrote. */
  void addLines(List<String> lines) {
    for (String line : lines) {
      if (line.startsWith(Comparison.REFUSED)) {
        String refusal = line.substring(Comparison.REFUSED.length());
        if (!refusals.contains(refusal)) {
          refusals.add(refusal);
        }
      } else {
        series.add(Series.of(line));
      }
    }
  }

  void add(Ceilings more) {
    ceilings.add(more);
  }

  void addRagged(List<RaggedCost> more) {
    ragged.addAll(more);
  }

  void addOverheads(List<CallOverhead> more) {
    overheads.addAll(more);
  }

  void addScore(ScoreComparison comparison) {
    score = comparison;
  }

  /** Writes all files; gives the text. */
  String write(Path folder, String name) throws IOException {
    machine.put("other_work", otherWork.text());
    Files.createDirectories(folder);
    String markdown = markdown(folder, name);
    Files.writeString(folder.resolve(name + ".md"), markdown);
    Files.writeString(folder.resolve(name + ".json"), CommandLineAccess.json(facts()) + "\n");
    return markdown;
  }

  /** For each race and number of threads that were run, in this order. */
  List<Standing.Summary> summaries() {
    List<Standing> standings = Standing.all(series);
    return Arrays.stream(Race.values())
        .flatMap(
            race ->
                threads().stream()
                    .map(threads -> Standing.Summary.of(race, threads, standings))
                    .flatMap(Optional::stream))
        .toList();
  }

  private List<Integer> threads() {
    return series.stream().map(Series::threads).distinct().toList();
  }

  private String markdown(Path folder, String name) {
    StringBuilder out = new StringBuilder("# Benchmark " + name + "\n\n");
    if (quick) {
      out.append("**A quick run: few samples, rough numbers.**\n\n");
    }
    out.append("    ").append(command).append("\n\n");
    out.append("How it is measured: [performance notes](../performance-notes.md).\n\n");
    out.append("| machine | |\n|---|---|\n");
    machine.forEach(
        (key, value) -> out.append("| ").append(key).append(" | ").append(value).append(" |\n"));
    if (!series.isEmpty()) {
      summary(out);
      for (Race race : Race.values()) {
        race(out, race);
      }
      refineOverStandard(out);
      Roofline roofline = new Roofline(series, ceilings);
      roofline.write(out, folder, name);
      ways(out);
    }
    if (!ragged.isEmpty()) {
      ragged(out);
    }
    if (!overheads.isEmpty()) {
      overhead(out);
    }
    if (score != null) {
      score(out);
    }
    return out.toString();
  }

  private void summary(StringBuilder out) {
    out.append(
        """

        ## Ratios to the best peer

        The time of the fastest peer at each shape over ours; above 1 ours is faster. 1x1x8, which
        is little but the call, does not count. DL4J is not among the peers: where it was tried before
        (1.0.0-M2.1) it was 2 to 100 times slower than the fastest.

        | | threads | geometric mean | least |
        |---|---|---|---|
        """);
    for (Standing.Summary s : summaries()) {
      row(out, s.race().id(), s.threads(), "**" + number(s.geomean()) + "**", number(s.least()));
    }
  }

  private void race(StringBuilder out, Race race) {
    List<Series> all = series.stream().filter(s -> s.race() == race).toList();
    if (all.isEmpty()) {
      return;
    }
    out.append(
        """

        ## %s: %s, %s

        Time per call, median (quartiles) of the turns; the ratio is the contender's time over ours,
        by rounds, median (quartiles). Error: the largest difference to our float32 outputs.

        | B x T x H | threads | contender | time per call | fastest | GFLOP/s | error | ratio |
        |---|---|---|---|---|---|---|---|
        """
            .formatted(race.id(), race.cell().id(), race.precision()));
    for (Series s : all) {
      row(
          out,
          s.shape(),
          s.threads(),
          s.contender(),
          Text.time(s.spread()),
          Text.Time.of(s.spread().least()),
          number(s.gigaflops()),
          Text.format("%.1e", s.error()),
          s.isOurs() ? "" : ours(race, s).map(o -> ratio(s, o)).orElse("ours is missing"));
    }
  }

  private static String ratio(Series dividend, Series divisor) {
    return Text.ratio(Spread.ofRatio(dividend.nanos(), divisor.nanos()));
  }

  /** Of a race, at the shape and with the threads of another. */
  private Optional<Series> ours(Race race, Series other) {
    return series.stream()
        .filter(s -> s.isOurs() && s.race() == race)
        .filter(s -> s.threads() == other.threads() && s.shape().equals(other.shape()))
        .findFirst();
  }

  private void refineOverStandard(StringBuilder out) {
    List<Series> refine =
        series.stream()
            .filter(s -> s.isOurs() && s.race() == Race.REFINE)
            .filter(s -> ours(Race.STANDARD, s).isPresent())
            .toList();
    if (refine.isEmpty()) {
      return;
    }
    out.append(
        """

        ## Our refine LSTM over our standard LSTM

        | B x T x H | threads | refine / standard |
        |---|---|---|
        """);
    for (Series s : refine) {
      row(out, s.shape(), s.threads(), ratio(s, ours(Race.STANDARD, s).orElseThrow()));
    }
  }

  private void ways(StringBuilder out) {
    out.append("\n## How they ran\n\n");
    series.stream()
        .map(s -> "- " + s.contender() + ", threads " + s.threads() + ": " + s.path() + "\n")
        .distinct()
        .forEach(out::append);
    if (!refusals.isEmpty()) {
      out.append("\nNot run here:\n\n");
      refusals.forEach(refusal -> out.append("- ").append(refusal).append('\n'));
    }
  }

  private void ragged(StringBuilder out) {
    out.append(
        """

        ## Uneven lengths

        Our standard LSTM over sequences of 10 to T steps, the longest of T: its time over that of as
        many steps of the same batch with all sequences at full length, median (quartiles) of the
        rounds. At 1 only valid steps cost something; above it the last sequences run with fewer
        beside them than a step is efficient with.

        | B x T x H | threads | valid steps | cost |
        |---|---|---|---|
        """);
    for (RaggedCost r : ragged) {
      row(
          out,
          r.shape(),
          r.threads(),
          Text.format("%.0f %%", 100 * r.share()),
          Text.ratio(r.cost()));
    }
  }

  private void overhead(StringBuilder out) {
    out.append(
        """

        ## Overhead of a call

        T = 1, B = 1, H = 8, one thread, from Java and back (JMH, average time).

        | method | ns | error (99.9 %) | forks | iterations |
        |---|---|---|---|---|
        """);
    for (CallOverhead o : overheads) {
      row(out, o.method(), number(o.nanos()), number(o.error()), o.forks(), o.samples());
    }
  }

  private void score(StringBuilder out) {
    String log = score.file() == null ? "a synthetic log" : score.file();
    out.append("\n## gatefuse score\n\n");
    out.append(
        Text.format(
            "%s, %d bytes, with the model that comes along; kilobytes per second, median"
                + " (quartiles) of %d runs. The reference scored the first %d bytes only and is"
                + " compared by its speed; on these both give"
                + " %.4f bits per byte.\n\n",
            log,
            score.bytes(),
            score.nativeSpeed().length,
            score.referenceBytes(),
            score.bitsPerByte()));
    out.append(
        "| native, threads "
            + score.threads()
            + " | Java reference, 1 thread | ratio |\n|---|---|---|\n");
    Spread fast = Spread.of(score.nativeSpeed());
    Spread slow = Spread.of(score.referenceSpeed());
    row(
        out,
        number(fast.median() / 1e3) + " " + quartiles(fast, 1e3),
        number(slow.median() / 1e3) + " " + quartiles(slow, 1e3),
        Text.ratio(score.ratio()));
  }

  private Map<String, Object> facts() {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("command", command);
    facts.put("quick", quick);
    facts.put("machine", machine);
    facts.put("summary", summaries().stream().map(Report::facts).toList());
    facts.put("ratios", Standing.all(series).stream().map(Report::facts).toList());
    facts.put("nanoseconds_per_call", series.stream().map(Report::facts).toList());
    facts.put("not_run", refusals);
    facts.put("ceilings", ceilings.stream().map(Ceilings::facts).toList());
    facts.put("ragged", ragged.stream().map(RaggedCost::facts).toList());
    facts.put("overhead", overheads.stream().map(CallOverhead::facts).toList());
    facts.put("score", score == null ? null : score.facts());
    return facts;
  }

  private static Map<String, Object> facts(Standing.Summary summary) {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("race", summary.race().id());
    facts.put("threads", summary.threads());
    facts.put("geometric_mean", summary.geomean());
    facts.put("least", summary.least());
    return facts;
  }

  private static Map<String, Object> facts(Standing standing) {
    Map<String, Object> facts = key(standing.ours());
    facts.put("peer", standing.peer().contender());
    facts.put("peer_over_gatefuse", standing.ratio().facts());
    return facts;
  }

  private static Map<String, Object> facts(Series series) {
    Map<String, Object> facts = key(series);
    facts.put("contender", series.contender());
    facts.put("path", series.path());
    facts.put("error", series.error());
    facts.putAll(series.spread().facts());
    return facts;
  }

  private static Map<String, Object> key(Series series) {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("race", series.race().id());
    facts.put("batch", series.shape().batch());
    facts.put("steps", series.shape().steps());
    facts.put("size", series.shape().size());
    facts.put("threads", series.threads());
    return facts;
  }
}
