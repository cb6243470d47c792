// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendProvider;
import java.util.Map;

/**
 * The native CPU backend.
 *
 * <p>Thread-safe.
 */
public final class NativeBackendProvider implements BackendProvider {
  /** Asked once: a library that failed to load does not load later in the same process. */
  private static final class Probe {
    static final DeviceReport REPORT = probeOnce();
  }

  /** Made by {@link java.util.ServiceLoader}. */
  public NativeBackendProvider() {}

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
  public DeviceReport probe() {
    return Probe.REPORT;
  }

  @Override
  public BackendModel create(RnnSpec spec, Weights weights) {
    return NativeModel.create(spec, weights, InstructionSet.chosen());
  }

  private static DeviceReport probeOnce() {
    try {
      NativeLibrary.load();
      Map<String, String> facts =
          Native.describe(
              (text, size) ->
                  GatefuseNative.gf_backend_describe(GatefuseNative.GF_BACKEND_CPU, text, size));
      boolean available = "1".equals(facts.get("available"));
      String reason = facts.getOrDefault("reason", "");
      if (available && reason.isEmpty()) {
        reason = "instruction sets " + InstructionSet.names();
      }
      return new DeviceReport(Backend.CPU, available, facts.getOrDefault("device", ""), reason);
    } catch (GatefuseException e) {
      return new DeviceReport(Backend.CPU, false, "", e.getMessage());
    }
  }
}
