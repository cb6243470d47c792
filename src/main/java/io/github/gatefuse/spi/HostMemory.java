// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import java.nio.ByteBuffer;
import java.util.Objects;

/**
 * Host memory of a backend and how it ends.
 *
 * <p>Immutable and thread-safe.
 *
 * @param bytes all of it, direct, zeros
 * @param free ends it; called at most once, by any thread, when nobody has the buffer any more, to
 *     which it must not refer
 */
public record HostMemory(ByteBuffer bytes, Runnable free) {
  /**
   * Checks that nothing is null.
   *
   * @param bytes all of it
   * @param free ends it
   */
  public HostMemory {
    Objects.requireNonNull(bytes, "bytes");
    Objects.requireNonNull(free, "free");
  }
}
