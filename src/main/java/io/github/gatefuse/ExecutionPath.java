// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * How a session runs. Results have the same bits for the same backend, instruction set, precision
 * and tier.
 *
 * <p>Immutable and thread-safe.
 *
 * @param backend what computes; never {@link Backend#AUTO}
 * @param device the processor or GPU in words
 * @param instructionSet such as {@code avx2}; {@code jvm} for the reference; empty for CUDA
 * @param precision such as {@code float32}
 * @param threads the most threads that a call uses
 * @param reason why this path and not a faster one, or empty
 * @param details further facts that the backend tells, by name; of CUDA {@code tier}, {@code
 *     weights} (where they are while it runs) and others
 */
public record ExecutionPath(
    Backend backend,
    String device,
    String instructionSet,
    String precision,
    int threads,
    String reason,
    Map<String, String> details) {

  /**
   * Holds a copy of the details, in their order. Nothing is null.
   *
   * @param backend what computes
   * @param device where
   * @param instructionSet with what instructions
   * @param precision in what numbers
   * @param threads on how many threads at most
   * @param reason why so
   * @param details copied
   */
  public ExecutionPath {
    Objects.requireNonNull(backend, "backend");
    Objects.requireNonNull(device, "device");
    Objects.requireNonNull(instructionSet, "instructionSet");
    Objects.requireNonNull(precision, "precision");
    Objects.requireNonNull(reason, "reason");
    details = Collections.unmodifiableMap(new LinkedHashMap<>(details));
  }

  /** The same with further reasons behind its own. */
  ExecutionPath because(List<String> reasons) {
    String all =
        Stream.concat(Stream.of(reason), reasons.stream())
            .filter(one -> !one.isEmpty())
            .collect(Collectors.joining("; "));
    return new ExecutionPath(backend, device, instructionSet, precision, threads, all, details);
  }

  /**
   * One line for logs and reports.
   *
   * @return such as {@code cpu avx2 float32, 4 threads, on Intel Xeon; reason: ...}
   */
  @Override
  public String toString() {
    StringBuilder line = new StringBuilder(backend.id());
    if (!instructionSet.isEmpty()) {
      line.append(' ').append(instructionSet);
    }
    line.append(' ').append(precision);
    line.append(", ").append(threads).append(threads == 1 ? " thread" : " threads");
    if (!device.isEmpty()) {
      line.append(", on ").append(device);
    }
    if (!reason.isEmpty()) {
      line.append("; ").append(reason);
    }
    details.forEach((name, value) -> line.append("; ").append(name).append(' ').append(value));
    return line.toString();
  }
}
