// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.nio.Buffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * What is set for an argument of a call: a buffer in host memory, a pointer to device memory, or
 * nothing. Not thread-safe.
 */
final class Binding {
  private final String name;
  private final boolean written;
  private final boolean integers;

  /** As it was set, with its bounds at that time. */
  private Object memory;

  private long address;
  private long position;
  private long limit;

  /** What the backend uses of a buffer, whose position and limit nobody moves. */
  private Buffer view;

  /**
   * Nothing yet.
   *
   * @param name in messages
   * @param written whether a run writes it
   * @param integers whether the values of a pointer are integers and not floats
   */
  Binding(String name, boolean written, boolean integers) {
    this.name = name;
    this.written = written;
    this.integers = integers;
  }

  /** Whether this buffer, or with null nothing, is set as it is now. */
  boolean is(Buffer buffer) {
    return buffer == memory
        && (buffer == null || buffer.position() == position && buffer.limit() == limit);
  }

  /** Whether this pointer, or with null nothing, is set as it is now. */
  boolean is(Pointer pointer) {
    return pointer == memory
        && (pointer == null
            || pointer.address() == address
                && pointer.position() == position
                && pointer.limit() == limit);
  }

  boolean isSet() {
    return memory != null;
  }

  boolean onDevice() {
    return memory instanceof Pointer;
  }

  /** The number of values from the position on. */
  long count() {
    return limit - position;
  }

  /** What keeps the memory that the backend uses from the garbage collector. */
  Object used() {
    return view != null ? view : memory;
  }

  /** The integers of a buffer; null where there is none. */
  IntBuffer integers() {
    return (IntBuffer) view;
  }

  /**
   * A view of a buffer for the backend, if it is of the right kind.
   *
   * @throws IllegalArgumentException in words, if it is not
   */
  Buffer checked(Buffer buffer) {
    return checked(name, written, buffer);
  }

  /** The same for a buffer of any name. */
  static Buffer checked(String name, boolean written, Buffer buffer) {
    ByteOrder order =
        buffer instanceof FloatBuffer floats ? floats.order() : ((IntBuffer) buffer).order();
    if (!buffer.isDirect()) {
      throw wrong(name, "a direct buffer", "one on the Java heap");
    }
    if (order != ByteOrder.nativeOrder()) {
      throw wrong(name, "the native byte order " + ByteOrder.nativeOrder(), order.toString());
    }
    if (written && buffer.isReadOnly()) {
      throw wrong(name, "a writable buffer", "a read-only one");
    }
    return buffer.slice();
  }

  /**
   * A copy of a pointer for the backend, if it is one to memory.
   *
   * @throws IllegalArgumentException in words, if it is not
   */
  Pointer checked(Pointer pointer) {
    if (pointer.isNull()) {
      throw wrong(name, "a pointer to device memory", "a null pointer");
    }
    if (pointer.limit() <= pointer.position()) {
      throw wrong(
          name,
          "a pointer whose capacity is set (capacity(n) after its allocation)",
          "one of " + (pointer.limit() - pointer.position()) + " values");
    }
    return integers ? new IntPointer(pointer) : new FloatPointer(pointer);
  }

  private static IllegalArgumentException wrong(String name, String expected, String got) {
    return new IllegalArgumentException(name + ": expected " + expected + ", got " + got);
  }

  void set(Buffer buffer, Buffer view) {
    this.memory = buffer;
    this.view = view;
    this.position = buffer == null ? 0 : buffer.position();
    this.limit = buffer == null ? 0 : buffer.limit();
  }

  void set(Pointer pointer) {
    this.memory = pointer;
    this.view = null;
    this.address = pointer.address();
    this.position = pointer.position();
    this.limit = pointer.limit();
  }
}
