// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.binding.gf_gradients;
import io.github.gatefuse.binding.gf_session;
import io.github.gatefuse.spi.BackendBackwardCall;
import io.github.gatefuse.spi.Gradient;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;

/**
 * A way back of the C interface: its struct is written when memory is set, so that a run is a
 * single native call. One thread at a time.
 */
final class NativeBackwardCall implements BackendBackwardCall {
  private static final Gradient[] GRADIENTS = Gradient.values();

  private final RnnSpec spec;
  private final gf_session session;
  private final gf_gradients struct = Native.struct(gf_gradients.class, gf_gradients::new);

  /** By the gradients' order. A pointer keeps its buffer's memory from the garbage collector. */
  private final FloatPointer[] pointers = new FloatPointer[GRADIENTS.length];

  NativeBackwardCall(RnnSpec spec, gf_session session) {
    this.spec = spec;
    this.session = session;
    struct.struct_size(struct.sizeof());
  }

  @Override
  public void bind(Gradient gradient, FloatBuffer buffer) {
    FloatPointer pointer = buffer == null ? null : new FloatPointer(buffer);
    if (pointer != null && pointer.address() % Float.BYTES != 0) {
      throw new IllegalArgumentException(
          gradient.label()
              + ": expected memory aligned to 4 bytes, got a buffer sliced between values");
    }
    write(gradient, pointer);
    pointers[gradient.ordinal()] = pointer;
  }

  private void write(Gradient gradient, FloatPointer pointer) {
    switch (gradient) {
      case OUTPUT -> struct.dy(pointer);
      case FINAL_HIDDEN -> struct.dhn(pointer);
      case FINAL_CELL -> struct.dcn(pointer);
      case LOGITS -> struct.dlogits(pointer);
      case INPUT -> struct.dx(pointer);
      case INITIAL_HIDDEN -> struct.dh0(pointer);
      case INITIAL_CELL -> struct.dc0(pointer);
      case PARAMETERS -> struct.parameters(pointer);
    }
  }

  @Override
  public void accumulate(boolean value) {
    struct.accumulate(value ? 1 : 0);
  }

  @Override
  public void shape(int steps, int batch, boolean batchMajor) {
    for (Gradient written : GRADIENTS) {
      for (Gradient other : GRADIENTS) {
        if (written.written() && other != written && overlap(written, other, steps, batch)) {
          throw new IllegalArgumentException(
              (written.label() + ": expected memory of its own, got an overlap with ")
                  + other.label());
        }
      }
    }
  }

  private boolean overlap(Gradient first, Gradient second, int steps, int batch) {
    FloatPointer a = pointers[first.ordinal()];
    FloatPointer b = pointers[second.ordinal()];
    if (a == null || b == null) {
      return false;
    }
    if (Native.address(a) == Native.address(b) && inPlace(first, second)) {
      return false;
    }
    return Native.overlap(a, first.count(spec, steps, batch), b, second.count(spec, steps, batch));
  }

  /** A state's gradient may be read and written in one place; the written one comes first. */
  private static boolean inPlace(Gradient written, Gradient other) {
    return written == Gradient.INITIAL_HIDDEN && other == Gradient.FINAL_HIDDEN
        || written == Gradient.INITIAL_CELL && other == Gradient.FINAL_CELL;
  }

  @Override
  public void run() {
    Native.check(GatefuseNative.gf_backward(session, struct));
  }
}
