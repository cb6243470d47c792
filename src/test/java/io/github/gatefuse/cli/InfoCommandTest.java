// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.Devices;
import io.github.gatefuse.cli.CommandLine.Outcome;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class InfoCommandTest {
  @Test
  void textTellsTheMachineAndEveryBackend() {
    Outcome outcome = CommandLine.run("info");
    assertEquals(0, outcome.code(), outcome.err());
    for (String name : List.of("version", "java", "os", "arch", "cpu", "cpus_usable")) {
      assertTrue(outcome.out().lines().anyMatch(line -> line.startsWith(name + " ")), name);
    }
    for (DeviceReport report : Devices.report()) {
      assertTrue(outcome.out().contains("  " + report + "\n"), outcome.out());
    }
    assertTrue(outcome.out().contains("\nauto picks "), outcome.out());
  }

  @Test
  void jsonTellsTheSame() {
    Outcome outcome = CommandLine.run("info", "--json");
    assertEquals(0, outcome.code(), outcome.err());
    Map<String, Object> info = JsonReader.readObject(outcome.out());
    assertEquals((double) Runtime.getRuntime().availableProcessors(), info.get("cpus_usable"));
    List<Map<String, Object>> backends = JsonReader.objects(info.get("backends"));
    List<DeviceReport> reports = Devices.report();
    assertEquals(reports.size(), backends.size());
    for (int i = 0; i < reports.size(); i++) {
      DeviceReport report = reports.get(i);
      Map<String, Object> backend = backends.get(i);
      assertEquals(report.backend().id(), backend.get("backend"));
      assertEquals(report.available(), backend.get("available"));
      assertEquals(report.reason(), backend.get("reason"));
      assertEquals(report.available(), backend.get("path") != null);
    }
    assertTrue(
        backends.stream()
            .filter(backend -> (Boolean) backend.get("available"))
            .anyMatch(backend -> backend.get("backend").equals(info.get("auto"))));
  }

  @Test
  void operandsAreRefused() {
    Outcome outcome = CommandLine.run("info", "more");
    assertEquals(2, outcome.code());
    assertEquals("gatefuse: info: expected no further argument, got more\n", outcome.err());
  }
}
