// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.Regularization;

/** Reads the options by which training leaves something to chance. */
final class Rates {
  private Rates() {}

  /** From --dropout, --zoneout and --recurrent-dropout; those that are not given are 0. */
  static Regularization of(Arguments arguments) {
    String[] zoneout = arguments.value("--zoneout").orElse("0").split(",", -1);
    if (zoneout.length > 2) {
      throw new CommandException(
          "--zoneout: expected H or H,C, got " + arguments.value("--zoneout").orElse(""));
    }
    return Regularization.NONE
        .withDropout(rate("--dropout", arguments.value("--dropout").orElse("0")))
        .withZoneout(
            rate("--zoneout", zoneout[0]), zoneout.length == 1 ? 0 : rate("--zoneout", zoneout[1]))
        .withRecurrentDropout(
            rate("--recurrent-dropout", arguments.value("--recurrent-dropout").orElse("0")));
  }

  private static double rate(String name, String text) {
    try {
      double rate = Double.parseDouble(text);
      if (rate >= 0 && rate < 1) {
        return rate;
      }
    } catch (NumberFormatException e) {
      // The same message as for a number out of range.
    }
    throw new CommandException(name + ": expected a rate from 0 to below 1, got " + text);
  }
}
