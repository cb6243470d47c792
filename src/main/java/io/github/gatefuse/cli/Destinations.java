// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The files of a command, so that none that is written is read, too, or written twice. Links lead
 * to what they are links to. Not thread-safe.
 */
final class Destinations {
  /** More symbolic links in a row than an operating system follows. */
  private static final int MOST_LINKS = 64;

  /**
   * A file.
   *
   * @param what it is, as in: would overwrite what is to be scored
   */
  private record Known(Path path, String what) {}

  private final List<Known> known = new ArrayList<>();

  /** Adds a file that is read. */
  Destinations read(Path path, String what) {
    known.add(new Known(path, what));
    return this;
  }

  /**
   * Adds a file that is written.
   *
   * @param name the option that asks for it, and its value
   * @throws CommandException if it is one that was added before
   */
  Destinations write(String name, Path path, String what) {
    for (Known other : known) {
      if (isSame(other.path, path)) {
        throw new CommandException(name + ": would overwrite " + other.what);
      }
    }
    known.add(new Known(path, what));
    return this;
  }

  /** What is no regular file, such as a terminal, keeps nothing that could be lost. */
  private static boolean isSame(Path one, Path other) {
    try {
      if (Files.exists(one) && Files.exists(other)) {
        return Files.isRegularFile(other) && Files.isSameFile(one, other);
      }
      return place(one).equals(place(other));
    } catch (IOException e) {
      throw new CommandException(other + ": cannot read: " + e.getMessage(), e);
    }
  }

  /** Where a file that need not exist is or will be. */
  private static Path place(Path path) throws IOException {
    Path end = path.toAbsolutePath();
    for (int i = 0; i < MOST_LINKS && Files.isSymbolicLink(end); i++) {
      end = end.resolveSibling(Files.readSymbolicLink(end));
    }
    Path folder = end.getParent();
    boolean isThere = folder != null && end.getFileName() != null && Files.isDirectory(folder);
    return isThere ? folder.toRealPath().resolve(end.getFileName()) : end.normalize();
  }
}
