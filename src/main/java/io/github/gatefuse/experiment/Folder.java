// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.experiment;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.stream.Stream;

/**
 * Where the files of an experiment lie. While it is not finished there is a folder {@code
 * unfinished} among them, with its settings and a checkpoint of each run, from which an experiment
 * of the same settings goes on, whenever this one was stopped. A folder of anything else is
 * refused.
 */
final class Folder {
  private final Path root;
  private final Path unfinished;
  private final Path settings;

  private Folder(Path root) {
    this.root = root;
    unfinished = root.resolve("unfinished");
    settings = unfinished.resolve("settings");
  }

  /**
   * Begins in a new or empty folder, or goes on in one of the same settings.
   *
   * @param wanted the settings, one a line, that decide what comes of the experiment
   * @throws IllegalArgumentException in words, if the folder is of something else
   */
  static Folder open(Path root, List<String> wanted) {
    Folder folder = new Folder(root);
    try {
      if (Files.exists(folder.settings)) {
        folder.check(Files.readAllLines(folder.settings), wanted);
      } else {
        folder.begin(wanted);
      }
      Files.createDirectories(root.resolve("runs"));
    } catch (IOException e) {
      throw new GatefuseException(Code.IO_FAILED, root + ": cannot create: " + e, e);
    }
    return folder;
  }

  private void check(List<String> there, List<String> wanted) {
    for (int i = 0; i < Math.max(there.size(), wanted.size()); i++) {
      String one = i < there.size() ? there.get(i) : "nothing more";
      String other = i < wanted.size() ? wanted.get(i) : "nothing more";
      if (!one.equals(other)) {
        throw new IllegalArgumentException(
            "%s: holds an unfinished experiment of other settings: expected %s, got %s"
                .formatted(root, one, other));
      }
    }
  }

  private void begin(List<String> wanted) throws IOException {
    Files.createDirectories(root);
    // Whoever is killed before the settings are there leaves this one folder, and nothing in it
    // that
    // counts.
    try (Stream<Path> files = Files.list(root)) {
      if (files.anyMatch(file -> !file.equals(unfinished))) {
        throw new IllegalArgumentException(
            root
                + ": expected a new or empty folder, or one of an unfinished experiment, since"
                + " nothing is overwritten");
      }
    }
    Files.createDirectories(unfinished);
    Path whole = unfinished.resolve("settings.new");
    Files.write(whole, wanted);
    Files.move(whole, settings, StandardCopyOption.ATOMIC_MOVE);
  }

  /** The metrics of a run. */
  Path metrics(String run) {
    return root.resolve("runs").resolve(run + ".csv");
  }

  /** Where a run stands. */
  Path checkpoint(String run) {
    return unfinished.resolve(run + ".safetensors");
  }

  /** Forgets how to go on. */
  void finish() {
    try {
      // First of all the settings: without them nobody takes what is left for a beginning.
      Files.deleteIfExists(settings);
      List<Path> rest;
      try (Stream<Path> files = Files.list(unfinished)) {
        rest = files.toList();
      }
      for (Path file : rest) {
        Files.delete(file);
      }
      Files.delete(unfinished);
    } catch (IOException e) {
      throw new GatefuseException(Code.IO_FAILED, unfinished + ": cannot delete: " + e, e);
    }
  }
}
