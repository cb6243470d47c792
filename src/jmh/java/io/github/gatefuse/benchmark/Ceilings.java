// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What some threads of this processor reach at best, measured by the native program cpu_ceilings.
 * Immutable.
 *
 * @param threads how many
 * @param gigaflops of fused multiplications and additions in float32
 * @param gigabytes read per second, by the memory's name, nearest first
 */
record Ceilings(int threads, double gigaflops, Map<String, Double> gigabytes) {
  private static final String PEAK = "FMA";

  static Ceilings measure(int threads) throws IOException, InterruptedException {
    Path program =
        Path.of(System.getProperty("gatefuse.home", ""))
            .resolve(Path.of("target", "cmake", "native", "benchmark", "cpu_ceilings"));
    List<String> command = new ArrayList<>(Pinning.words(threads));
    command.add(program.toString());
    command.add(Integer.toString(threads));
    command.add(Long.toString(MachineFacts.cacheBytes(2)));
    command.add(Long.toString(MachineFacts.cacheBytes(3)));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IllegalStateException("cpu_ceilings failed; see above");
    }
    Map<String, Double> giga = new LinkedHashMap<>();
    for (String line : text.lines().toList()) {
      String[] fields = line.split("\t");
      giga.put(fields[0], Double.parseDouble(fields[2]) / 1e9);
    }
    double peak = giga.remove(PEAK);
    return new Ceilings(threads, peak, giga);
  }

  /** For JSON. */
  Map<String, Object> facts() {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("threads", threads);
    facts.put("fma_gigaflops", gigaflops);
    facts.put("read_gigabytes_per_second", gigabytes);
    return facts;
  }
}
