// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.cli.CommandLineAccess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;

/** What the numbers of a report depend on. Stateless. */
final class MachineFacts {
  /** Flags of /proc/cpuinfo that decide which code runs. */
  private static final Set<String> FLAGS =
      Set.of("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16");

  /** Set by scripts/bench-cpu. */
  private static final String COMMIT_PROPERTY = "gatefuse.benchmark.commit";

  private MachineFacts() {}

  static Map<String, Object> read() {
    Map<String, Object> facts = new LinkedHashMap<>(CommandLineAccess.machine());
    facts.put("cpu_flags", String.join(" ", flags()));
    facts.put("caches", caches());
    facts.put("load_average", text(Path.of("/proc/loadavg")));
    facts.put("commit", System.getProperty(COMMIT_PROPERTY, "unknown"));
    return facts;
  }

  private static Set<String> flags() {
    Set<String> flags = new TreeSet<>();
    for (String line : text(Path.of("/proc/cpuinfo")).split("\n")) {
      if (line.startsWith("flags")) {
        flags.addAll(List.of(line.split("\\s+")));
      }
    }
    flags.retainAll(FLAGS);
    return flags;
  }

  /** Of the first processor, such as {@code L1 Data 32K, L2 Unified 1024K}. */
  private static String caches() {
    StringBuilder caches = new StringBuilder();
    Path folder = Path.of("/sys/devices/system/cpu/cpu0/cache");
    for (int i = 0; Files.isDirectory(folder.resolve("index" + i)); i++) {
      Path cache = folder.resolve("index" + i);
      caches.append(i == 0 ? "L" : ", L").append(text(cache.resolve("level")));
      caches.append(' ').append(text(cache.resolve("type")));
      caches.append(' ').append(text(cache.resolve("size")));
    }
    return caches.toString();
  }

  /** The size of the first processor's cache of a level; not every guest is told. */
  static OptionalLong cacheBytes(int level) {
    Path folder = Path.of("/sys/devices/system/cpu/cpu0/cache");
    for (int i = 0; Files.isDirectory(folder.resolve("index" + i)); i++) {
      Path cache = folder.resolve("index" + i);
      if (text(cache.resolve("level")).equals(Integer.toString(level))) {
        return OptionalLong.of(1024 * Long.parseLong(text(cache.resolve("size")).replace("K", "")));
      }
    }
    return OptionalLong.empty();
  }

  /** What Linux tells; nothing on other systems. */
  private static String text(Path file) {
    try {
      return Files.readString(file).strip();
    } catch (IOException e) {
      return "";
    }
  }
}
