// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.cli.CommandLine.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class MainTest {
  @ParameterizedTest
  @ValueSource(strings = {"help", "--help", "-h"})
  void helpNamesTheCommands(String word) {
    Outcome outcome = CommandLine.run(word);
    assertEquals(0, outcome.code());
    assertTrue(outcome.out().contains("\n  score FILE..."), outcome.out());
    assertTrue(outcome.out().contains("\n  info "), outcome.out());
  }

  @ParameterizedTest
  @ValueSource(strings = {"version", "--version"})
  void versionIsOneLine(String word) {
    Outcome outcome = CommandLine.run(word);
    assertEquals(0, outcome.code());
    assertTrue(outcome.out().matches("gatefuse [^\n]+\n"), outcome.out());
  }

  @Test
  void withoutACommandTheUserIsToldWhereHelpIs() {
    Outcome outcome = CommandLine.run();
    assertEquals(2, outcome.code());
    assertEquals("gatefuse: expected a command; see gatefuse help\n", outcome.err());
  }

  /** What a message quotes cannot act on a terminal, and cannot look like a second message. */
  @Test
  void controlCharactersInAMessageAreShown() {
    Outcome outcome = CommandLine.run("s\u001b[31m\u0007i\nn\u009b\u202eg\u007f\u0000");
    assertEquals(2, outcome.code());
    assertEquals(
        "gatefuse: unknown command s\\x1b[31m\\x07i n\\x9b\\u{202e}g\\x7f\\x00; see gatefuse help\n",
        outcome.err());
  }

  @Test
  void aMessageIsShort() {
    Outcome outcome = CommandLine.run("\u0007".repeat(100_000));
    assertTrue(outcome.err().length() < 2100 && outcome.err().endsWith("...\n"));
  }

  @ParameterizedTest
  @EnumSource
  void whatTheUserCanMendIsCodeTwo(Code code) {
    boolean mendable =
        switch (code) {
          case OUT_OF_MEMORY, BACKEND_UNAVAILABLE, IO_FAILED, BAD_FILE -> true;
          case BACKEND_FAILED, CONTEXT_LOST, INTERNAL -> false;
        };
    assertEquals(mendable ? 2 : 1, Main.exitCode(new GatefuseException(code, "")));
  }

  @Test
  void anUnknownCommandIsRefused() {
    Outcome outcome = CommandLine.run("sing");
    assertEquals(2, outcome.code());
    assertEquals("gatefuse: unknown command sing; see gatefuse help\n", outcome.err());
  }
}
