// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import org.junit.jupiter.api.Test;

class ProgressTest {
  @Test
  void theShareTheSpeedAndTheRestAreTold() {
    assertEquals(
        "[############            ]  50%  2.00 MB, 500.0 kB/s, 0:04 left",
        Progress.text(2_000_000, 4_000_000, 4));
  }

  @Test
  void moreThanAllIsAll() {
    assertEquals(
        "[########################] 100%  1.0 kB, 1.0 kB/s, 0:00 left",
        Progress.text(1001, 1000, 1));
  }

  @Test
  void ofAStreamOnlyWhatIsDoneIsTold() {
    assertEquals("1.5 kB, 150 B/s", Progress.text(1500, -1, 10));
  }

  @Test
  void nothingIsWrittenWhereItIsNotShown() throws InterruptedException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (Progress progress = new Progress(new PrintStream(out, true), false, 10)) {
      Thread.sleep(250);
      progress.accept(5);
    }
    assertEquals(0, out.size());
  }

  @Test
  void theLineIsWipedAtTheEnd() throws InterruptedException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (Progress progress = new Progress(new PrintStream(out, true), true, 10)) {
      Thread.sleep(250);
      progress.accept(5);
    }
    String text = out.toString();
    assertEquals("\r\033[K[####", text.substring(0, 9));
    assertEquals("left\r\033[K", text.substring(text.length() - 8));
  }

  @Test
  void timesAreReadable() {
    assertEquals("0:07", Units.duration(6.2));
    assertEquals("1:02:03", Units.duration(3723));
    assertEquals("3.20 GB", Units.bytes(3.2e9));
  }
}
