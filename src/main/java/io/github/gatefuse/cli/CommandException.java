// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

/**
 * What the user can mend: an option, a file, a model. The message is the one line that the user
 * sees.
 */
final class CommandException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  CommandException(String message) {
    super(message);
  }

  CommandException(String message, Throwable cause) {
    super(message, cause);
  }
}
