// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.binding.gf_gradients;
import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendBackwardCall;
import io.github.gatefuse.spi.Gradient;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A way back of the C interface: its struct is written when memory is set, so that a run is a
 * single native call. One thread at a time.
 */
final class NativeBackwardCall implements BackendBackwardCall {
  private static final Gradient[] GRADIENTS = Gradient.values();

  private final RnnSpec spec;
  private final NativeSession session;
  private final boolean hasStreams;
  private final gf_gradients struct = Native.struct(gf_gradients.class, gf_gradients::new);

  /** By the gradients' order. A pointer keeps its buffer's memory from the garbage collector. */
  private final FloatPointer[] pointers = new FloatPointer[GRADIENTS.length];

  private int steps;
  private int batch;

  /** The input of a forward call that no result is written over; null for none. */
  private Pointer heldAgainst;

  NativeBackwardCall(RnnSpec spec, NativeSession session, boolean hasStreams) {
    this.spec = spec;
    this.session = session;
    this.hasStreams = hasStreams;
    struct.struct_size(struct.sizeof());
  }

  @Override
  public void bind(Gradient gradient, FloatBuffer buffer) {
    FloatPointer pointer = buffer == null ? null : new FloatPointer(buffer);
    if (pointer != null && pointer.address() % Float.BYTES != 0) {
      throw unaligned(gradient, "a buffer sliced between values");
    }
    write(gradient, pointer);
    pointers[gradient.ordinal()] = pointer;
  }

  @Override
  public void bind(Gradient gradient, FloatPointer memory) {
    if (Native.address(memory) % Float.BYTES != 0) {
      throw unaligned(gradient, "the address 0x" + Long.toHexString(Native.address(memory)));
    }
    write(gradient, memory);
    pointers[gradient.ordinal()] = memory;
  }

  private static IllegalArgumentException unaligned(Gradient gradient, String got) {
    return new IllegalArgumentException(
        gradient.label() + ": expected memory aligned to 4 bytes, got " + got);
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
    this.steps = steps;
    this.batch = batch;
    this.heldAgainst = null;
    for (Gradient written : GRADIENTS) {
      for (Gradient other : GRADIENTS) {
        FloatPointer memory = pointers[other.ordinal()];
        if (other != written && !inPlace(written, other)) {
          checkApart(written, other.label(), memory, other.count(spec, steps, batch));
        }
      }
    }
  }

  /** Holds a result against memory that a run reads or writes; null is none. */
  private void checkApart(Gradient written, String name, Pointer memory, long count) {
    FloatPointer result = pointers[written.ordinal()];
    if (!written.written() || result == null || memory == null) {
      return;
    }
    if (Native.overlap(result, written.count(spec, steps, batch), memory, count)) {
      throw new IllegalArgumentException(
          written.label() + ": expected memory of its own, got an overlap with " + name);
    }
  }

  /** A state's gradient may be read and written in one place; the written one comes first. */
  private boolean inPlace(Gradient written, Gradient other) {
    FloatPointer a = pointers[written.ordinal()];
    FloatPointer b = pointers[other.ordinal()];
    boolean paired =
        written == Gradient.INITIAL_HIDDEN && other == Gradient.FINAL_HIDDEN
            || written == Gradient.INITIAL_CELL && other == Gradient.FINAL_CELL;
    return paired && a != null && b != null && Native.address(a) == Native.address(b);
  }

  /** The input is read again, so that no result may be written over it. */
  private void checkInput() {
    Argument input = spec.vocabulary() > 0 ? Argument.TOKENS : Argument.INPUT;
    Pointer memory = session.lastInput();
    for (Gradient written : GRADIENTS) {
      checkApart(written, input.label(), memory, input.count(spec, steps, batch));
    }
    heldAgainst = memory;
  }

  @Override
  public void run() {
    backward(GatefuseNative.GF_ON_RETURN);
  }

  @Override
  public void enqueue() {
    backward(hasStreams ? GatefuseNative.GF_ON_STREAM : GatefuseNative.GF_ON_RETURN);
  }

  private void backward(int completion) {
    if (heldAgainst != session.lastInput()) {
      checkInput();
    }
    struct.completion(completion);
    Native.check(GatefuseNative.gf_backward(session.handle(), struct));
  }
}
