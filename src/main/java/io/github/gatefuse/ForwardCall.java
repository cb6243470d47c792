// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import java.lang.ref.Reference;
import java.nio.Buffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * A call of a {@link Session} that is prepared once and run many times, without copies; native
 * backends allocate nothing in a run.
 *
 * <pre>{@code
 * ForwardCall call = session.call().input(x).lengths(lengths).state(state).output(y);
 * call.run(steps, batch);
 * }</pre>
 *
 * <p>Buffers are direct and of native byte order ({@code
 * ByteBuffer.allocateDirect(n).order(ByteOrder.nativeOrder())}). The values from a buffer's
 * position to its limit, as they are when it is set, are used in place; nobody may change them
 * during a run; there may be more than a run needs. Position and limit are not moved. Setting the
 * same buffer again at the same position is free; null removes a buffer. Outputs must not overlap
 * inputs or each other.
 *
 * <p>Past a sequence's length inputs are not read, outputs are 0, and the final state is that of
 * its last valid step; the reverse direction starts at each sequence's own last step.
 *
 * <p>Not thread-safe: one thread at a time, together with its session; use by a second thread at
 * the same time is an {@link IllegalStateException}. There is nothing to close.
 */
public final class ForwardCall {
  private static final Argument[] ARGUMENTS = Argument.values();

  /** A buffer as it was set. */
  private static final class Binding {
    Buffer buffer;
    int position;
    int limit;

    /** What the backend uses, whose position and limit nobody moves. */
    Buffer view;

    boolean is(Buffer other) {
      return other == buffer
          && (other == null || other.position() == position && other.limit() == limit);
    }
  }

  private final Session session;
  private final RnnSpec spec;
  private final BackendCall backend;
  private final Binding[] bindings = new Binding[ARGUMENTS.length];
  private State initial;
  private State last;
  private boolean batchMajor;

  /**
   * The shape that the backend knows and for which all buffers are large enough; steps 0 for none.
   */
  private int steps;

  private int batch;

  ForwardCall(Session session, BackendCall backend) {
    this.session = session;
    this.spec = session.spec();
    this.backend = backend;
    for (int i = 0; i < bindings.length; i++) {
      bindings[i] = new Binding();
    }
  }

  /**
   * Sets the input of a network without an embedding.
   *
   * @param x [T, B, I], read
   * @return this
   * @throws IllegalArgumentException if the network takes tokens, or the buffer is not direct or of
   *     another byte order
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall input(FloatBuffer x) {
    return set(Argument.INPUT, x);
  }

  /**
   * Sets the input of a network with an embedding.
   *
   * @param tokens [T, B], read, each 0 to V-1 up to its sequence's length
   * @return this
   * @throws IllegalArgumentException if the network has no embedding, or the buffer is not direct
   *     or of another byte order
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall tokens(IntBuffer tokens) {
    return set(Argument.TOKENS, tokens);
  }

  /**
   * Sets the length of each sequence; without lengths every sequence has T steps.
   *
   * @param lengths [B], read, each 1 to T
   * @return this
   * @throws IllegalArgumentException if the buffer is not direct or of another byte order
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall lengths(IntBuffer lengths) {
    return set(Argument.LENGTHS, lengths);
  }

  /**
   * Sets the state that runs begin with and leave behind, in place.
   *
   * @param state of the batch of the runs; null: runs begin with zeros, and their final state is
   *     not kept
   * @return this
   * @throws IllegalArgumentException if it is the state of another kind of network
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall state(State state) {
    if (state == initial && state == last) {
      return this;
    }
    session.acquire();
    try {
      bindState(state);
    } finally {
      session.release();
    }
    return this;
  }

  /**
   * Sets the state that runs begin with. It is not written, unless it is the final state too.
   *
   * @param state of the batch of the runs; null: zeros
   * @return this
   * @throws IllegalArgumentException if it is the state of another kind of network
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall initialState(State state) {
    session.acquire();
    try {
      bindInitial("initialState", state);
    } finally {
      session.release();
    }
    return this;
  }

  /**
   * Sets where runs leave their final state.
   *
   * @param state of the batch of the runs; null: it is not kept
   * @return this
   * @throws IllegalArgumentException if it is the state of another kind of network
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall finalState(State state) {
    session.acquire();
    try {
      bindFinal("finalState", state);
    } finally {
      session.release();
    }
    return this;
  }

  /**
   * Sets where the hidden states of the last layer go.
   *
   * @param y [T, B, D*H], written; forward direction first
   * @return this
   * @throws IllegalArgumentException if the buffer is not direct, of another byte order or
   *     read-only
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall output(FloatBuffer y) {
    return set(Argument.OUTPUT, y);
  }

  /**
   * Sets where the head's outputs go.
   *
   * @param logits [T, B, O], written
   * @return this
   * @throws IllegalArgumentException if the network has no head, or the buffer is not direct, of
   *     another byte order or read-only
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall logits(FloatBuffer logits) {
    return set(Argument.LOGITS, logits);
  }

  /**
   * Sets where the log-softmax of the head's outputs goes.
   *
   * @param logProbabilities [T, B, O], written; natural logarithms
   * @return this
   * @throws IllegalArgumentException if the network has no head, or the buffer is not direct, of
   *     another byte order or read-only
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall logProbabilities(FloatBuffer logProbabilities) {
    return set(Argument.LOG_PROBABILITIES, logProbabilities);
  }

  /**
   * Sets the outputs whose probabilities {@link #targetLogProbabilities} gives.
   *
   * @param targets [T, B], read, each 0 to O-1 up to its sequence's length
   * @return this
   * @throws IllegalArgumentException if the network has no head, or the buffer is not direct or of
   *     another byte order
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall targets(IntBuffer targets) {
    return set(Argument.TARGETS, targets);
  }

  /**
   * Sets where the natural logarithm of each target's probability goes.
   *
   * @param targetLogProbabilities [T, B], written
   * @return this
   * @throws IllegalArgumentException if the network has no head, or the buffer is not direct, of
   *     another byte order or read-only
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall targetLogProbabilities(FloatBuffer targetLogProbabilities) {
    return set(Argument.TARGET_LOG_PROBABILITIES, targetLogProbabilities);
  }

  /**
   * Chooses the order of the first two indices of all sequences; states stay [L*D, B, H].
   *
   * @param value true for [B, T, ...], false for [T, B, ...], the default
   * @return this
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall batchMajor(boolean value) {
    session.acquire();
    try {
      batchMajor = value;
      steps = 0;
    } finally {
      session.release();
    }
    return this;
  }

  /**
   * Runs the network on the buffers as they are set. Native backends allocate nothing.
   *
   * @param steps T, 1 to the session's largest
   * @param batch B, 1 to the session's largest
   * @throws IllegalArgumentException in words, if a size is beyond the session's, a buffer is
   *     missing or too small, a state is of another batch, or a length, token or target is out of
   *     range
   * @throws IllegalStateException if the session is closed or in use by another thread
   * @throws GatefuseException if the backend fails; outputs are then unspecified
   */
  public void run(int steps, int batch) {
    session.acquire();
    try {
      execute(steps, batch);
    } finally {
      session.release();
    }
  }

