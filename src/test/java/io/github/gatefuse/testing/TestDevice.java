// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.testing;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * The CUDA device of the tests as an application has it: memory and streams of its own, on a GPU or
 * in the emulation. What it gives ends with it. One thread at a time.
 */
public final class TestDevice implements AutoCloseable {
  /** The folder of the libraries that CMake builds for tests. */
  private static final String FOLDER = "gatefuse.test.fakes";

  private static boolean loaded;

  private final boolean emulated;
  private final List<Long> memory = new ArrayList<>();
  private final List<Long> streams = new ArrayList<>();

  private TestDevice(boolean emulated) {
    this.emulated = emulated;
  }

  /** That of a target, whose backend is loaded; skips the test where the library is missing. */
  public static TestDevice of(Target target) {
    String folder = System.getProperty(FOLDER, "");
    Path library = Path.of(folder, "libjava_device.so").toAbsolutePath();
    assumeTrue(
        !folder.isEmpty() && Files.exists(library),
        () -> FOLDER + ": expected a folder with libjava_device.so, got \"" + folder + "\"");
    if (!loaded) {
      System.load(library.toString());
      open(target.isEmulated());
      loaded = true;
    }
    return new TestDevice(target.isEmulated());
  }

  /** A handle as others' libraries make them. */
  private static final class Handle extends Pointer {
    Handle(long address) {
      this.address = address;
    }
  }

  private static final class Floats extends FloatPointer {
    Floats(long address, int count) {
      this.address = address;
      capacity(count);
    }
  }

  private static final class Ints extends IntPointer {
    Ints(long address, int count) {
      this.address = address;
      capacity(count);
    }
  }

  /** Device memory with these values. */
  public FloatPointer floats(float... values) {
    Floats pointer = new Floats(allocated(Float.BYTES * values.length), values.length);
    fill(pointer, new FloatPointer(Networks.direct(values)), Float.BYTES * values.length);
    return pointer;
  }

  /** Device memory for results: so many NaN. */
  public FloatPointer results(int count) {
    float[] values = new float[count];
    Arrays.fill(values, Float.NaN);
    return floats(values);
  }

  /** Device memory with these values. */
  public IntPointer ints(int... values) {
    Ints pointer = new Ints(allocated(Integer.BYTES * values.length), values.length);
    fill(pointer, new IntPointer(Networks.direct(values)), Integer.BYTES * values.length);
    return pointer;
  }

  /** What is in device memory, after all of its streams that have to do with it. */
  public static float[] values(FloatPointer pointer) {
    float[] values = new float[(int) pointer.capacity()];
    FloatPointer host = new FloatPointer(Networks.direct(values));
    assertEquals(0, copyOut(host.address(), pointer.address(), Float.BYTES * pointer.capacity()));
    host.get(values);
    return values;
  }

  /** Puts a copy of a page-locked buffer into device memory on a stream. */
  public static void copyIn(FloatPointer to, FloatBuffer from, Pointer stream) {
    copy(to, new FloatPointer(from), Float.BYTES * to.capacity(), stream);
  }

  /** Puts a copy of device memory into a page-locked buffer on a stream. */
  public static void copyOut(FloatBuffer to, FloatPointer from, Pointer stream) {
    copy(new FloatPointer(to), from, Float.BYTES * from.capacity(), stream);
  }

  private static void copy(Pointer to, Pointer from, long bytes, Pointer stream) {
    assertEquals(0, copyOnStream(to.address(), from.address(), bytes, stream.address()));
  }

  /** A stream that does not wait for the legacy one. */
  public Pointer stream() {
    long stream = createStream();
    assertNotEquals(0, stream);
    streams.add(stream);
    return new Handle(stream);
  }

  /** Waits until a stream has come to its end. */
  public static void await(Pointer stream) {
    assertEquals(0, waitForStream(stream.address()));
  }

  /** Ends a stream; what is on it is done all the same. */
  public void end(Pointer stream) {
    streams.remove(stream.address());
    assertEquals(0, destroyStream(stream.address()));
  }

  /** Lets the emulation be a device of another compute capability; skips the test on a GPU. */
  public void poseAs(int capability) {
    assumeTrue(emulated, "a GPU is what it is");
    assertTrue(pose(capability), "the emulation has no such device");
  }

  /** The pieces of device memory and the streams that there are in the emulation. */
  public static long alive() {
    return live();
  }

  private long allocated(int bytes) {
    long address = allocate(bytes);
    assertNotEquals(0, address);
    memory.add(address);
    return address;
  }

  private static void fill(Pointer device, Pointer host, long bytes) {
    assertEquals(0, copyIn(device.address(), host.address(), bytes));
  }

  @Override
  public void close() {
    streams.forEach(TestDevice::destroyStream);
    memory.forEach(TestDevice::free);
    streams.clear();
    memory.clear();
  }

  private static native void open(boolean emulated);

  private static native long allocate(long bytes);

  private static native int free(long memory);

  private static native int copyIn(long device, long host, long bytes);

  private static native int copyOut(long host, long device, long bytes);

  private static native int copyOnStream(long to, long from, long bytes, long stream);

  private static native long createStream();

  private static native int destroyStream(long stream);

  private static native int waitForStream(long stream);

  private static native boolean pose(int capability);

  private static native long live();
}
