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
 * @param gigabytes read per second, by the memory's name and the bytes a thread read, nearest first
 */
record Ceilings(int threads, double gigaflops, Map<String, Double> gigabytes) {
  private static final String PEAK = "FMA";

  // Where the sizes are not known. The report names those of the buffers that were read.
  private static final long USUAL_L2 = 1L << 20;
  private static final long USUAL_L3 = 1L << 25;

  static Ceilings measure(int threads) throws IOException, InterruptedException {
    Path program =
        Path.of(System.getProperty("gatefuse.home", ""))
            .resolve(Path.of("target", "cmake", "native", "benchmark", "cpu_ceilings"));
    List<String> command = new ArrayList<>(Pinning.words(threads));
    command.add(program.toString());
    command.add(Integer.toString(threads));
    command.add(Long.toString(MachineFacts.cacheBytes(2).orElse(USUAL_L2)));
    command.add(Long.toString(MachineFacts.cacheBytes(3).orElse(USUAL_L3)));
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (process.waitFor() != 0) {
      throw new IllegalStateException("cpu_ceilings failed; see above");
    }
    double peak = 0;
    Map<String, Double> reads = new LinkedHashMap<>();
    for (String line : text.lines().toList()) {
      String[] fields = line.split("\t");
      double giga = Double.parseDouble(fields[2]) / 1e9;
      if (fields[0].equals(PEAK)) {
        peak = giga;
      } else {
        reads.put(fields[0] + " (" + Long.parseLong(fields[1]) / 1024 + " KiB)", giga);
      }
    }
    return new Ceilings(threads, peak, reads);
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
