// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.nio.Buffer;

/**
 * What a session knows of its last forward run, for the way back. One object serves a session, so
 * that a run allocates nothing. Not thread-safe.
 */
final class LastRun {
  private int steps;
  private int batch;
  private boolean batchMajor;
  private int version;

  /**
   * The x or the tokens that were read, which are not garbage as long as they are here; null for
   * device memory.
   */
  private Buffer input;

  /** There was none, or it failed. */
  void clear() {
    steps = 0;
    input = null;
  }

  /**
   * Remembers one that succeeded.
   *
   * @param version of the network's weights
   */
  void set(int steps, int batch, boolean batchMajor, Buffer input, int version) {
    this.steps = steps;
    this.batch = batch;
    this.batchMajor = batchMajor;
    this.input = input;
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
          "backward: expected a run of the session in host memory before it, got none, one that"
              + " failed or one in device memory");
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
}
