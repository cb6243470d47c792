// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.ExecutionPath;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The outcome of {@code score}. Immutable.
 *
 * @param files the names of the sources
 * @param model the model's file
 * @param path how it ran
 * @param lines how many lines there were
 * @param bytes how many bytes were read
 * @param predictions how many bytes and line ends were predicted
 * @param bits the sum of -log2 p over all predictions
 * @param seconds for reading and scoring
 * @param surprising the most surprising lines
 */
record ScoreSummary(
    List<String> files,
    String model,
    ExecutionPath path,
    long lines,
    long bytes,
    long predictions,
    double bits,
    double seconds,
    List<SurprisingLines.Entry> surprising) {

  private double bitsPerByte() {
    return bits / predictions;
  }

  String text() {
    StringBuilder out = new StringBuilder();
    out.append(
        lines == 0
            ? "bits per byte  none: no lines\n"
            : format("bits per byte  %.4f\n", bitsPerByte()));
    out.append(format("lines          %d\n", lines));
    out.append(format("bytes          %d\n", bytes));
    out.append(
        format(
            "speed          %.0f lines/s, %s/s, %.2f s\n",
            lines / seconds, Units.bytes(bytes / seconds), seconds));
    out.append(format("path           %s\n", path));
    if (!surprising.isEmpty()) {
      out.append("\nmost surprising lines, bits per byte\n");
      surprising.forEach(entry -> out.append(row(entry)));
    }
    return out.toString();
  }

  private String row(SurprisingLines.Entry entry) {
    LineScore line = entry.line();
    return format(
        "%7.3f  %s:%d  %s\n",
        line.bitsPerByte(), files.get(line.file()), line.number(), entry.text());
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  /** For {@link Json}. */
  Map<String, Object> json() {
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("bits_per_byte", bitsPerByte());
    out.put("lines", lines);
    out.put("bytes", bytes);
    out.put("predictions", predictions);
    out.put("seconds", seconds);
    out.put("lines_per_second", lines / seconds);
    out.put("bytes_per_second", bytes / seconds);
    out.put("model", model);
    out.put("path", json(path));
    out.put("surprising", surprising.stream().map(this::json).toList());
    return out;
  }

  private Map<String, Object> json(SurprisingLines.Entry entry) {
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("file", files.get(entry.line().file()));
    out.put("line", entry.line().number());
    out.put("bytes", entry.line().bytes());
    out.put("bits_per_byte", entry.line().bitsPerByte());
    out.put("text", entry.text());
    return out;
  }

  /** A path's facts by name, for {@link Json}. */
  static Map<String, Object> json(ExecutionPath path) {
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("backend", path.backend().id());
    out.put("device", path.device());
    out.put("instruction_set", path.instructionSet());
    out.put("precision", path.precision());
    out.put("threads", path.threads());
    out.put("reason", path.reason());
    out.put("details", path.details());
    return out;
  }
}
