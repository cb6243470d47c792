// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The processors of a run: the last of those that this process may use, as many as threads, so that
 * neither a thread wanders nor a runtime makes more of them; the first one has most of the system's
 * own work. Stateless.
 */
final class Pinning {
  private static final String ALLOWED = "Cpus_allowed_list:";

  private Pinning() {}

  /** The words that a command begins with; none where there are too few processors. */
  static List<String> words(int threads) throws IOException {
    List<String> processors = allowed();
    if (processors.size() < threads) {
      return List.of();
    }
    int first = processors.size() - threads;
    return List.of("taskset", "-c", String.join(",", processors.subList(first, processors.size())));
  }

  private static List<String> allowed() throws IOException {
    List<String> processors = new ArrayList<>();
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith(ALLOWED)) {
        for (String range : line.substring(ALLOWED.length()).strip().split(",")) {
          String[] ends = range.split("-");
          for (int i = Integer.parseInt(ends[0]);
              i <= Integer.parseInt(ends[ends.length - 1]);
              i++) {
            processors.add(Integer.toString(i));
          }
        }
      }
    }
    return processors;
  }
}
