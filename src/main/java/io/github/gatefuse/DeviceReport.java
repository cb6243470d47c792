// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.Objects;

/**
 * Whether a backend runs on this machine, and why not.
 *
 * <p>Immutable and thread-safe.
 *
 * @param backend the backend; never {@link Backend#AUTO}
 * @param available whether it runs here
 * @param device what it runs on, in words; empty if it does not run
 * @param reason why it does not run and what would help, or what is notable about how it runs
 */
public record DeviceReport(Backend backend, boolean available, String device, String reason) {
  /**
   * Checks that nothing is null.
   *
   * @param backend the backend
   * @param available whether it runs
   * @param device on what
   * @param reason why or why not
   */
  public DeviceReport {
    Objects.requireNonNull(backend, "backend");
    Objects.requireNonNull(device, "device");
    Objects.requireNonNull(reason, "reason");
  }

  /**
   * One line for logs and reports.
   *
   * @return such as {@code cuda: not available; this build has no such backend}
   */
  @Override
  public String toString() {
    String state = available ? "available, on " + device : "not available";
    return backend.id() + ": " + state + (reason.isEmpty() ? "" : "; " + reason);
  }
}
