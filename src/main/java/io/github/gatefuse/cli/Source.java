// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;

/**
 * A file to be scored, or standard input. Immutable.
 *
 * @param name as it was given
 * @param path null for standard input
 * @param size bytes, or -1 for what is not a regular file
 */
record Source(String name, Path path, long size) {
  /** The operand that means standard input. */
  static final String STANDARD_INPUT = "-";

  /** Checks every operand, so that nothing is scored in vain before a bad one is found. */
  static List<Source> all(List<String> names) {
    if (names.isEmpty()) {
      throw new CommandException("score: expected a FILE, or - for standard input; got none");
    }
    if (names.stream().filter(STANDARD_INPUT::equals).count() > 1) {
      throw new CommandException("-: standard input can be read only once");
    }
    return names.stream().map(Source::of).toList();
  }

  private static Source of(String name) {
    if (name.equals(STANDARD_INPUT)) {
      return new Source(name, null, -1);
    }
    Path path = readable(name);
    try {
      return new Source(name, path, Files.isRegularFile(path) ? Files.size(path) : -1);
    } catch (IOException e) {
      throw cannotRead(name, e);
    }
  }

  /** The path of a file that exists and may be read. */
  static Path readable(String name) {
    Path path = path(name);
    if (!Files.exists(path)) {
      throw new CommandException(name + ": no such file");
    }
    if (Files.isDirectory(path)) {
      throw new CommandException(name + ": expected a file, got a directory");
    }
    if (!Files.isReadable(path)) {
      throw new CommandException(name + ": permission denied");
    }
    return path;
  }

  static Path path(String name) {
    try {
      return Path.of(name);
    } catch (InvalidPathException e) {
      throw new CommandException(name + ": expected a file name, got " + e.getReason(), e);
    }
  }

  /** Lets the splitter read it; the bytes read. */
  long read(LineSplitter splitter, int index, InputStream standardInput) {
    try {
      if (path == null) {
        return splitter.read(standardInput, index);
      }
      try (InputStream in = Files.newInputStream(path)) {
        return splitter.read(in, index);
      }
    } catch (IOException e) {
      throw cannotRead(name, e);
    }
  }

  private static CommandException cannotRead(String name, IOException e) {
    return new CommandException(name + ": cannot read: " + e.getMessage(), e);
  }
}
