// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Objects;

/**
 * The state of a batch of sequences between calls: h, and c for cells that have one, each [L*D, B,
 * H]. Slot l*D + d belongs to layer l, direction d.
 *
 * <p>The memory is direct and is freed by the garbage collector; there is nothing to close. It is
 * host memory, and page-locked only {@linkplain #over over} a buffer that is. A state belongs to no
 * session: any session of a network of the same shape continues it.
 *
 * <p>Not thread-safe: one thread at a time, a running call included.
 */
public final class State {
  private static final int LARGEST = Integer.MAX_VALUE / Float.BYTES;

  private final int slots;
  private final int batch;
  private final int hiddenSize;
  private final FloatBuffer hidden;
  private final FloatBuffer cell;

  private State(int slots, int batch, int hiddenSize, boolean hasCell) {
    this.slots = slots;
    this.batch = batch;
    this.hiddenSize = hiddenSize;
    this.hidden = allocate();
    this.cell = hasCell ? allocate() : null;
  }

  private State(int slots, int batch, int hiddenSize, FloatBuffer hidden, FloatBuffer cell) {
    this.slots = slots;
    this.batch = batch;
    this.hiddenSize = hiddenSize;
    this.hidden = hidden;
    this.cell = cell;
  }

  private FloatBuffer allocate() {
    int bytes = Float.BYTES * slots * batch * hiddenSize;
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  /**
   * A state of zeros, as sequences begin.
   *
   * @param spec the network
   * @param batch B, at least 1
   * @return a new state
   * @throws IllegalArgumentException if batch is below 1, or h would have more than 536870911
   *     values
   */
  public static State zeros(RnnSpec spec, int batch) {
    int slots = checkedSlots(spec, batch);
    return new State(slots, batch, spec.hiddenSize(), spec.cell().hasCellState());
  }

  /**
   * A state over memory of the caller, such as {@link PinnedMemory}, which keeps what it holds.
   *
   * @param spec the network
   * @param batch B, at least 1
   * @param h [L*D, B, H] at least, direct, writable and of native byte order, from its position
   * @param c the same for the cell state; null for a GRU
   * @return a new state of the same memory
   * @throws IllegalArgumentException if a buffer does not fit, or c is there for a GRU or missing
   *     for an LSTM
   */
  public static State over(RnnSpec spec, int batch, FloatBuffer h, FloatBuffer c) {
    int slots = checkedSlots(spec, batch);
    if (spec.cell().hasCellState() != (c != null)) {
      throw new IllegalArgumentException(
          "c: expected "
              + (c == null ? "a buffer for " : "none for ")
              + spec.cell().id()
              + (c == null ? ", got none" : ", got a buffer"));
    }
    int count = slots * batch * spec.hiddenSize();
    FloatBuffer hidden = memory("h", Objects.requireNonNull(h, "h"), count);
    FloatBuffer cell = c == null ? null : memory("c", c, count);
    return new State(slots, batch, spec.hiddenSize(), hidden, cell);
  }

  private static FloatBuffer memory(String name, FloatBuffer buffer, int count) {
    FloatBuffer view = (FloatBuffer) Binding.checked(name, true, buffer);
    if (view.capacity() < count) {
      throw new IllegalArgumentException(
          name + ": expected " + count + " floats, got " + view.capacity());
    }
    return view.slice(0, count);
  }

  private static int checkedSlots(RnnSpec spec, int batch) {
    if (batch < 1) {
      throw new IllegalArgumentException("batch: expected at least 1, got " + batch);
    }
    long slots = (long) spec.layers() * spec.directions();
    // Neither quotient can overflow, as the product of all three could.
    if (slots > LARGEST / batch || slots * batch > LARGEST / spec.hiddenSize()) {
      throw new IllegalArgumentException(
          ("state: expected at most " + LARGEST + " values, got ")
              + ("[L*D=" + slots + ", B=" + batch + ", H=" + spec.hiddenSize() + "]"));
    }
    return (int) slots;
  }

  /**
   * The states of one sequence.
   *
   * @return L*D
   */
  public int slots() {
    return slots;
  }

  /**
   * The sequences of the batch.
   *
   * @return B
   */
  public int batch() {
    return batch;
  }

  /**
   * The units of a slot.
   *
   * @return H
   */
  public int hiddenSize() {
    return hiddenSize;
  }

  /**
   * Whether there is a cell state beside the hidden state.
   *
   * @return true for the LSTM family
   */
  public boolean hasCell() {
    return cell != null;
  }

  /**
   * The hidden state [L*D, B, H] itself: what is written here is the state.
   *
   * @return a direct buffer of native byte order over this state's memory, at position 0; its
   *     position and limit are the caller's own
   */
  public FloatBuffer h() {
    return hidden.duplicate();
  }

  /**
   * The cell state [L*D, B, H] itself: what is written here is the state.
   *
   * @return a direct buffer of native byte order over this state's memory, at position 0; its
   *     position and limit are the caller's own
   * @throws IllegalStateException for a GRU, which has no cell state
   */
  public FloatBuffer c() {
    return requireCell().duplicate();
  }

  /**
   * A copy of the hidden state.
   *
   * @return h, [L*D, B, H]
   */
  public float[] hidden() {
    return values(hidden);
  }

  /**
   * A copy of the cell state.
   *
   * @return c, [L*D, B, H]
   * @throws IllegalStateException for a GRU, which has no cell state
   */
  public float[] cell() {
    return values(requireCell());
  }

  /**
   * A state of the same values in memory of its own.
   *
   * @return a new state
   */
  public State copy() {
    State copy = new State(slots, batch, hiddenSize, hasCell());
    copy.hidden.put(0, hidden, 0, hidden.capacity());
    if (hasCell()) {
      copy.cell.put(0, cell, 0, cell.capacity());
    }
    return copy;
  }

  /**
   * A copy of one sequence's hidden state.
   *
   * @param row 0 to B-1
   * @return h of all slots, [L*D, H]
   * @throws IllegalArgumentException if there is no such row
   */
  public float[] hiddenRow(int row) {
    return row(hidden, row);
  }

  /**
   * A copy of one sequence's cell state.
   *
   * @param row 0 to B-1
   * @return c of all slots, [L*D, H]
   * @throws IllegalArgumentException if there is no such row
   * @throws IllegalStateException for a GRU, which has no cell state
   */
  public float[] cellRow(int row) {
    return row(requireCell(), row);
  }

  /**
   * Sets one sequence's state.
   *
   * @param row 0 to B-1
   * @param h of all slots, [L*D, H]
   * @param c of all slots, [L*D, H]; null for a GRU
   * @throws IllegalArgumentException if there is no such row, a length does not fit, or c is there
   *     for a GRU or missing for an LSTM
   */
  public void setRow(int row, float[] h, float[] c) {
    checkRow(row);
    checkRowLength("h", Objects.requireNonNull(h, "h"));
    if (hasCell() != (c != null)) {
      throw new IllegalArgumentException(
          hasCell() ? "c: expected values, got none" : "c: expected none for a GRU, got values");
    }
    if (hasCell()) {
      checkRowLength("c", c);
    }
    for (int slot = 0; slot < slots; slot++) {
      hidden.put(at(slot, row), h, slot * hiddenSize, hiddenSize);
      if (hasCell()) {
        cell.put(at(slot, row), c, slot * hiddenSize, hiddenSize);
      }
    }
  }

  /**
   * Sets one sequence's state to zeros, as sequences begin.
   *
   * @param row 0 to B-1
   * @throws IllegalArgumentException if there is no such row
   */
  public void clearRow(int row) {
    float[] zeros = new float[slots * hiddenSize];
    setRow(row, zeros, hasCell() ? zeros : null);
  }

  private int at(int slot, int row) {
    return (slot * batch + row) * hiddenSize;
  }

  private float[] row(FloatBuffer buffer, int row) {
    checkRow(row);
    float[] values = new float[slots * hiddenSize];
    for (int slot = 0; slot < slots; slot++) {
      buffer.get(at(slot, row), values, slot * hiddenSize, hiddenSize);
    }
    return values;
  }

  private void checkRow(int row) {
    if (row < 0 || row >= batch) {
      throw new IllegalArgumentException("row: expected 0 to " + (batch - 1) + ", got " + row);
    }
  }

  private void checkRowLength(String name, float[] values) {
    if (values.length != slots * hiddenSize) {
      throw new IllegalArgumentException(
          (name + ": expected [L*D=" + slots + ", H=" + hiddenSize + "] = " + slots * hiddenSize)
              + (" floats, got " + values.length));
    }
  }

  /** Sets all values to zero. */
  public void clear() {
    clear(hidden);
    if (hasCell()) {
      clear(cell);
    }
  }

  /**
   * Sets all values.
   *
   * @param h [L*D, B, H]
   * @param c [L*D, B, H]; null for a GRU
   * @throws IllegalArgumentException if a length does not fit, or c is there for a GRU or missing
   *     for an LSTM
   */
  public void set(float[] h, float[] c) {
    checkLength("h", Objects.requireNonNull(h, "h"));
    if (hasCell() != (c != null)) {
      throw new IllegalArgumentException(
          hasCell()
              ? "c: expected " + shape() + ", got none"
              : "c: expected none for a GRU, got values");
    }
    if (hasCell()) {
      checkLength("c", c);
      cell.put(0, c);
    }
    hidden.put(0, h);
  }

  /**
   * Holds this state against a network.
   *
   * @throws IllegalArgumentException in words if it is the state of another kind of network
   */
  void check(String name, RnnSpec spec) {
    if (slots != spec.slots() || hiddenSize != spec.hiddenSize()) {
      throw new IllegalArgumentException(
          (name + ": expected [L*D=" + spec.slots() + ", B, H=" + spec.hiddenSize() + "], got ")
              + shape());
    }
    if (hasCell() != spec.cell().hasCellState()) {
      throw new IllegalArgumentException(
          (name + ": expected a state " + (hasCell() ? "without" : "with") + " a cell state for ")
              + (spec.cell().id() + ", got one " + (hasCell() ? "with" : "without")));
    }
  }

  /** The memory of h, whose position and limit nobody moves. */
  FloatBuffer hiddenMemory() {
    return hidden;
  }

  /** The memory of c, whose position and limit nobody moves; null for a GRU. */
  FloatBuffer cellMemory() {
    return cell;
  }

  private FloatBuffer requireCell() {
    if (cell == null) {
      throw new IllegalStateException("c: a GRU has no cell state");
    }
    return cell;
  }

  private void checkLength(String name, float[] values) {
    if (values.length != hidden.capacity()) {
      throw new IllegalArgumentException(
          (name + ": expected " + shape() + " = " + hidden.capacity() + " floats, got ")
              + values.length);
    }
  }

  private String shape() {
    return "[L*D=" + slots + ", B=" + batch + ", H=" + hiddenSize + "]";
  }

  private static float[] values(FloatBuffer buffer) {
    float[] values = new float[buffer.capacity()];
    buffer.get(0, values);
    return values;
  }

  private static void clear(FloatBuffer buffer) {
    for (int i = 0; i < buffer.capacity(); i++) {
      buffer.put(i, 0f);
    }
  }

  /**
   * The shape in words.
   *
   * @return such as {@code State[L*D=1, B=8, H=256]}
   */
  @Override
  public String toString() {
    return "State" + shape();
  }
}
