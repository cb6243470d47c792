// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendProvider;
import io.github.gatefuse.testing.Networks;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * The choice of a backend: AUTO takes the best that runs and says why, others run or are an error.
 */
class BackendsTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.GRU, 2, 3);
  private static final Weights WEIGHTS = Networks.weights(SPEC, 1);

  /** A provider whose report and failure are given. */
  private record Fake(Backend backend, int priority, String refusal, RuntimeException failure)
      implements BackendProvider {
    @Override
    public DeviceReport probe() {
      return refusal == null
          ? DeviceReport.on(backend, "device", "")
          : DeviceReport.missing(backend, refusal);
    }

    @Override
    public BackendModel create(RnnSpec spec, Weights weights, RnnOptions options) {
      if (failure != null) {
        throw failure;
      }
      return new BlockingBackend();
    }
  }

  private static Fake runs(Backend backend, int priority) {
    return new Fake(backend, priority, null, null);
  }

  private static Fake refuses(Backend backend, int priority, String refusal) {
    return new Fake(backend, priority, refusal, null);
  }

  private static final Fake REFERENCE = runs(Backend.REFERENCE, 0);

  private static Backends.Choice choose(Backend requested, BackendProvider... providers) {
    return new Backends(List.of(providers)).create(SPEC, WEIGHTS, RnnOptions.of(requested));
  }

  private static GatefuseException refused(Backend requested, BackendProvider... providers) {
    return assertThrows(GatefuseException.class, () -> choose(requested, providers));
  }

  @AfterEach
  void clear() {
    System.clearProperty(Backends.PROPERTY);
  }

  @Test
  void autoTakesTheBest() {
    Backends.Choice choice =
        choose(Backend.AUTO, REFERENCE, runs(Backend.CPU, 100), runs(Backend.CUDA, 200));
    assertEquals(Backend.CUDA, choice.backend());
    assertEquals(List.of(), choice.refused());
  }

  @Test
  void autoSaysWhyABetterOneWasRefused() {
    Backends.Choice choice =
        choose(
            Backend.AUTO,
            REFERENCE,
            refuses(Backend.CPU, 100, "no jar"),
            refuses(Backend.CUDA, 200, "no driver"));
    assertEquals(Backend.REFERENCE, choice.backend());
    assertEquals(List.of("CUDA backend: no driver", "CPU backend: no jar"), choice.refused());
  }

  @Test
  void autoTakesTheBestThatHasThePrecisionAndTheDevice() {
    Backends backends = new Backends(List.of(runs(Backend.CPU, 100), REFERENCE));
    RnnOptions half = RnnOptions.DEFAULT.withPrecision(Precision.FLOAT16);
    GatefuseException refusal =
        assertThrows(GatefuseException.class, () -> backends.create(SPEC, WEIGHTS, half));
    assertEquals(
        "no backend runs here: precision: expected float32 on the cpu backend, got float16;"
            + " precision: expected float32 on the reference backend, got float16",
        refusal.getMessage());
    RnnOptions second = RnnOptions.DEFAULT.withDevice(1);
    refusal = assertThrows(GatefuseException.class, () -> backends.create(SPEC, WEIGHTS, second));
    assertTrue(
        refusal.getMessage().contains("device: expected 0 on the cpu backend, got 1"),
        refusal.getMessage());
    try (Rnn rnn = Rnn.create(SPEC, WEIGHTS, RnnOptions.DEFAULT.withPrecision(Precision.TF32))) {
      assertTrue(rnn.backend() != Backend.CPU, "the CPU has no TF32");
    }
  }

  @Test
  void aPrecisionOrDeviceThatABackendLacksIsAnError() {
    RnnOptions cpu = RnnOptions.of(Backend.CPU);
    Backends backends = new Backends(List.of(runs(Backend.CPU, 100)));
    assertEquals(
        "precision: expected float32 on the cpu backend, got bfloat16",
        assertThrows(
                IllegalArgumentException.class,
                () -> backends.create(SPEC, WEIGHTS, cpu.withPrecision(Precision.BFLOAT16)))
            .getMessage());
    assertEquals(
        "device: expected 0 on the cpu backend, got 3",
        assertThrows(
                IllegalArgumentException.class,
                () -> backends.create(SPEC, WEIGHTS, cpu.withDevice(3)))
            .getMessage());
    assertEquals(
        "device: expected at least 0, got -1",
        assertThrows(IllegalArgumentException.class, () -> cpu.withDevice(-1)).getMessage());
  }

  @Test
  void autoNeverTakesAnUnaskedBackend() {
    Fake cudnn = runs(Backend.CUDNN, -1);
    assertEquals(Backend.CPU, choose(Backend.AUTO, cudnn, runs(Backend.CPU, 100)).backend());
    assertEquals(Backend.CUDNN, choose(Backend.CUDNN, cudnn, REFERENCE).backend());
  }

  @Test
  void autoGoesOnWhereABackendTurnsOutUnavailable() {
    GatefuseException failure = new GatefuseException(Code.BACKEND_UNAVAILABLE, "device is gone");
    Backends.Choice choice =
        choose(Backend.AUTO, new Fake(Backend.CUDA, 200, null, failure), REFERENCE);
    assertEquals(Backend.REFERENCE, choice.backend());
    assertEquals(List.of("device is gone"), choice.refused());
  }

  @Test
  void autoHidesNoOtherFailure() {
    for (RuntimeException failure :
        List.of(
            new GatefuseException(Code.OUT_OF_MEMORY, "full"),
            new IllegalArgumentException("bad"))) {
      Fake failing = new Fake(Backend.CPU, 100, null, failure);
      assertSame(
          failure,
          assertThrows(RuntimeException.class, () -> choose(Backend.AUTO, failing, REFERENCE)));
    }
  }

  @Test
  void nothingAtAllIsAnError() {
    GatefuseException failure = refused(Backend.AUTO, refuses(Backend.CUDA, 1, "no driver"));
    assertEquals(Code.BACKEND_UNAVAILABLE, failure.code());
    assertEquals("no backend runs here: CUDA backend: no driver", failure.getMessage());
  }

  @Test
  void anExplicitBackendNeverDegrades() {
    GatefuseException refusal =
        refused(Backend.CPU, REFERENCE, refuses(Backend.CPU, 100, "expected a jar, found none"));
    assertEquals(Code.BACKEND_UNAVAILABLE, refusal.code());
    assertEquals("CPU backend: expected a jar, found none", refusal.getMessage());
    GatefuseException missing = refused(Backend.CUDNN, REFERENCE, runs(Backend.CPU, 100));
    assertEquals(
        "CUDNN backend: this build has no such backend; it has cpu, reference",
        missing.getMessage());
  }

  @Test
  void thePropertyStandsForAuto() {
    System.setProperty(Backends.PROPERTY, "reference");
    assertEquals(
        Backend.REFERENCE, choose(Backend.AUTO, REFERENCE, runs(Backend.CPU, 1)).backend());
    assertEquals(Backend.CPU, choose(Backend.CPU, REFERENCE, runs(Backend.CPU, 1)).backend());
    System.setProperty(Backends.PROPERTY, "cuda");
    assertEquals(Code.BACKEND_UNAVAILABLE, refused(Backend.AUTO, REFERENCE).code());
    System.setProperty(Backends.PROPERTY, "fast");
    IllegalArgumentException unknown =
        assertThrows(IllegalArgumentException.class, () -> choose(Backend.AUTO, REFERENCE));
    assertEquals(
        "system property gatefuse.backend: backend: expected one of auto, reference, cpu, cuda,"
            + " cudnn; got fast",
        unknown.getMessage());
  }

  @Test
  void theReportNamesEveryBackend() {
    List<DeviceReport> reports = Devices.report();
    assertEquals(
        Stream.of(Backend.values()).filter(b -> b != Backend.AUTO).toList(),
        reports.stream().map(DeviceReport::backend).toList());
    DeviceReport reference = reports.get(0);
    assertTrue(reference.available() && !reference.devices().isEmpty());
    for (DeviceReport report : reports) {
      assertTrue(report.available() || !report.reason().isEmpty(), report + ": says why");
      assertFalse(report.toString().contains("\n"));
    }
  }

  @Test
  void installedBackendsRunOrSayWhyNot() {
    for (DeviceReport report : Devices.report()) {
      if (report.available()) {
        try (Rnn rnn = Rnn.create(SPEC, WEIGHTS, report.backend())) {
          assertEquals(report.backend(), rnn.backend());
        }
      } else {
        GatefuseException refusal =
            assertThrows(
                GatefuseException.class, () -> Rnn.create(SPEC, WEIGHTS, report.backend()));
        assertEquals(report.backend() + " backend: " + report.reason(), refusal.getMessage());
      }
    }
    try (Rnn rnn = Rnn.create(SPEC, WEIGHTS)) {
      assertTrue(rnn.backend() != Backend.AUTO);
    }
  }
}
