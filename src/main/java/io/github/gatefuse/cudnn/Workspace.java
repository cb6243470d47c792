// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import org.bytedeco.javacpp.Pointer;

/**
 * cuDNN's working memory. It is asked for at the session's largest shape; since cuDNN does not
 * promise that a smaller shape needs no more, it can grow. One thread at a time.
 */
final class Workspace implements Closing {
  private final Cudnn cudnn;
  private Owned memory;
  private long bytes;

  Workspace(Cudnn cudnn) {
    this.cudnn = cudnn;
  }

  /** Makes it at least so large. What it held is lost; nothing may be running on it. */
  void reserve(long needed) {
    if (needed > bytes) {
      close();
      memory = cudnn.allocate(needed);
      bytes = needed;
    }
  }

  /** Null where cuDNN needs none. */
  Pointer pointer() {
    return memory == null ? null : memory.pointer();
  }

  long bytes() {
    return bytes;
  }

  @Override
  public void close() {
    Owned old = memory;
    memory = null;
    bytes = 0;
    if (old != null) {
      old.close();
    }
  }
}
