// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class ExcerptTest {
  private static String of(byte[] bytes) {
    return Excerpt.of(bytes, 0, bytes.length);
  }

  private static String of(String text) {
    return of(text.getBytes(UTF_8));
  }

  @Test
  void textStaysAsItIs() {
    assertEquals("größer 漢字 😀 \\ \"", of("größer 漢字 😀 \\ \""));
  }

  @Test
  void whatATerminalWouldObeyIsEscaped() {
    assertEquals("\\x00\\x1b[2J\\t\\r\\x7f\\x9b", of("\0\u001b[2J\t\r\u007f\u009b"));
    assertEquals("\\u{202e}\\u{feff}\\u{2028}\\u{e000}", of("\u202e\ufeff\u2028\ue000"));
  }

  @Test
  void bytesThatAreNoUtf8AreEscaped() {
    assertEquals("gr\\xf6\\xdfer\\x1b", of("größer\u001b".getBytes(ISO_8859_1)));
  }

  @Test
  void longLinesAreShortened() {
    assertEquals("x".repeat(120), of("x".repeat(120)));
    assertEquals("x".repeat(120) + "…", of("x".repeat(121)));
  }

  @Test
  void theCutIsNotInTheMiddleOfACharacter() {
    for (int shift = 0; shift < 4; shift++) {
      byte[] line = ("x".repeat(shift) + "😀".repeat(1000)).getBytes(UTF_8);
      byte[] kept = Arrays.copyOf(line, Excerpt.KEPT_BYTES);
      String expected = "x".repeat(shift) + "😀".repeat(120 - shift) + "…";
      assertEquals(expected, Excerpt.of(kept, 0, line.length));
    }
  }

  @Test
  void onlyTheLineIsShown() {
    assertEquals("b", Excerpt.of(new byte[] {'a', 'b', 'c'}, 1, 1));
    assertEquals("", Excerpt.of(new byte[0], 0, 0));
  }
}
