// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.natives.linux.gpu;

import io.github.gatefuse.spi.NativeBundle;

/** Stands for the jar of the CUDA backend for Linux on x86-64. Immutable, thread-safe. */
public final class LinuxGpuNatives implements NativeBundle {
  /** Made by the service loader. */
  public LinuxGpuNatives() {}

  @Override
  public String platform() {
    return "linux-x86_64-gpu";
  }
}
