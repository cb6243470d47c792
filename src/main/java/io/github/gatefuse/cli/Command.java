// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import java.util.List;

/** A command of the command line. */
interface Command {
  /** The word that calls it. */
  String name();

  /** How to call it: the first line of its help. */
  String usage();

  /** What it does: the text of its help before the options. */
  String description();

  List<Option> options();

  void run(Arguments arguments, Console console);

  /** The whole help. */
  default String help() {
    StringBuilder out = new StringBuilder();
    out.append("Usage: gatefuse ").append(usage()).append("\n\n").append(description());
    out.append("\nOptions:\n");
    for (Option option : options()) {
      String indented = option.help().replace("\n", "\n" + " ".repeat(22));
      out.append(String.format("  %-20s%s%n", option.usage(), indented));
    }
    return out.toString();
  }
}
