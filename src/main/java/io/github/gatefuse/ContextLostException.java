// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

/**
 * A device error after which this process cannot use the device any more: every further call fails
 * as well, whatever network it belongs to. Only a new process helps.
 */
public final class ContextLostException extends GatefuseException {
  private static final long serialVersionUID = 1L;

  /**
   * Makes an exception.
   *
   * @param message one sentence: what the device reported
   */
  public ContextLostException(String message) {
    super(Code.CONTEXT_LOST, message);
  }
}
