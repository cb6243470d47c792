// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

/** A contender does not run a race on this machine; its message says which and why. */
final class Refusal extends RuntimeException {
  private static final long serialVersionUID = 1L;

  Refusal(String contender, Throwable cause) {
    super(contender + ": " + cause.getMessage(), cause);
  }
}
