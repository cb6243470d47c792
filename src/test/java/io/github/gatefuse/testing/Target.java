// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.testing;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.Devices;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.internal.InstructionSet;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;

/**
 * Something that the parity and contract suites run on: a backend, on the CPU with one instruction
 * set.
 *
 * @param backend the backend
 * @param instructionSet of the CPU backend; null for others
 */
public record Target(Backend backend, InstructionSet instructionSet) {
  /** Makes a missing CUDA backend a failure in place of a skip. */
  public static final String REQUIRE_GPU = "gatefuse.requireGpu";

  /** All that there could be; {@link #assumeAvailable} skips what is not here. */
  public static List<Target> all() {
    List<Target> all = new ArrayList<>();
    all.add(new Target(Backend.REFERENCE, null));
    Stream.of(InstructionSet.values()).forEach(set -> all.add(new Target(Backend.CPU, set)));
    all.add(new Target(Backend.CUDA, null));
    return all;
  }

  /** These and cuDNN, which keeps no contract about bits and is never required. */
  public static List<Target> allAndCudnn() {
    List<Target> all = new ArrayList<>(all());
    all.add(new Target(Backend.CUDNN, null));
    return all;
  }

  /** The native targets that run here. */
  public static List<Target> availableNative() {
    return all().stream()
        .filter(target -> target.backend != Backend.REFERENCE && target.refusal().isEmpty())
        .toList();
  }

  /** Skips the test, saying why, if this does not run here. */
  public void assumeAvailable() {
    String refusal = refusal();
    if (!refusal.isEmpty() && backend == Backend.CUDA && Boolean.getBoolean(REQUIRE_GPU)) {
      fail(REQUIRE_GPU + " is set: expected a CUDA backend, got: " + refusal);
    }
    assumeTrue(refusal.isEmpty(), () -> this + ": " + refusal);
  }

  /** Whether there is such a cell: cuDNN has only the standard ones. */
  public boolean has(Cell cell) {
    return backend != Backend.CUDNN || cell == Cell.LSTM || cell == Cell.GRU;
  }

  private String refusal() {
    DeviceReport report =
        Devices.report().stream().filter(r -> r.backend() == backend).findFirst().orElseThrow();
    if (!report.available()) {
      return report.toString();
    }
    if (backend == Backend.CPU && !InstructionSet.available().contains(instructionSet)) {
      return "this build and this processor have only " + InstructionSet.available();
    }
    return "";
  }

  /** Makes a network that runs on this. */
  public Rnn create(RnnSpec spec, Weights weights) {
    if (instructionSet == null) {
      return Rnn.create(spec, weights, backend);
    }
    String before = System.getProperty(InstructionSet.PROPERTY);
    System.setProperty(InstructionSet.PROPERTY, instructionSet.id());
    try {
      return Rnn.create(spec, weights, backend);
    } finally {
      if (before == null) {
        System.clearProperty(InstructionSet.PROPERTY);
      } else {
        System.setProperty(InstructionSet.PROPERTY, before);
      }
    }
  }

  @Override
  public String toString() {
    return instructionSet == null
        ? backend.id()
        : backend.id() + "-" + instructionSet.name().toLowerCase(Locale.ROOT);
  }
}
