// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.List;
import java.util.Objects;

/**
 * What of this library runs on this machine.
 *
 * <p>Thread-safe.
 */
public final class Devices {
  private static final int LARGEST = Integer.MAX_VALUE;

  private Devices() {}

  /**
   * Asks every backend whether it runs here. The first call loads native libraries; it never throws
   * for a backend that is missing or broken, whose report says why.
   *
   * @return one report for each backend except {@link Backend#AUTO}, in the order of {@link
   *     Backend}
   */
  public static List<DeviceReport> report() {
    return Backends.installed().report();
  }

  /**
   * Allocates host memory for fast copies from and to a backend's devices, page-locked where that
   * means something.
   *
   * @param backend whose devices use it; {@link Backend#AUTO} for the best that runs here
   * @param bytes 1 to 2^31-1, as many as one buffer can hold
   * @return memory of zeros, that the caller owns and closes
   * @throws IllegalArgumentException if the size is out of range
   * @throws GatefuseException if the backend does not run here, or memory runs out
   */
  public static PinnedMemory pinned(Backend backend, long bytes) {
    Objects.requireNonNull(backend, "backend");
    if (bytes < 1 || bytes > LARGEST) {
      throw new IllegalArgumentException(
          "bytes: expected 1 to " + LARGEST + ", as many as a buffer can hold; got " + bytes);
    }
    return new PinnedMemory(Backends.installed().pinned(backend, (int) bytes));
  }
}
