// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

/** What a session has to know of its calls. */
abstract class SessionCall {
  /** Whether work of this call may not be complete yet; the session's to change. */
  boolean enqueued;

  SessionCall() {}
}
