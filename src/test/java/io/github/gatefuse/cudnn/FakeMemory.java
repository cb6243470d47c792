// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Queue;
import java.util.TreeMap;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A device's memory in that of the process, with a queue of work that runs only when somebody waits
 * for it. Every access is checked. One thread.
 */
final class FakeMemory {
  /** A pointer that a fake function can let refer to something. */
  static final class Reference extends IntPointer {
    Reference at(long value) {
      address = value;
      return this;
    }
  }

  /** Memory in use, by its address. */
  private final NavigableMap<Long, ByteBuffer> blocks = new TreeMap<>();

  private final Queue<Runnable> work = new ArrayDeque<>();

  /** Throws unless the condition holds: the logic called a function in a way that is forbidden. */
  static void require(boolean condition, String message) {
    if (!condition) {
      throw new AssertionError(message);
    }
  }

  int blocks() {
    return blocks.size();
  }

  /** Makes memory full of NaN, so that nobody reads what nobody wrote. */
  void allocate(Pointer out, long bytes) {
    require(bytes > 0 && bytes % Float.BYTES == 0, "allocation of " + bytes + " bytes");
    ByteBuffer block = ByteBuffer.allocateDirect((int) bytes).order(ByteOrder.nativeOrder());
    while (block.hasRemaining()) {
      block.putFloat(Float.NaN);
    }
    block.clear();
    long address = new BytePointer(block).address();
    blocks.put(address, block);
    ((Reference) out).at(address);
  }

  /** Frees memory; as on a device, work that is under way ends before. */
  void free(Pointer pointer) {
    runAll();
    require(blocks.remove(pointer.address()) != null, "free of what is not allocated");
  }

  /** The bytes from a pointer on, which lie within one allocation. */
  ByteBuffer bytes(Pointer device, long count) {
    Map.Entry<Long, ByteBuffer> block = blocks.floorEntry(device.address());
    require(block != null, "no memory of the device");
    long offset = device.address() - block.getKey();
    require(offset + count <= block.getValue().capacity(), "access past an allocation's end");
    return block.getValue().slice((int) offset, (int) count).order(ByteOrder.nativeOrder());
  }

  /** The bytes of a host's buffer, within its end. */
  static ByteBuffer host(Pointer host, long count) {
    require(host.limit() * host.sizeof() >= count, "access past a host buffer's end");
    return new BytePointer(host).capacity(count).asByteBuffer().order(ByteOrder.nativeOrder());
  }

  /** Puts work at the end of the queue. */
  void enqueue(Runnable task) {
    work.add(task);
  }

  /** Copies what the host's buffer holds now. */
  void upload(Pointer device, Pointer host, long count) {
    byte[] values = new byte[(int) count];
    host(host, count).get(values);
    ByteBuffer to = bytes(device, count);
    enqueue(() -> to.put(0, values));
  }

  void download(Pointer host, Pointer device, long count) {
    ByteBuffer from = bytes(device, count);
    ByteBuffer to = host(host, count);
    enqueue(() -> to.put(0, from, 0, (int) count));
  }

  void clear(Pointer device, long count) {
    ByteBuffer to = bytes(device, count);
    enqueue(() -> to.put(0, new byte[(int) count]));
  }

  /** Ends all work. */
  void runAll() {
    while (!work.isEmpty()) {
      work.remove().run();
    }
  }
}
