// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

/**
 * What went wrong outside the caller's arguments: memory, a backend, a file.
 *
 * <p>Wrong shapes and values are {@link IllegalArgumentException}; use after close is {@link
 * IllegalStateException}.
 */
public class GatefuseException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** The kind of failure, for programs that decide by it. */
  public enum Code {
    /** Host or device memory could not be had. */
    OUT_OF_MEMORY,
    /** The backend does not run on this machine; the message says why and what helps. */
    BACKEND_UNAVAILABLE,
    /** The backend reported an error; the process may go on. */
    BACKEND_FAILED,
    /** A device error that only a new process recovers from. */
    CONTEXT_LOST,
    /** A file cannot be opened, read or written: missing, forbidden, a directory, a full disk. */
    IO_FAILED,
    /** A file does not hold what its format promises; the message names the field. */
    BAD_FILE,
    /** A defect of this library. */
    INTERNAL
  }

  /** The kind of failure. */
  private final Code code;

  /**
   * Makes an exception.
   *
   * @param code the kind of failure
   * @param message one sentence: what was expected and what was found
   */
  public GatefuseException(Code code, String message) {
    super(message);
    this.code = code;
  }

  /**
   * Makes an exception with a cause.
   *
   * @param code the kind of failure
   * @param message one sentence: what was expected and what was found
   * @param cause what brought it about
   */
  public GatefuseException(Code code, String message, Throwable cause) {
    super(message, cause);
    this.code = code;
  }

  /**
   * The kind of failure.
   *
   * @return the code
   */
  public Code code() {
    return code;
  }
}
