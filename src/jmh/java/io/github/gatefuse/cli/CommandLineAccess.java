// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** What benchmarks need of the command line's package. Thread-safe; it keeps no state. */
public final class CommandLineAccess {
  private CommandLineAccess() {}

  /**
   * Runs a command as {@code bin/gatefuse} does, in this process.
   *
   * @param args the words of the command line
   * @return what it wrote to standard output
   * @throws IllegalStateException if its exit code is not 0, with what it wrote to standard error
   */
  public static String run(String... args) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    int code =
        Main.run(
            args,
            InputStream.nullInputStream(),
            out,
            new PrintStream(err, true, StandardCharsets.UTF_8));
    if (code != Main.OK) {
      throw new IllegalStateException(
          String.join(" ", args) + ": " + err.toString(StandardCharsets.UTF_8).strip());
    }
    return out.toString(StandardCharsets.UTF_8);
  }

  /**
   * The processor, the system and Java.
   *
   * @return facts by name
   */
  public static Map<String, Object> machine() {
    Map<String, Object> facts = Machine.facts();
    // A benchmark runs classes from folders, which have no version.
    facts.remove("version");
    return facts;
  }

  /**
   * Writes a value as JSON.
   *
   * @param value maps, collections, texts, numbers and booleans
   * @return its text
   */
  public static String json(Object value) {
    return Json.of(value);
  }
}
