// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.cli.CommandLine.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
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

  @Test
  void anUnknownCommandIsRefused() {
    Outcome outcome = CommandLine.run("sing");
    assertEquals(2, outcome.code());
    assertEquals("gatefuse: unknown command sing; see gatefuse help\n", outcome.err());
  }
}
