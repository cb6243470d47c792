// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.List;
import java.util.Objects;

/**
 * Whether a backend runs on this machine, and why not.
 *
 * <p>Immutable and thread-safe.
 *
 * @param backend the backend; never {@link Backend#AUTO}
 * @param available whether it runs here
 * @param devices what it can run on, in words, by the number that {@link RnnOptions#device} takes;
 *     empty if it does not run
 * @param reason why it does not run and what would help, or what is notable about how it runs
 */
public record DeviceReport(
    Backend backend, boolean available, List<String> devices, String reason) {
  /**
   * Copies the devices. Nothing is null.
   *
   * @param backend the backend
   * @param available whether it runs
   * @param devices on what
   * @param reason why or why not
   */
  public DeviceReport {
    Objects.requireNonNull(backend, "backend");
    devices = List.copyOf(devices);
    Objects.requireNonNull(reason, "reason");
  }

  /**
   * A backend that runs.
   *
   * @param backend the backend
   * @param device its one device, in words
   * @param reason what is notable about how it runs; may be empty
   * @return the report
   */
  public static DeviceReport on(Backend backend, String device, String reason) {
    return new DeviceReport(backend, true, List.of(device), reason);
  }

  /**
   * A backend that does not run.
   *
   * @param backend the backend
   * @param reason what was found and what is needed
   * @return the report
   */
  public static DeviceReport missing(Backend backend, String reason) {
    return new DeviceReport(backend, false, List.of(), reason);
  }

  /**
   * One line for logs and reports.
   *
   * @return such as {@code cuda: not available; this build has no such backend}
   */
  @Override
  public String toString() {
    String state = available ? "available, on " + String.join(" and ", devices) : "not available";
    return backend.id() + ": " + state + (reason.isEmpty() ? "" : "; " + reason);
  }
}
