// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendProvider;
import io.github.gatefuse.spi.HostMemory;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * What the backends of the C interface have in common.
 *
 * <p>Thread-safe.
 */
abstract class NativeBackendProvider implements BackendProvider {
  NativeBackendProvider() {}

  @Override
  public BackendModel create(RnnSpec spec, Weights weights, RnnOptions options) {
    return NativeModel.create(spec, weights, options);
  }

  @Override
  public HostMemory pinned(int bytes) {
    int number = Native.number(backend());
    Pointer memory = new Pointer();
    Native.check(GatefuseNative.gf_host_allocate(number, bytes, memory));
    ByteBuffer buffer = new BytePointer(memory).capacity(bytes).asByteBuffer();
    return new HostMemory(buffer, () -> GatefuseNative.gf_host_free(number, memory));
  }

  /**
   * Loads a backend and asks what it finds.
   *
   * @param load throws a {@link GatefuseException} whose message says why it cannot be had
   */
  static DeviceReport describe(Backend backend, Runnable load) {
    try {
      load.run();
      int number = Native.number(backend);
      return report(
          backend,
          Native.describe((text, size) -> GatefuseNative.gf_backend_describe(number, text, size)),
          devices(number));
    } catch (GatefuseException e) {
      return DeviceReport.missing(backend, e.getMessage());
    }
  }

  private static int devices(int number) {
    int[] count = new int[1];
    Native.check(GatefuseNative.gf_device_count(number, count));
    return count[0];
  }

  /** A backend names its devices as device0, device1, ..., or an only one as device. */
  static DeviceReport report(Backend backend, Map<String, String> facts, int devices) {
    String reason = facts.getOrDefault("reason", "");
    if (!"1".equals(facts.get("available")) || devices < 1) {
      return DeviceReport.missing(backend, reason.isEmpty() ? "it found no device" : reason);
    }
    List<String> names = new ArrayList<>();
    for (int i = 0; i < devices; i++) {
      String otherwise = i == 0 ? facts.getOrDefault("device", "device 0") : "device " + i;
      names.add(facts.getOrDefault("device" + i, otherwise));
    }
    return new DeviceReport(backend, true, names, reason);
  }
}
