// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.util.List;
import java.util.Locale;

/**
 * Every line's score as CSV (RFC 4180 with line feeds), in the order of the input. Not thread-safe.
 */
final class PerLineReport {
  private final Output out;
  private final List<String> fileFields;

  /** Writes the header. */
  PerLineReport(Output out, List<String> files) {
    this.out = out;
    this.fileFields = files.stream().map(PerLineReport::field).toList();
    out.println("file,line,bytes,bits_per_byte");
  }

  void add(LineScore line) {
    out.print(fileFields.get(line.file()));
    out.print("," + line.number() + "," + line.bytes() + ",");
    out.println(String.format(Locale.ROOT, "%.6f", line.bitsPerByte()));
  }

  /** Quoted only where it must be. */
  static String field(String text) {
    boolean plain = text.chars().noneMatch(c -> c == ',' || c == '"' || c == '\n' || c == '\r');
    return plain ? text : '"' + text.replace("\"", "\"\"") + '"';
  }
}
