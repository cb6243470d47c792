// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

/**
 * An option of a command.
 *
 * @param name with its dashes, such as {@code --top}
 * @param argument how the help names its value; null for a flag
 * @param optional whether the value may be left out; it is then only read from {@code --name=value}
 * @param help what it does, in a line or a few
 */
record Option(String name, String argument, boolean optional, String help) {
  static Option flag(String name, String help) {
    return new Option(name, null, true, help);
  }

  static Option value(String name, String argument, String help) {
    return new Option(name, argument, false, help);
  }

  static Option optionalValue(String name, String argument, String help) {
    return new Option(name, argument, true, help);
  }

  /** As the help shows it: {@code --top N}, {@code --per-line[=FILE]}. */
  String usage() {
    if (argument == null) {
      return name;
    }
    return optional ? name + "[=" + argument + "]" : name + " " + argument;
  }
}
