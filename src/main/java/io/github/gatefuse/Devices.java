// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.List;

/**
 * What of this library runs on this machine.
 *
 * <p>Thread-safe.
 */
public final class Devices {
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
}
