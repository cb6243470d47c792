// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A forgotten close is reported, a done one is not. */
class LeakReportTest {
  private final BlockingQueue<LeakReport> reports = new LinkedBlockingQueue<>();

  @AfterEach
  void clear() {
    System.clearProperty(LeakReport.STACKS);
  }

  private LeakReport forget() throws InterruptedException {
    LeakReport.watch(new Object(), "A thing", reports::add);
    LeakReport report = null;
    for (int i = 0; i < 200 && report == null; i++) {
      System.gc();
      report = reports.poll(50, TimeUnit.MILLISECONDS);
    }
    return report;
  }

  @Test
  void aForgottenCloseIsReported() throws InterruptedException {
    LeakReport report = forget();
    assertEquals(
        "A thing was never closed; its memory stays in use;"
            + " -Dgatefuse.leakStacks=true tells where it was made",
        report.message());
    assertNull(report.creation());
  }

  @Test
  void whereItWasMadeIsToldOnDemand() throws InterruptedException {
    System.setProperty(LeakReport.STACKS, "true");
    LeakReport report = forget();
    assertEquals("A thing was never closed; its memory stays in use", report.message());
    assertNotNull(report.creation());
    assertEquals("forget", report.creation().getStackTrace()[2].getMethodName());
  }

  @Test
  void aClosedThingIsNotReported() throws InterruptedException {
    LeakReport closed = LeakReport.watch(new Object(), "A closed thing", reports::add);
    closed.closed();
    LeakReport other = forget();
    assertEquals("A thing", other.message().substring(0, 7), "only what was forgotten");
    assertNull(reports.poll());
  }
}
