// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Runs commands inside the test's process. */
final class CommandLine {
  /** What a command left behind. */
  record Outcome(int code, String out, String err) {
    /** The lines of the CSV without its header, split at commas. */
    List<String[]> rows() {
      return out.lines().skip(1).map(line -> line.split(",")).toList();
    }
  }

  private CommandLine() {}

  static Outcome run(String... args) {
    return runWithInput(new byte[0], args);
  }

  static Outcome runWithInput(byte[] input, String... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int code = runTo(out, err, input, args);
    return new Outcome(code, text(out), text(err));
  }

  /** With an output that may fail. */
  static Outcome runTo(OutputStream out, String... args) {
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int code = runTo(out, err, new byte[0], args);
    return new Outcome(code, "", text(err));
  }

  private static int runTo(OutputStream out, OutputStream err, byte[] input, String... args) {
    PrintStream errors = new PrintStream(err, true, StandardCharsets.UTF_8);
    return Main.run(args, new ByteArrayInputStream(input), out, errors);
  }

  private static String text(ByteArrayOutputStream bytes) {
    return bytes.toString(StandardCharsets.UTF_8);
  }
}
