// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.testing;

import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.Devices;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Tier;
import io.github.gatefuse.Weights;
import io.github.gatefuse.internal.InstructionSet;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Something that the parity and contract suites run on: a backend, on the CPU with one instruction
 * set, in one precision, on CUDA in one tier. CUDA is a GPU or its emulation on the CPU.
 *
 * @param backend the backend
 * @param instructionSet of the CPU backend; null for others
 * @param precision of the model
 * @param tier of the sessions
 */
public record Target(
    Backend backend, InstructionSet instructionSet, Precision precision, Tier tier) {
  /** Makes a missing CUDA backend a failure in place of a skip; the emulation is none. */
  public static final String REQUIRE_GPU = "gatefuse.requireGpu";

  /** Those that CUDA has: all but the last, int8. */
  private static final int EMULATED_PRECISIONS = Precision.values().length - 1;

  private Target(Backend backend, InstructionSet instructionSet) {
    this(backend, instructionSet, Precision.FLOAT32, Tier.AUTO);
  }

  /** All backends that there could be, in float32; {@link #assumeAvailable} skips some. */
  public static List<Target> all() {
    List<Target> all = new ArrayList<>();
    all.add(new Target(Backend.REFERENCE, null));
    Stream.of(InstructionSet.values()).forEach(set -> all.add(new Target(Backend.CPU, set)));
    all.add(new Target(Backend.CUDA, null));
    return all;
  }

  /** All paths that there could be: every precision and tier of every backend. */
  public static List<Target> allPaths() {
    List<Target> all = new ArrayList<>(all());
    for (Precision precision : List.of(Precision.BFLOAT16, Precision.INT8)) {
      Stream.of(InstructionSet.values())
          .forEach(set -> all.add(new Target(Backend.CPU, set, precision, Tier.AUTO)));
    }
    for (Precision precision : Precision.values()) {
      for (Tier tier : precision == Precision.INT8 ? new Tier[0] : Tier.values()) {
        all.add(new Target(Backend.CUDA, null, precision, tier));
      }
      all.add(new Target(Backend.REFERENCE, null, precision, Tier.AUTO));
    }
    return all.stream().distinct().toList();
  }

  /** All paths of the CPU and of CUDA, and the reference in float32. */
  public static List<Target> allNativePaths() {
    return allPaths().stream()
        .filter(t -> t.backend != Backend.REFERENCE || t.precision == Precision.FLOAT32)
        .toList();
  }

  /** All paths and cuDNN, which keeps no contract about bits and is never required. */
  public static List<Target> allPathsAndCudnn() {
    List<Target> all = new ArrayList<>(allPaths());
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

  /**
   * Whether a suite of all paths and cells has this pair. The C++ tests run every precision with
   * every cell and tier of the emulation; here each cell has each tier in one precision, and each
   * tier every precision. A GPU, like the CPU, is tested with all.
   */
  public boolean isItsTurn(Cell cell) {
    int turn = cell.ordinal() + tier.ordinal() + precision.ordinal();
    return turn % EMULATED_PRECISIONS == 0 || !isEmulated();
  }

  /** Whether there is such a cell: cuDNN has only the standard ones. */
  public boolean has(Cell cell) {
    return backend != Backend.CUDNN || cell == Cell.LSTM || cell == Cell.GRU;
  }

  private String refusal() {
    DeviceReport report = report();
    if (!report.available()) {
      return report.toString();
    }
    if (backend == Backend.CPU && !InstructionSet.available().contains(instructionSet)) {
      return "this build and this processor have only " + InstructionSet.available();
    }
    if (isEmulated() && Boolean.getBoolean(REQUIRE_GPU)) {
      return report.toString();
    }
    return "";
  }

  private DeviceReport report() {
    return Devices.report().stream().filter(r -> r.backend() == backend).findFirst().orElseThrow();
  }

  /** Whether this is CUDA's emulation, which takes its time. */
  public boolean isEmulated() {
    return backend == Backend.CUDA
        && report().devices().stream()
            .anyMatch(name -> name.toLowerCase(Locale.ROOT).contains("emulated"));
  }

  /** Makes a network that runs on this. */
  public Rnn create(RnnSpec spec, Weights weights) {
    RnnOptions options = RnnOptions.of(backend).withPrecision(precision);
    if (instructionSet == null) {
      return Rnn.create(spec, weights, options);
    }
    String before = System.getProperty(InstructionSet.PROPERTY);
    System.setProperty(InstructionSet.PROPERTY, instructionSet.id());
    try {
      return Rnn.create(spec, weights, options);
    } finally {
      if (before == null) {
        System.clearProperty(InstructionSet.PROPERTY);
      } else {
        System.setProperty(InstructionSet.PROPERTY, before);
      }
    }
  }

  /** Makes a session in this tier; none if the network does not fit the tier. */
  public Optional<Session> session(Rnn rnn, int maxSteps, int maxBatch) {
    return session(rnn, SessionOptions.of(maxSteps, maxBatch));
  }

  /** The same with options of any tier, which are run in this one. */
  public Optional<Session> session(Rnn rnn, SessionOptions options) {
    try {
      return Optional.of(rnn.session(options.withTier(tier)));
    } catch (IllegalArgumentException e) {
      if (tier == Tier.AUTO || !e.getMessage().startsWith("tier: ")) {
        throw e;
      }
      return Optional.empty();
    }
  }

  /** Makes a session in this tier, which has to fit. */
  public Session backwardSession(Rnn rnn, SessionOptions options) {
    return rnn.session(options.withTier(tier));
  }

  /** The same in the tier that a session took. */
  public Target inTierOf(Session session) {
    String taken = session.path().details().get("tier");
    return taken == null ? this : new Target(backend, instructionSet, precision, Tier.of(taken));
  }

  @Override
  public String toString() {
    StringBuilder name = new StringBuilder(backend.id());
    if (instructionSet != null) {
      name.append('-').append(instructionSet.name().toLowerCase(Locale.ROOT));
    }
    if (precision != Precision.FLOAT32) {
      name.append('-').append(precision.id());
    }
    return tier == Tier.AUTO ? name.toString() : name.append('-').append(tier.id()).toString();
  }
}
