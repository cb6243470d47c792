// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.Precision;
import java.util.EnumSet;
import java.util.Set;

/**
 * The native CUDA backend.
 *
 * <p>Thread-safe.
 */
public final class CudaBackendProvider extends NativeBackendProvider {
  /** Asked once: a library that failed to load does not load later in the same process. */
  private static final class Probe {
    static final DeviceReport REPORT = describe(Backend.CUDA, CudaLibrary::load);
  }

  /** Made by {@link java.util.ServiceLoader}. */
  public CudaBackendProvider() {}

  @Override
  public Backend backend() {
    return Backend.CUDA;
  }

  /** Before all others; but a library for tests is only used when it is asked for. */
  @Override
  public int priority() {
    return CudaLibrary.isNamed() ? -1 : 200;
  }

  @Override
  public DeviceReport probe() {
    return Probe.REPORT;
  }

  /** An old device lacks some of them, and then refuses by itself. */
  @Override
  public Set<Precision> precisions() {
    return EnumSet.range(Precision.FLOAT32, Precision.FLOAT16);
  }
}
