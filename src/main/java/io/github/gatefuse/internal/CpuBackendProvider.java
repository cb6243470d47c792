// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.Precision;
import java.util.EnumSet;
import java.util.Set;

/**
 * The native CPU backend.
 *
 * <p>Thread-safe.
 */
public final class CpuBackendProvider extends NativeBackendProvider {
  /** Asked once: a library that failed to load does not load later in the same process. */
  private static final class Probe {
    static final DeviceReport REPORT =
        withInstructionSets(describe(Backend.CPU, NativeLibrary::load));
  }

  /** Made by {@link java.util.ServiceLoader}. */
  public CpuBackendProvider() {}

  @Override
  public Backend backend() {
    return Backend.CPU;
  }

  /** Before the reference, behind a GPU. */
  @Override
  public int priority() {
    return 100;
  }

  @Override
  public Set<Precision> precisions() {
    return EnumSet.of(Precision.FLOAT32, Precision.BFLOAT16, Precision.INT8);
  }

  @Override
  public DeviceReport probe() {
    return Probe.REPORT;
  }

  private static DeviceReport withInstructionSets(DeviceReport report) {
    if (!report.available() || !report.reason().isEmpty()) {
      return report;
    }
    String reason = "instruction sets " + InstructionSet.names();
    return new DeviceReport(Backend.CPU, true, report.devices(), reason);
  }
}