  private ForwardCall set(Argument argument, Buffer buffer) {
    if (bindings[argument.ordinal()].is(buffer)) {
      return this;
    }
    session.acquire();
    try {
      bind(argument, buffer);
    } finally {
      session.release();
    }
    return this;
  }

  // What follows is for the thread that holds the session.

  void bind(Argument argument, Buffer buffer) {
    Binding binding = bindings[argument.ordinal()];
    if (binding.is(buffer)) {
      return;
    }
    if (buffer != null) {
      checkAllowed(argument);
      checkKind(argument, buffer);
    }
    Buffer view = buffer == null ? null : buffer.slice();
    backend.bind(argument, view);
    binding.view = view;
    binding.buffer = buffer;
    binding.position = buffer == null ? 0 : buffer.position();
    binding.limit = buffer == null ? 0 : buffer.limit();
    steps = 0;
  }

  void bindState(State state) {
    bindInitial("state", state);
    bindFinal("state", state);
  }

  private void bindInitial(String name, State state) {
    if (state == initial) {
      return;
    }
    if (state != null) {
      state.check(name, spec);
    }
    bind(Argument.INITIAL_HIDDEN, state == null ? null : state.hiddenMemory());
    bind(Argument.INITIAL_CELL, state == null ? null : state.cellMemory());
    initial = state;
    steps = 0;
  }

  private void bindFinal(String name, State state) {
    if (state == last) {
      return;
    }
    if (state != null) {
      state.check(name, spec);
    }
    bind(Argument.FINAL_HIDDEN, state == null ? null : state.hiddenMemory());
    bind(Argument.FINAL_CELL, state == null ? null : state.cellMemory());
    last = state;
    steps = 0;
  }

