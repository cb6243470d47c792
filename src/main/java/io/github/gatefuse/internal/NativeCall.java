// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.binding.gf_io;
import io.github.gatefuse.binding.gf_session;
import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A call of the C interface: its struct is written when buffers are set, so that a run is a single
 * native call. One thread at a time.
 */
final class NativeCall implements BackendCall {
  private static final Argument[] ARGUMENTS = Argument.values();

  private final RnnSpec spec;
  private final gf_session session;
  private final gf_io io = Native.struct(gf_io.class, gf_io::new);

  /** By the arguments' order. A pointer keeps its buffer's memory from the garbage collector. */
  private final Pointer[] pointers = new Pointer[ARGUMENTS.length];

  NativeCall(RnnSpec spec, gf_session session) {
    this.spec = spec;
    this.session = session;
    io.struct_size(io.sizeof());
  }

  @Override
  public void bind(Argument argument, Buffer buffer) {
    Pointer pointer = argument.integers() ? ints(buffer) : floats(buffer);
    if (pointer != null && pointer.address() % Float.BYTES != 0) {
      throw new IllegalArgumentException(
          argument.label()
              + ": expected memory aligned to 4 bytes, got a buffer sliced between values");
    }
    write(argument, pointer);
    pointers[argument.ordinal()] = pointer;
  }

  private static FloatPointer floats(Buffer buffer) {
    return buffer == null ? null : new FloatPointer((FloatBuffer) buffer);
  }

  private static IntPointer ints(Buffer buffer) {
    return buffer == null ? null : new IntPointer((IntBuffer) buffer);
  }

  private void write(Argument argument, Pointer pointer) {
    switch (argument) {
      case INPUT -> io.x((FloatPointer) pointer);
      case TOKENS -> io.tokens((IntPointer) pointer);
      case LENGTHS -> io.lengths((IntPointer) pointer);
      case INITIAL_HIDDEN -> io.h0((FloatPointer) pointer);
      case INITIAL_CELL -> io.c0((FloatPointer) pointer);
      case OUTPUT -> io.y((FloatPointer) pointer);
      case FINAL_HIDDEN -> io.hn((FloatPointer) pointer);
      case FINAL_CELL -> io.cn((FloatPointer) pointer);
      case TARGETS -> io.targets((IntPointer) pointer);
      case LOGITS -> io.logits((FloatPointer) pointer);
      case LOG_PROBABILITIES -> io.log_probs((FloatPointer) pointer);
      case TARGET_LOG_PROBABILITIES -> io.target_log_probs((FloatPointer) pointer);
    }
  }

  @Override
  public void shape(int steps, int batch, boolean batchMajor) {
    for (Argument written : ARGUMENTS) {
      for (Argument other : ARGUMENTS) {
        if (written.written() && other != written && overlap(written, other, steps, batch)) {
          throw new IllegalArgumentException(
              (written.label() + ": expected memory of its own, got an overlap with ")
                  + other.label());
        }
      }
    }
    io.steps(steps);
    io.batch(batch);
    io.layout(batchMajor ? GatefuseNative.GF_BATCH_MAJOR : GatefuseNative.GF_TIME_MAJOR);
  }

  private boolean overlap(Argument first, Argument second, int steps, int batch) {
    Pointer a = pointers[first.ordinal()];
    Pointer b = pointers[second.ordinal()];
    if (a == null || b == null || a.address() == b.address() && inPlace(first, second)) {
      return false;
    }
    return a.address() < b.address() + Float.BYTES * second.count(spec, steps, batch)
        && b.address() < a.address() + Float.BYTES * first.count(spec, steps, batch);
  }

  /** A state may be read and written in one place; both arguments come in either order. */
  private static boolean inPlace(Argument first, Argument second) {
    return first == Argument.FINAL_HIDDEN && second == Argument.INITIAL_HIDDEN
        || first == Argument.FINAL_CELL && second == Argument.INITIAL_CELL;
  }

  @Override
  public void run() {
    Native.check(GatefuseNative.gf_forward(session, io));
  }
}
