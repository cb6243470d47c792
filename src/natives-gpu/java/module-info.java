// SPDX-License-Identifier: Apache-2.0

/**
 * The library of the CUDA backend for Linux on x86-64, an addition to the jar of native libraries.
 * It lies in a folder that is no package, so that every module finds it.
 */
module io.github.gatefuse.linux.x86_64.gpu {
  requires io.github.gatefuse;

  provides io.github.gatefuse.spi.NativeBundle with
      io.github.gatefuse.natives.linux.gpu.LinuxGpuNatives;
}
