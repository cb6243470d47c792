// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.Backend;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.binding.gf_copy;
import io.github.gatefuse.spi.DeviceBlock;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/** Device memory of the C interface. One thread at a time. */
final class NativeDeviceBlock implements DeviceBlock {
  private final int backend;
  private final FloatPointer memory;
  private final gf_copy copy = Native.struct(gf_copy.class, gf_copy::new);

  private NativeDeviceBlock(int backend, int device, FloatPointer memory) {
    this.backend = backend;
    this.memory = memory;
    copy.struct_size(copy.sizeof());
    copy.device(device);
    copy.outer(1);
  }

  static NativeDeviceBlock allocate(Backend backend, int device, long floats) {
    int number = Native.number(backend);
    Pointer memory = new Pointer();
    Native.check(
        GatefuseNative.gf_device_allocate(
            number, device, Math.multiplyExact(floats, (long) Float.BYTES), memory));
    return new NativeDeviceBlock(number, device, new FloatPointer(memory).capacity(floats));
  }

  @Override
  public FloatPointer memory() {
    return memory;
  }

  @Override
  public void read(long at, long stride, int pieces, int width, FloatBuffer to) {
    copy.from(memory.getPointer(at));
    copy.from_inner(stride);
    copy.to(new FloatPointer(to));
    copy.to_inner(width);
    run(pieces, width);
  }

  @Override
  public void write(long at, long stride, int pieces, int width, FloatBuffer from) {
    copy.to(memory.getPointer(at));
    copy.to_inner(stride);
    copy.from(new FloatPointer(from));
    copy.from_inner(width);
    run(pieces, width);
  }

  private void run(int pieces, int width) {
    copy.inner(pieces);
    copy.values(width);
    Native.check(GatefuseNative.gf_device_copy(backend, copy));
  }

  @Override
  public void close() {
    GatefuseNative.gf_device_free(backend, memory);
  }
}
