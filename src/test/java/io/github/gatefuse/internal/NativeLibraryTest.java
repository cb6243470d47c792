// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.binding.GatefuseNative;
import org.junit.jupiter.api.Test;

/** Which native libraries this version works with. */
class NativeLibraryTest {
  private static final int MAJOR = GatefuseNative.GF_VERSION_MAJOR;
  private static final int MINOR = GatefuseNative.GF_VERSION_MINOR;

  @Test
  void loadsAsOftenAsAsked() {
    NativeLibrary.load();
    NativeLibrary.load();
    assertEquals(MAJOR * 1000 + MINOR, GatefuseNative.gf_version());
  }

  @Test
  void takesTheSameAndLaterMinorVersions() {
    assertNull(NativeLibrary.checkVersion(MAJOR * 1000 + MINOR));
    assertNull(NativeLibrary.checkVersion(MAJOR * 1000 + MINOR + 1));
  }

  @Test
  void refusesOtherMajorAndEarlierMinorVersions() {
    assertRefused(MAJOR * 1000 + MINOR - 1);
    assertRefused((MAJOR - 1) * 1000 + MINOR);
    assertRefused((MAJOR + 1) * 1000 + MINOR);
  }

  private static void assertRefused(int version) {
    GatefuseException refusal = NativeLibrary.checkVersion(version);
    assertEquals(Code.BACKEND_UNAVAILABLE, refusal.code());
    String expected =
        "the native library has interface version %d.%d, expected %d.%d or a later %d.x:"
            + " use jars of one version";
    assertEquals(
        expected.formatted(version / 1000, version % 1000, MAJOR, MINOR, MAJOR),
        refusal.getMessage());
  }
}
