// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Why the library of the CUDA backend cannot be had, in words. */
class CudaLibraryTest {
  private static final Path FAKES = Path.of("target/cmake/native/test").toAbsolutePath();

  private String before;

  @BeforeEach
  void assumeNative() {
    before = System.getProperty(CudaLibrary.PROPERTY);
    DeviceReport report = new CpuBackendProvider().probe();
    assumeTrue(report.available(), report::toString);
  }

  @AfterEach
  void restore() {
    if (before == null) {
      System.clearProperty(CudaLibrary.PROPERTY);
    } else {
      System.setProperty(CudaLibrary.PROPERTY, before);
    }
  }

  private static String refusal() {
    GatefuseException e = assertThrows(GatefuseException.class, CudaLibrary::load);
    assertEquals(Code.BACKEND_UNAVAILABLE, e.code());
    return e.getMessage();
  }

  @Test
  void aMissingFileIsNamed() {
    System.setProperty(CudaLibrary.PROPERTY, "/nowhere/libgatefuse_cuda.so");
    String message = refusal();
    assertTrue(message.startsWith("backend library /nowhere/libgatefuse_cuda.so: "), message);
  }

  @Test
  void aRelativePathIsRefused() {
    System.setProperty(CudaLibrary.PROPERTY, "libgatefuse_cuda.so");
    assertEquals(
        "system property gatefuse.cuda.library: path: expected an absolute path, got"
            + " \"libgatefuse_cuda.so\"",
        refusal());
  }

  @Test
  void aLibraryThatDoesNotRunHereSaysWhy() {
    System.setProperty(
        CudaLibrary.PROPERTY, FAKES.resolve("libfake_backend_unavailable.so").toString());
    assertEquals("fake: no device", refusal());
  }

  @Test
  void aMissingJarIsNamed() {
    GatefuseException e =
        assertThrows(
            GatefuseException.class,
            () -> NativeLibrary.extract("linux-none-gpu", "libgatefuse_cuda.so"));
    assertEquals(
        "expected the jar of io.github.gatefuse:gatefuse with classifier linux-none-gpu on the"
            + " class path or module path, found none",
        e.getMessage());
  }

  @Test
  void reportsAreMadeOfFacts() {
    Map<String, String> facts = Map.of("available", "1", "device", "A", "device2", "C");
    assertEquals(
        List.of("A", "device 1", "C"),
        NativeBackendProvider.report(Backend.CUDA, facts, 3).devices());
    Map<String, String> none = Map.of("available", "0", "reason", "no driver");
    assertEquals(
        DeviceReport.missing(Backend.CUDA, "no driver"),
        NativeBackendProvider.report(Backend.CUDA, none, 0));
    assertEquals(
        DeviceReport.missing(Backend.CUDA, "it found no device"),
        NativeBackendProvider.report(Backend.CUDA, facts, 0));
  }
}
