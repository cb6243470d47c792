// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Cell;
import io.github.gatefuse.cli.CommandLineAccess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Collects what was measured, and writes it for people and for programs. Not thread-safe. */
final class Report {
  private static final String STANDARD = GateFuseContender.name(Cell.LSTM);
  private static final String REFINE = GateFuseContender.name(Cell.LSTM_REFINE);

  private final String options;
  private final boolean quick;

  /** As it was at the start: the load at the end would be our own. */
  private final Map<String, Object> machine = MachineFacts.read();

  private final OtherWork otherWork = new OtherWork();

  private final List<Series> series = new ArrayList<>();
  private final List<CallOverhead> overheads = new ArrayList<>();
  private ScoreComparison score;

  Report(String options, boolean quick) {
    this.options = options;
    this.quick = quick;
  }

  void add(List<Series> more) {
    series.addAll(more);
  }

  void addOverheads(List<CallOverhead> more) {
    overheads.addAll(more);
  }

  void addScore(ScoreComparison comparison) {
    score = comparison;
  }

  /** Writes both files; gives the text. */
  String write(Path folder, String name) throws IOException {
    machine.put("other_work", otherWork.text());
    Files.createDirectories(folder);
    String markdown = markdown(name);
    Files.writeString(folder.resolve(name + ".md"), markdown);
    Files.writeString(folder.resolve(name + ".json"), CommandLineAccess.json(facts()) + "\n");
    return markdown;
  }

  /** The contenders of one shape and number of threads. */
  private record Match(Series standard, Series peer, Series refine) {
    Spread overPeer() {
      return Spread.ofRatio(peer.nanos(), standard.nanos());
    }

    Spread refineOverStandard() {
      return Spread.ofRatio(refine.nanos(), standard.nanos());
    }
  }

  private List<Match> matches() {
    return series.stream().filter(s -> s.contender().equals(STANDARD)).map(this::match).toList();
  }

  private Match match(Series standard) {
    List<Series> others =
        series.stream()
            .filter(s -> s.threads() == standard.threads() && s.shape().equals(standard.shape()))
            .toList();
    Series peer =
        others.stream()
            .filter(s -> s.contender().startsWith(OrtContender.PREFIX))
            .min(Comparator.comparingDouble(s -> s.spread().median()))
            .orElseThrow();
    Series refine =
        others.stream().filter(s -> s.contender().equals(REFINE)).findFirst().orElseThrow();
    return new Match(standard, peer, refine);
  }

  private String markdown(String name) {
    StringBuilder out = new StringBuilder("# Benchmark " + name + "\n\n");
    if (quick) {
      out.append("**A quick run: few samples, rough numbers.**\n\n");
    }
    out.append("    scripts/bench ").append(options).append("\n\n");
    out.append("How it is measured: [performance notes](../performance-notes.md).\n\n");
    out.append("| machine | |\n|---|---|\n");
    machine.forEach(
        (key, value) -> out.append("| ").append(key).append(" | ").append(value).append(" |\n"));
    if (!series.isEmpty()) {
      comparison(out);
      contenders(out);
    }
    if (!overheads.isEmpty()) {
      overhead(out);
    }
    if (score != null) {
      score(out);
    }
    return out.toString();
  }

  private void comparison(StringBuilder out) {
    out.append(
        """

        ## Standard LSTM and refine LSTM, float32

        Time per call, median (quartiles) of %d turns. Speed-up: the time of ONNX Runtime, at
        each shape in its fastest setting, over ours, by rounds. Refine / standard: the time of our
        refine LSTM over that of our standard LSTM, by rounds. 1x1x8 is little but the call.

        | B x T x H | threads | LSTM | ONNX Runtime | speed-up | refine LSTM | refine / standard |
        |---|---|---|---|---|---|---|
        """
            .formatted(series.get(0).nanos().length));
    for (Match match : matches()) {
      Series standard = match.standard();
      row(
          out,
          standard.shape(),
          standard.threads(),
          time(standard),
          time(match.peer()),
          "**" + number(match.overPeer().median()) + "** " + quartiles(match.overPeer(), 1),
          time(match.refine()),
          "**"
              + number(match.refineOverStandard().median())
              + "** "
              + quartiles(match.refineOverStandard(), 1));
    }
  }

