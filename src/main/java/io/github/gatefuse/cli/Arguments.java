// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The words after a command's name, told apart into options and operands. Immutable. */
final class Arguments {
  private final String command;
  private final Map<String, String> values;
  private final List<String> operands;
  private final List<String> words;

  private Arguments(
      String command, Map<String, String> values, List<String> operands, List<String> words) {
    this.command = command;
    this.values = values;
    this.operands = operands;
    this.words = words;
  }

  /**
   * Reads {@code --flag}, {@code --name value}, {@code --name=value} and operands in any order; all
   * words after {@code --} are operands, and so is a lone {@code -}. Of a repeated option the last
   * one counts.
   */
  static Arguments parse(String command, List<Option> known, List<String> words) {
    Map<String, String> values = new HashMap<>();
    List<String> operands = new ArrayList<>();
    for (int i = 0; i < words.size(); i++) {
      String word = words.get(i);
      if (word.equals("--")) {
        operands.addAll(words.subList(i + 1, words.size()));
        break;
      }
      if (!word.startsWith("-") || word.equals("-")) {
        operands.add(word);
        continue;
      }
      int equals = word.indexOf('=');
      Option option = find(command, known, equals < 0 ? word : word.substring(0, equals));
      if (option.argument() == null && equals >= 0) {
        throw new CommandException(option.name() + ": expected no value, got " + word);
      }
      String value = equals < 0 ? "" : word.substring(equals + 1);
      if (equals < 0 && !option.optional()) {
        if (++i == words.size()) {
          throw new CommandException(
              option.name() + ": expected a value: " + option.usage() + ", got none");
        }
        value = words.get(i);
      }
      values.put(option.name(), value);
    }
    return new Arguments(command, Map.copyOf(values), List.copyOf(operands), List.copyOf(words));
  }

  private static Option find(String command, List<Option> known, String name) {
    return known.stream()
        .filter(option -> option.name().equals(name) || (name.equals("-h") && isHelp(option)))
        .findFirst()
        .orElseThrow(
            () ->
                new CommandException(
                    "unknown option " + name + "; see gatefuse " + command + " --help"));
  }

  private static boolean isHelp(Option option) {
    return option.name().equals("--help");
  }

  /** All words, as they came. */
  List<String> words() {
    return words;
  }

  List<String> operands() {
    return operands;
  }

  /** For commands without operands. */
  void expectNoOperands() {
    if (!operands.isEmpty()) {
      throw new CommandException(
          command + ": expected no further argument, got " + operands.get(0));
    }
  }

  boolean has(String name) {
    return values.containsKey(name);
  }

  /**
   * The value as it was written; "" where an optional value was left out; empty without the option.
   */
  Optional<String> value(String name) {
    return Optional.ofNullable(values.get(name));
  }

  int integer(String name, int least, int most, int standard) {
    String text = values.get(name);
    if (text == null) {
      return standard;
    }
    try {
      int value = Integer.parseInt(text);
      if (value >= least && value <= most) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Falls through to the same message: a word is as wrong as a number out of range.
    }
    throw new CommandException(
        name + ": expected a whole number from " + least + " to " + most + ", got " + text);
  }

  double real(String name, double least, double most, double standard) {
    String text = values.get(name);
    if (text == null) {
      return standard;
    }
    try {
      double value = Double.parseDouble(text);
      if (value >= least && value <= most) {
        return value;
      }
    } catch (NumberFormatException e) {
      // Falls through, as above.
    }
    throw new CommandException(
        name + ": expected a number from " + least + " to " + most + ", got " + text);
  }
}
