// SPDX-License-Identifier: Apache-2.0

/**
 * The native libraries for Linux on x86-64. They lie in folders that are no packages, so that every
 * module finds them.
 */
module io.github.gatefuse.linux.x86_64 {
  requires io.github.gatefuse;
  // JavaCPP's own native library is in a jar of its own, too.
  requires org.bytedeco.javacpp.linux.x86_64;

  provides io.github.gatefuse.spi.NativeBundle with
      io.github.gatefuse.natives.linux.LinuxNatives;
}
