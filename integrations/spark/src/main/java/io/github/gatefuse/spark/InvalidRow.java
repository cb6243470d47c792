// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spark;

/** A row that is no sequence for the network; the message says why. */
final class InvalidRow extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  InvalidRow(String message) {
    super(message);
  }
}
