// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.training.Batch;
import java.math.BigInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ProgramTaskTest {
  private static final String NUMBER = "(-?\\d+)";
  private static final Pattern LOOP =
      Pattern.compile("for x in range\\((\\d+)\\):([a-z])([+-])=(\\d+)\n");
  private static final Pattern ASSIGNMENT = Pattern.compile("([a-z])=" + NUMBER + "\n");
  private static final Pattern OPERATION =
      Pattern.compile("\\(" + NUMBER + "([-+*])" + NUMBER + "\\)");
  private static final Pattern CONDITION =
      Pattern.compile(
          ("\\(" + NUMBER + " if " + NUMBER + "([<>])" + NUMBER + " else " + NUMBER + "\\)"));

  /** Another way to run a program: rewrites its text until only a number is left of it. */
  private static BigInteger rewrite(String program) {
    String text = program;
    while (true) {
      Matcher operation = OPERATION.matcher(text);
      Matcher condition = CONDITION.matcher(text);
      if (operation.find()) {
        BigInteger a = new BigInteger(operation.group(1));
        BigInteger b = new BigInteger(operation.group(3));
        BigInteger value =
            switch (operation.group(2)) {
              case "+" -> a.add(b);
              case "-" -> a.subtract(b);
              default -> a.multiply(b);
            };
        text = operation.replaceFirst(value.toString());
      } else if (condition.find()) {
        int sign = new BigInteger(condition.group(2)).compareTo(new BigInteger(condition.group(4)));
        boolean holds = condition.group(3).equals("<") ? sign < 0 : sign > 0;
        text = condition.replaceFirst(condition.group(holds ? 1 : 5));
      } else if (!text.startsWith("print")) {
        text = firstLine(text);
      } else {
        return new BigInteger(text.substring(6, text.length() - 2));
      }
    }
  }

  /** Puts the value of the first line's variable wherever it is read. */
  private static String firstLine(String text) {
    Matcher assignment = ASSIGNMENT.matcher(text);
    assertTrue(assignment.lookingAt(), text);
    String name = assignment.group(1);
    BigInteger value = new BigInteger(assignment.group(2));
    String rest = text.substring(assignment.end());
    Matcher loop = LOOP.matcher(rest);
    if (loop.lookingAt() && loop.group(2).equals(name)) {
      BigInteger change = new BigInteger(loop.group(1)).multiply(new BigInteger(loop.group(4)));
      value = loop.group(3).equals("+") ? value.add(change) : value.subtract(change);
      rest = rest.substring(loop.end());
    }
    return rest.replaceAll("(?<![a-z])" + name + "(?![a-z])", value.toString());
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "3, 2", "4, 4", "8, 5"})
  void theInterpreterAgreesWithAnother(int length, int nesting) {
    ProgramGenerator generator = new ProgramGenerator(length, nesting);
    for (int i = 0; i < 500; i++) {
      String program = generator.program(Draw.of(11, i));
      assertEquals(rewrite(program), BigInteger.valueOf(Interpreter.run(program)), program);
      assertTrue(program.length() <= generator.longest(), program);
    }
  }

  @Test
  void knownProgramsGiveKnownNumbers() {
    assertEquals(-7, Interpreter.run("print((3-10))\n"));
    assertEquals(9, Interpreter.run("a=4\nfor x in range(5):a+=1\nprint(a)\n"));
    assertEquals(24, Interpreter.run("b=(2*12)\nprint((b if 3>2 else 1))\n"));
    assertEquals(5, Interpreter.run("print((8 if 3<2 else 5))\n"));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "print(", "print(1)", "print(a)\n", "print((1/2))\n", "a1\n", "print(1)\n2"})
  void whatIsNoProgramIsRefused(String text) {
    assertThrows(IllegalArgumentException.class, () -> Interpreter.run(text));
  }

  @Test
  void theAnswerIsToldBehindTheSign() {
    ProgramTask task = new ProgramTask(3, 2);
    Batch batch = task.training(5, 6).batch(3);
    for (int b = 0; b < 6; b++) {
      StringBuilder read = new StringBuilder();
      StringBuilder told = new StringBuilder();
      for (int t = 0; t < batch.length(b); t++) {
        read.append("0123456789abcdefghijklmnopqrstuvwxyz+-*=<>(): \n#".charAt(token(batch, t, b)));
        if (batch.weight(t, b) == 1) {
          told.append("0123456789-.".charAt(batch.classes()[t * 6 + b]));
        }
      }
      String program = read.substring(0, read.indexOf("#"));
      assertEquals(rewrite(program) + ".", told.toString());
      assertEquals(read.substring(read.indexOf("#") + 1) + ".", told.toString());
      assertFalse(ProgramTask.isHeldOut(program));
    }
    assertTrue(batch.steps() <= task.steps());
  }

  private static int token(Batch batch, int t, int b) {
    return batch.tokens()[t * batch.sequences() + b];
  }

  @Test
  void batchesAreFunctionsOfSeedAndNumber() {
    Batches.assertPure(new ProgramTask(4, 3), 3);
    assertEquals(4, new ProgramTask(4, 3).heldOut(150).count());
  }

  @Test
  void sizesThatMakeNoSenseAreRefused() {
    assertThrows(IllegalArgumentException.class, () -> new ProgramTask(0, 1));
    assertThrows(IllegalArgumentException.class, () -> new ProgramTask(9, 1));
    assertThrows(IllegalArgumentException.class, () -> new ProgramTask(1, 6));
  }
}
