// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.natives.linux;

import io.github.gatefuse.spi.NativeBundle;

/** Stands for the jar of native libraries for Linux on x86-64. Immutable, thread-safe. */
public final class LinuxNatives implements NativeBundle {
  /** Made by the service loader. */
  public LinuxNatives() {}

  @Override
  public String platform() {
    return "linux-x86_64";
  }
}