  void execute(int steps, int batch) {
    if (steps != this.steps || batch != this.batch || steps == 0) {
      checkShapes(steps, batch);
      backend.shape(steps, batch, batchMajor);
      this.steps = steps;
      this.batch = batch;
    }
    checkValues(steps, batch);
    try {
      backend.run();
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  private void checkAllowed(Argument argument) {
    switch (argument) {
      case INPUT ->
          require(spec.vocabulary() == 0, argument, "the network has an embedding; set tokens");
      case TOKENS ->
          require(spec.vocabulary() > 0, argument, "the network has no embedding; set input");
      case TARGETS, LOGITS, LOG_PROBABILITIES, TARGET_LOG_PROBABILITIES ->
          require(spec.outputs() > 0, argument, "the network has no head (outputs 0)");
      default -> {}
    }
  }

  private static void require(boolean condition, Argument argument, String reason) {
    if (!condition) {
      throw new IllegalArgumentException(argument.label() + ": expected none, since " + reason);
    }
  }

  private static void checkKind(Argument argument, Buffer buffer) {
    ByteOrder order =
        buffer instanceof FloatBuffer floats ? floats.order() : ((IntBuffer) buffer).order();
    if (!buffer.isDirect()) {
      throw new IllegalArgumentException(
          argument.label() + ": expected a direct buffer, got one on the Java heap");
    }
    if (order != ByteOrder.nativeOrder()) {
      throw new IllegalArgumentException(
          (argument.label() + ": expected the native byte order " + ByteOrder.nativeOrder())
              + (", got " + order));
    }
    if (argument.written() && buffer.isReadOnly()) {
      throw new IllegalArgumentException(
          argument.label() + ": expected a writable buffer, got a read-only one");
    }
  }

  private void checkShapes(int steps, int batch) {
    session.checkCapacity(steps, batch);
    checkBatch("initialState", initial, batch);
    checkBatch("finalState", last, batch);
    boolean anyOutput = false;
    for (Argument argument : ARGUMENTS) {
      Binding binding = bindings[argument.ordinal()];
      if (binding.buffer == null) {
        checkMissing(argument, steps, batch);
        continue;
      }
      anyOutput |= argument.written();
      long count = argument.count(spec, steps, batch);
      if (binding.limit - binding.position < count) {
        throw new IllegalArgumentException(
            expected(argument, steps, batch) + (binding.limit - binding.position));
      }
    }
    if (!anyOutput) {
      throw new IllegalArgumentException(
          "output: expected at least one of output, finalState, logits, logProbabilities and"
              + " targetLogProbabilities, got none");
    }
  }

  private String expected(Argument argument, int steps, int batch) {
    long count = argument.count(spec, steps, batch);
    return (argument.label() + ": expected " + argument.shape(spec, steps, batch, batchMajor))
        + (" = " + count + (argument.integers() ? " ints" : " floats"))
        + (count > Integer.MAX_VALUE ? " (more than the 2^31-1 that a buffer can hold)" : "")
        + ", got ";
  }

  private static void checkBatch(String name, State state, int batch) {
    if (state != null && state.batch() != batch) {
      throw new IllegalArgumentException(
          name + ": expected B=" + batch + ", got B=" + state.batch());
    }
  }

  private void checkMissing(Argument argument, int steps, int batch) {
    boolean needed =
        switch (argument) {
          case INPUT -> spec.vocabulary() == 0;
          case TOKENS -> spec.vocabulary() > 0;
          case TARGETS -> bound(Argument.TARGET_LOG_PROBABILITIES);
          default -> false;
        };
    if (needed) {
      throw new IllegalArgumentException(expected(argument, steps, batch) + "none");
    }
  }

  private boolean bound(Argument argument) {
    return bindings[argument.ordinal()].buffer != null;
  }

  /** What a buffer holds may change from run to run, so its values are looked at in each. */
  private void checkValues(int steps, int batch) {
    IntBuffer lengths = integers(Argument.LENGTHS);
    if (lengths != null) {
      checkLengths(lengths, steps, batch);
    }
    checkIndices(Argument.TOKENS, spec.vocabulary(), lengths);
    checkIndices(Argument.TARGETS, spec.outputs(), lengths);
  }

  private IntBuffer integers(Argument argument) {
    return (IntBuffer) bindings[argument.ordinal()].view;
  }

  private static void checkLengths(IntBuffer lengths, int steps, int batch) {
    for (int b = 0; b < batch; b++) {
      int length = lengths.get(b);
      if (length < 1 || length > steps) {
        throw new IllegalArgumentException(
            "lengths[b=" + b + "]: expected 1 to T=" + steps + ", got " + length);
      }
    }
  }

  private void checkIndices(Argument argument, int size, IntBuffer lengths) {
    IntBuffer values = integers(argument);
    if (values == null) {
      return;
    }
    int stepStride = batchMajor ? 1 : batch;
    int rowStride = batchMajor ? steps : 1;
    for (int b = 0; b < batch; b++) {
      int length = lengths == null ? steps : lengths.get(b);
      for (int t = 0; t < length; t++) {
        int value = values.get(t * stepStride + b * rowStride);
        if (value < 0 || value >= size) {
          throw new IllegalArgumentException(
              (argument.label() + "[t=" + t + ", b=" + b + "]: expected 0 to " + (size - 1))
                  + (", got " + value));
        }
      }
    }
  }
}
