// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.DeviceMemory;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.State;
import java.nio.IntBuffer;
import java.util.Arrays;
import org.bytedeco.javacpp.FloatPointer;

/** The states of a pool's streams, a row each, where the network runs. Not thread-safe. */
abstract class StreamStates implements AutoCloseable {
  final RnnSpec spec;
  final int capacity;

  private StreamStates(RnnSpec spec, int capacity) {
    this.spec = spec;
    this.capacity = capacity;
  }

  /** On the device that the network is on, or outside of the Java heap. */
  static StreamStates of(Rnn rnn, int capacity) {
    return rnn.hasDeviceMemory() ? new OnDevice(rnn, capacity) : new OnHost(rnn.spec(), capacity);
  }

  /** Has a call read and write the states of the streams in these rows. */
  abstract void bind(ForwardCall call, IntBuffer rows);

  abstract StreamState read(int row);

  abstract void write(int row, StreamState state);

  /** Sets a row to zeros, as sequences begin. */
  abstract void clear(int row);

  /** Of all states. */
  final long bytes() {
    return Float.BYTES * slotSize() * spec.slots() * kinds();
  }

  abstract boolean onDevice();

  @Override
  public abstract void close();

  /** The values of a slot, h or c. */
  final long slotSize() {
    return (long) capacity * spec.hiddenSize();
  }

  /** h, and c for cells that have one. */
  final int kinds() {
    return spec.cell().hasCellState() ? 2 : 1;
  }

  private static final class OnHost extends StreamStates {
    private final State state;

    OnHost(RnnSpec spec, int capacity) {
      super(spec, capacity);
      this.state = State.zeros(spec, capacity);
    }

    @Override
    void bind(ForwardCall call, IntBuffer rows) {
      call.state(state).stateRows(rows);
    }

    @Override
    StreamState read(int row) {
      return new StreamState(state.hiddenRow(row), state.hasCell() ? state.cellRow(row) : null);
    }

    @Override
    void write(int row, StreamState from) {
      state.setRow(row, from.h(), from.c());
    }

    @Override
    void clear(int row) {
      state.clearRow(row);
    }

    @Override
    boolean onDevice() {
      return false;
    }

    @Override
    public void close() {}
  }

  /** One piece of memory: h [L*D, capacity, H], then c. So a row is pieces of one stride. */
  private static final class OnDevice extends StreamStates {
    private final DeviceMemory memory;
    private final float[] row;

    OnDevice(Rnn rnn, int capacity) {
      super(rnn.spec(), capacity);
      this.row = new float[spec.slots() * spec.hiddenSize() * kinds()];
      this.memory = rnn.deviceMemory(bytes() / Float.BYTES);
    }

    @Override
    void bind(ForwardCall call, IntBuffer rows) {
      long size = slotSize() * spec.slots();
      FloatPointer c = spec.cell().hasCellState() ? memory.floats(size, size) : null;
      call.state(memory.floats(0, size), c).stateRows(rows, capacity);
    }

    @Override
    StreamState read(int stream) {
      memory.read(at(stream), slotSize(), spec.hiddenSize(), row);
      int size = row.length / kinds();
      float[] c = kinds() == 2 ? Arrays.copyOfRange(row, size, 2 * size) : null;
      return new StreamState(Arrays.copyOf(row, size), c);
    }

    @Override
    void write(int stream, StreamState from) {
      System.arraycopy(from.h(), 0, row, 0, from.h().length);
      if (from.c() != null) {
        System.arraycopy(from.c(), 0, row, from.h().length, from.c().length);
      }
      memory.write(at(stream), slotSize(), spec.hiddenSize(), row);
    }

    @Override
    void clear(int stream) {
      Arrays.fill(row, 0f);
      memory.write(at(stream), slotSize(), spec.hiddenSize(), row);
    }

    private long at(int stream) {
      return (long) stream * spec.hiddenSize();
    }

    @Override
    boolean onDevice() {
      return true;
    }

    @Override
    public void close() {
      memory.close();
    }
  }
}
