// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.HostMemory;
import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Host memory that a backend's device reads and writes by itself: page-locked for CUDA, plain for
 * the others. {@link Devices#pinned} makes it. Calls that are {@linkplain ForwardCall#enqueue
 * enqueued} need it for host buffers; other calls are faster with it.
 *
 * <p>The buffers that it gives are views of the same memory. {@link #close} ends the giving. The
 * memory itself is freed once the last view is garbage, and so is every call in which one is set: a
 * view is good for as long as somebody has it. Page-locked memory is scarce, so let views go with
 * their owner.
 *
 * <p>Thread-safe; what the views hold is for the caller to guard.
 */
public final class PinnedMemory implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(PinnedMemory.class);

  private static final Cleaner CLEANER = Cleaner.create();

  /**
   * Frees the memory when no view is left, unless it was never closed: then nobody knows whether a
   * device still uses it.
   */
  private static final class Release implements Runnable {
    private final Runnable free;
    private volatile boolean closed;

    Release(Runnable free) {
      this.free = free;
    }

    @Override
    public void run() {
      if (closed) {
        free.run();
      }
    }
  }

  /** All views refer to this buffer, by the way that direct buffers are made; null after close. */
  private final AtomicReference<ByteBuffer> memory;

  private final Release release;
  private final LeakReport leak;

  PinnedMemory(HostMemory memory) {
    this.memory = new AtomicReference<>(memory.bytes());
    this.release = new Release(memory.free());
    CLEANER.register(memory.bytes(), release);
    this.leak =
        LeakReport.watch(
            this, "Pinned memory", report -> LOG.warn(report.message(), report.creation()));
  }

  /**
   * All of the memory, zeros at first.
   *
   * @return a new view, direct and of native byte order
   * @throws IllegalStateException after close
   */
  public ByteBuffer bytes() {
    ByteBuffer bytes = memory.get();
    if (bytes == null) {
      throw new IllegalStateException("pinned memory is closed");
    }
    return bytes.duplicate().clear().order(ByteOrder.nativeOrder());
  }

  /**
   * All of the memory as float32 values; {@link FloatBuffer#slice(int, int)} gives parts of it.
   *
   * @return a new view, direct and of native byte order
   * @throws IllegalStateException after close
   */
  public FloatBuffer floats() {
    return bytes().asFloatBuffer();
  }

  /**
   * All of the memory as 32-bit integers; {@link IntBuffer#slice(int, int)} gives parts of it.
   *
   * @return a new view, direct and of native byte order
   * @throws IllegalStateException after close
   */
  public IntBuffer ints() {
    return bytes().asIntBuffer();
  }

  /**
   * Gives no more views, and frees the memory once those that were given are garbage. A second
   * close does nothing.
   */
  @Override
  public void close() {
    ByteBuffer open = memory.get();
    if (open == null) {
      return;
    }
    release.closed = true; // Before the buffer can be garbage.
    if (memory.compareAndSet(open, null)) {
      leak.closed();
    }
  }
}
