// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

/**
 * What a session knows of its last forward run, for the way back. One object serves a session, so
 * that a run allocates nothing. Not thread-safe.
 */
final class LastRun {
  private int steps;
  private int batch;
  private boolean batchMajor;
  private int version;

  /** The x or the tokens that were read, which are not garbage as long as they are here. */
  private Object input;

  private boolean onDevice;

  /** There was none, or it failed. */
  void clear() {
    steps = 0;
    input = null;
  }

  /**
   * Remembers one that succeeded.
   *
   * @param onDevice whether its memory was a device's, but for states perhaps
   * @param version of the network's weights
   */
  void set(int steps, int batch, boolean batchMajor, Object input, boolean onDevice, int version) {
    this.steps = steps;
    this.batch = batch;
    this.batchMajor = batchMajor;
    this.input = input;
    this.onDevice = onDevice;
    this.version = version;
  }

  /**
   * Holds it against what a way back needs.
   *
   * @param now the version of the network's weights
   * @throws IllegalStateException if there is no way back, saying why
   */
  void check(int now) {
    if (input == null) {
      throw new IllegalStateException(
          "backward: expected a run of the session before it, got none or one that failed");
    }
    if (version != now) {
      throw new IllegalStateException(
          "backward: expected a run after the network's last update, got one before it");
    }
  }

  int steps() {
    return steps;
  }

  int batch() {
    return batch;
  }

  boolean batchMajor() {
    return batchMajor;
  }

  boolean onDevice() {
    return onDevice;
  }
}
