// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** What this process can tell of the machine. */
final class Machine {
  private static final Path CPU_INFO = Path.of("/proc/cpuinfo");
  private static final Path MAPS = Path.of("/proc/self/maps");
  private static final Pattern NATIVE = Pattern.compile("/lib(jni)?gatefuse[^/]*\\.so");

  private Machine() {}

  /** Facts by name, in the order in which they are shown. */
  static Map<String, Object> facts() {
    List<String> cpus = cpuModels();
    Map<String, Object> out = new LinkedHashMap<>();
    out.put("version", Version.text());
    out.put("java", property("java.runtime.version") + ", " + property("java.vm.name"));
    out.put("os", property("os.name") + " " + property("os.version"));
    out.put("arch", property("os.arch"));
    out.put("cpu", cpus.isEmpty() ? "unknown" : cpus.get(0));
    if (!cpus.isEmpty()) {
      out.put("cpus", cpus.size());
    }
    // Java's count honours the affinity mask and the container's limit.
    out.put("cpus_usable", Runtime.getRuntime().availableProcessors());
    return out;
  }

  /** The files of this library's native code that the process has loaded by now. */
  static List<String> nativeLibraries() {
    return lines(MAPS)
        .filter(line -> NATIVE.matcher(line).find())
        .map(line -> line.substring(line.indexOf('/')))
        .distinct()
        .toList();
  }

  private static String property(String name) {
    return System.getProperty(name, "unknown");
  }

  /** One entry for each processor, where the system tells. */
  private static List<String> cpuModels() {
    return lines(CPU_INFO)
        .filter(line -> line.startsWith("model name"))
        .map(line -> line.substring(line.indexOf(':') + 1).strip())
        .toList();
  }

  /** What Linux tells; nothing on other systems. */
  private static Stream<String> lines(Path file) {
    try {
      return Files.readAllLines(file).stream();
    } catch (IOException e) {
      return Stream.empty();
    }
  }
}