  private void contenders(StringBuilder out) {
    out.append("\nAll contenders, with the fastest turn:\n\n");
    out.append(
        "| B x T x H | threads | contender | time per call | fastest | GFLOP/s |\n"
            + "|---|---|---|---|---|---|\n");
    for (Series s : series) {
      double operations = 16.0 * s.shape().count() * s.shape().size();
      row(
          out,
          s.shape(),
          s.threads(),
          s.contender(),
          time(s),
          Time.of(s.spread().least()),
          number(operations / s.spread().median()));
    }
    out.append("\nHow they ran:\n\n");
    series.stream()
        .map(s -> "- " + s.contender() + ", threads " + s.threads() + ": " + s.path() + "\n")
        .distinct()
        .forEach(out::append);
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
        format(
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
        "**" + number(score.ratio().median()) + "** " + quartiles(score.ratio(), 1));
  }

  private static void row(StringBuilder out, Object... cells) {
    for (Object cell : cells) {
      out.append("| ").append(cell).append(' ');
    }
    out.append("|\n");
  }

  private enum Time {
    NANOSECONDS("ns", 1),
    MICROSECONDS("µs", 1e3),
    MILLISECONDS("ms", 1e6);

    private final String symbol;
    private final double nanos;

    Time(String symbol, double nanos) {
      this.symbol = symbol;
      this.nanos = nanos;
    }

    static Time unit(double value) {
      return value < 1e3 ? NANOSECONDS : value < 1e5 ? MICROSECONDS : MILLISECONDS;
    }

    static String of(double value) {
      return unit(value).text(value);
    }

    String text(double value) {
      return number(value / nanos) + " " + symbol;
    }
  }

  private static String time(Series series) {
    Spread spread = series.spread();
    Time unit = Time.unit(spread.median());
    return unit.text(spread.median()) + " " + quartiles(spread, unit.nanos);
  }

  private static String quartiles(Spread spread, double unit) {
    return "(" + number(spread.lower() / unit) + " to " + number(spread.upper() / unit) + ")";
  }

  /** Three digits or more. */
  private static String number(double value) {
    if (value >= 100) {
      return format("%.0f", value);
    }
    if (value >= 10) {
      return format("%.1f", value);
    }
    return value >= 0.1 ? format("%.2f", value) : format("%.3g", value);
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  private Map<String, Object> facts() {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("command", "scripts/bench " + options);
    facts.put("quick", quick);
    facts.put("machine", machine);
    facts.put("nanoseconds_per_call", series.stream().map(Report::facts).toList());
    facts.put("ratios", matches().stream().map(Report::facts).toList());
    facts.put("overhead", overheads.stream().map(CallOverhead::facts).toList());
    facts.put("score", score == null ? null : score.facts());
    return facts;
  }

  private static Map<String, Object> facts(Series series) {
    Map<String, Object> facts = key(series);
    facts.put("contender", series.contender());
    facts.put("path", series.path());
    facts.putAll(series.spread().facts());
    return facts;
  }

  private static Map<String, Object> facts(Match match) {
    Map<String, Object> facts = key(match.standard());
    facts.put("peer", match.peer().contender());
    facts.put("peer_over_gatefuse", match.overPeer().facts());
    facts.put("refine_over_standard", match.refineOverStandard().facts());
    return facts;
  }

  private static Map<String, Object> key(Series series) {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("batch", series.shape().batch());
    facts.put("steps", series.shape().steps());
    facts.put("size", series.shape().size());
    facts.put("threads", series.threads());
    return facts;
  }
}
