// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.lang.ref.Cleaner;
import java.util.function.Consumer;

/**
 * Notices that something was garbage before it was closed, and says so. It frees nothing: by then
 * nobody knows whether native code still uses the memory.
 *
 * <p>Thread-safe.
 */
final class LeakReport implements Runnable {
  /** Records where each owner was made, to name the place when its close was forgotten. */
  static final String STACKS = "gatefuse.leakStacks";

  private static final Cleaner CLEANER = Cleaner.create();

  private final String what;
  private final Throwable creation;
  private final Consumer<LeakReport> sink;
  private volatile boolean closed;
  private Cleaner.Cleanable registration;

  private LeakReport(String what, Consumer<LeakReport> sink) {
    this.what = what;
    this.creation = Boolean.getBoolean(STACKS) ? new Throwable("made here") : null;
    this.sink = sink;
  }

  /** Watches an owner, which neither {@code what} nor {@code sink} may refer to. */
  static LeakReport watch(Object owner, String what, Consumer<LeakReport> sink) {
    LeakReport report = new LeakReport(what, sink);
    report.registration = CLEANER.register(owner, report);
    return report;
  }

  /** The owner is closed, and nothing will be said. */
  void closed() {
    closed = true;
    registration.clean();
  }

  @Override
  public void run() {
    if (!closed) {
      sink.accept(this);
    }
  }

  String message() {
    return what
        + " was never closed; its memory stays in use"
        + (creation == null ? "; -D" + STACKS + "=true tells where it was made" : "");
  }

  /** Where the owner was made; null unless asked for. */
  Throwable creation() {
    return creation;
  }
}
