// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.binding.gf_io;
import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A call of the C interface: its struct is written when memory is set, so that a run is a single
 * native call. One thread at a time.
 */
final class NativeCall implements BackendCall {
  private static final Argument[] ARGUMENTS = Argument.values();

  private final RnnSpec spec;
  private final NativeSession session;
  private final gf_io io = Native.struct(gf_io.class, gf_io::new);

  /** By the arguments' order. A pointer keeps its buffer's memory from the garbage collector. */
  private final Pointer[] pointers = new Pointer[ARGUMENTS.length];

  private final boolean[] onDevice = new boolean[ARGUMENTS.length];
  private final boolean hasStreams;
  private int stateCapacity;
  private Pointer stream;
  private int completion = GatefuseNative.GF_ON_RETURN;

  NativeCall(RnnSpec spec, NativeSession session, boolean hasStreams) {
    this.spec = spec;
    this.session = session;
    this.hasStreams = hasStreams;
    io.struct_size(io.sizeof());
  }

  @Override
  public void bind(Argument argument, Buffer buffer) {
    Pointer pointer = argument.integers() ? ints(buffer) : floats(buffer);
    if (pointer != null && pointer.address() % Float.BYTES != 0) {
      throw unaligned(argument, "a buffer sliced between values");
    }
    write(argument, pointer);
    pointers[argument.ordinal()] = pointer;
    onDevice[argument.ordinal()] = false;
  }

  @Override
  public void bind(Argument argument, Pointer memory) {
    if (Native.address(memory) % Float.BYTES != 0) {
      throw unaligned(argument, "the address 0x" + Long.toHexString(Native.address(memory)));
    }
    write(argument, memory);
    pointers[argument.ordinal()] = memory;
    onDevice[argument.ordinal()] = true;
  }

  private static IllegalArgumentException unaligned(Argument argument, String got) {
    return new IllegalArgumentException(
        argument.label() + ": expected memory aligned to 4 bytes, got " + got);
  }

  @Override
  public void stream(Pointer stream) {
    io.stream(stream);
    this.stream = stream; // The struct holds an address alone.
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
      case STATE_ROWS -> io.state_rows((IntPointer) pointer);
    }
  }

  @Override
  public void training(boolean training, long draw) {
    io.training(training ? 1 : 0);
    io.draw(draw);
  }

  @Override
  public void stateCapacity(int rows) {
    stateCapacity = rows;
    io.state_capacity(rows);
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
    io.memory(memory(false));
    io.state_memory(memory(true));
    io.steps(steps);
    io.batch(batch);
    io.layout(batchMajor ? GatefuseNative.GF_BATCH_MAJOR : GatefuseNative.GF_TIME_MAJOR);
  }

  /** The states are of one kind of memory, and all but what is per sequence is of one, too. */
  private int memory(boolean states) {
    for (Argument argument : ARGUMENTS) {
      if (argument.state() == states && onDevice[argument.ordinal()]) {
        return GatefuseNative.GF_MEMORY_DEVICE;
      }
    }
    return GatefuseNative.GF_MEMORY_HOST;
  }

  private boolean overlap(Argument first, Argument second, int steps, int batch) {
    Pointer a = pointers[first.ordinal()];
    Pointer b = pointers[second.ordinal()];
    if (a == null || b == null || onDevice[first.ordinal()] != onDevice[second.ordinal()]) {
      return false;
    }
    if (Native.address(a) == Native.address(b) && inPlace(first, second)) {
      return false;
    }
    return Native.overlap(a, count(first, steps, batch), b, count(second, steps, batch));
  }

  private long count(Argument argument, int steps, int batch) {
    boolean pooled = argument.state() && pointers[Argument.STATE_ROWS.ordinal()] != null;
    return argument.count(spec, steps, pooled ? stateCapacity : batch);
  }

  /** A state may be read and written in one place; both arguments come in either order. */
  private static boolean inPlace(Argument first, Argument second) {
    return first == Argument.FINAL_HIDDEN && second == Argument.INITIAL_HIDDEN
        || first == Argument.FINAL_CELL && second == Argument.INITIAL_CELL;
  }

  @Override
  public void run() {
    forward(GatefuseNative.GF_ON_RETURN);
  }

  @Override
  public void enqueue() {
    forward(hasStreams ? GatefuseNative.GF_ON_STREAM : GatefuseNative.GF_ON_RETURN);
  }

  private void forward(int wanted) {
    if (completion != wanted) {
      io.completion(wanted);
      completion = wanted;
    }
    Native.check(GatefuseNative.gf_forward(session.handle(), io));
    Argument input = spec.vocabulary() > 0 ? Argument.TOKENS : Argument.INPUT;
    session.remember(pointers[input.ordinal()]);
  }
}
