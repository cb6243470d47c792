// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import java.lang.ref.Reference;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A call of a {@link Session} that is prepared once and run many times, without copies; native
 * backends allocate nothing in a run.
 *
 * <pre>{@code
 * ForwardCall call = session.call().input(x).lengths(lengths).state(state).output(y);
 * call.run(steps, batch);
 * }</pre>
 *
 * <h2>Buffers</h2>
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
 * <h2>Device memory</h2>
 *
 * <p>Where the backend is CUDA, a {@link FloatPointer} or {@link IntPointer} stands for memory of
 * the network's device, as {@code cudaMalloc} gives it; it never stands for host memory. Its values
 * from position to limit are used in place, so its {@linkplain Pointer#capacity(long) capacity} has
 * to be set. The caller owns the memory and frees it after the last run that uses it. All of a
 * call's memory is of one kind, host or device, but for lengths and state rows, which are always
 * host memory, and for states: they may stay in device memory while the rest is on the host. Tokens
 * and targets in device memory are not checked beforehand: one out of range makes its outputs NaN
 * and is reported by the run, or, if it was enqueued, by the next call or {@link
 * Session#synchronize}.
 *
 * <h2>Completion</h2>
 *
 * <p>{@link #run} returns when the outputs are complete. {@link #enqueue} only puts the work on the
 * {@link #stream} and returns: the outputs are complete, and the inputs and the state no longer
 * read, when the stream has come that far, or when {@link Session#synchronize} returns, or the next
 * {@link #run} of the session. Until then nobody may change or free what the call uses, lengths
 * excepted. Calls of one session follow one another whatever their streams are; work of the caller
 * is ordered by the stream alone. What goes wrong meanwhile is thrown by the session's next call or
 * by {@link Session#synchronize}.
 *
 * <p>Not thread-safe: one thread at a time, together with its session; use by a second thread at
 * the same time is an {@link IllegalStateException}. There is nothing to close.
 */
public final class ForwardCall extends SessionCall {
  private static final Argument[] ARGUMENTS = Argument.values();

  private final Session session;
  private final RnnSpec spec;
  private final BackendCall backend;
  private final Binding[] bindings = new Binding[ARGUMENTS.length];
  private State initial;
  private State last;
  private boolean batchMajor;

  /** The rows of states that are no {@link State} but device memory; 0 for not known. */
  private int stateCapacity;

  /** The rows of the states, by bits, that a check of state rows has met; all 0 outside of it. */
  private long[] seen = {};

  /**
   * The shape that the backend knows and for which all buffers are large enough; steps 0 for none.
   */
  private int steps;

  private int batch;

  ForwardCall(Session session, BackendCall backend) {
    this.session = session;
    this.spec = session.spec();
    this.backend = backend;
    for (Argument argument : ARGUMENTS) {
      bindings[argument.ordinal()] =
          new Binding(argument.label(), argument.written(), argument.integers());
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
   * Sets the input of a network without an embedding, in device memory.
   *
   * @param x [T, B, I], read
   * @return this
   * @throws IllegalArgumentException if the network takes tokens, the backend has no device memory,
   *     or the pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall input(FloatPointer x) {
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
   * Sets the input of a network with an embedding, in device memory.
   *
   * @param tokens [T, B], read, each 0 to V-1 up to its sequence's length
   * @return this
   * @throws IllegalArgumentException if the network has no embedding, the backend has no device
   *     memory, or the pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall tokens(IntPointer tokens) {
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
    if (isInitial(state) && isFinal(state)) {
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
   * Has runs pick their states by row: sequence b begins with row {@code rows[b]} of the initial
   * state and leaves its final state in that row of the final state. The states then have any
   * batch, the same for both, and rows that a run does not name are neither read nor written. So a
   * batch is made of any of many streams, without copies of their states.
   *
   * @param rows [B], read, each 0 to the states' batch - 1, no two the same; null, as at first: row
   *     b of the states is sequence b's
   * @return this
   * @throws IllegalArgumentException if the backend has no state rows, the session keeps a way
   *     back, or the buffer is not direct or of another byte order
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall stateRows(IntBuffer rows) {
    return pickStates(rows, 0);
  }

  /**
   * The same for states in device memory, which do not tell how many rows they have.
   *
   * @param rows [B], read, each 0 to capacity - 1, no two the same
   * @param capacity the rows of the states: h and c have [L*D, capacity, H] values
   * @return this
   * @throws IllegalArgumentException if the capacity is below 1, the backend has no state rows, the
   *     session keeps a way back, or the buffer is not direct or of another byte order
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall stateRows(IntBuffer rows, int capacity) {
    if (capacity < 1) {
      throw new IllegalArgumentException("capacity: expected at least 1, got " + capacity);
    }
    return pickStates(rows, capacity);
  }

  private ForwardCall pickStates(IntBuffer rows, int capacity) {
    set(Argument.STATE_ROWS, rows);
    if (capacity != stateCapacity) {
      session.acquire();
      try {
        stateCapacity = capacity;
        steps = 0;
      } finally {
        session.release();
      }
    }
    return this;
  }

  /**
   * Sets the state that runs begin with and leave behind, in place, in device memory. The other
   * memory of the call may be on the host.
   *
   * @param h [L*D, B, H], read and written
   * @param c [L*D, B, H], read and written; null for cells without a cell state
   * @return this
   * @throws IllegalArgumentException if there is a c for a cell without, the backend has no device
   *     memory, or a pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall state(FloatPointer h, FloatPointer c) {
    return initialState(h, c).finalState(h, c);
  }

  /**
   * Sets the state that runs begin with, in device memory. It is not written, unless it is the
   * final state too.
   *
   * @param h [L*D, B, H], read; null: zeros
   * @param c [L*D, B, H], read; null: zeros
   * @return this
   * @throws IllegalArgumentException if there is a c for a cell without, the backend has no device
   *     memory, or a pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall initialState(FloatPointer h, FloatPointer c) {
    session.acquire();
    try {
      bindInitial(h, c);
    } finally {
      session.release();
    }
    return this;
  }

  /**
   * Sets where runs leave their final state, in device memory.
   *
   * @param h [L*D, B, H], written; null: it is not kept
   * @param c [L*D, B, H], written; null: it is not kept
   * @return this
   * @throws IllegalArgumentException if there is a c for a cell without, the backend has no device
   *     memory, or a pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall finalState(FloatPointer h, FloatPointer c) {
    session.acquire();
    try {
      bindFinal(h, c);
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
   * Sets where the hidden states of the last layer go, in device memory.
   *
   * @param y [T, B, D*H], written; forward direction first
   * @return this
   * @throws IllegalArgumentException if the backend has no device memory, or the pointer is null
   *     inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall output(FloatPointer y) {
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
   * Sets where the head's outputs go, in device memory.
   *
   * @param logits [T, B, O], written
   * @return this
   * @throws IllegalArgumentException if the network has no head, the backend has no device memory,
   *     or the pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall logits(FloatPointer logits) {
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
   * Sets where the log-softmax of the head's outputs goes, in device memory.
   *
   * @param logProbabilities [T, B, O], written; natural logarithms
   * @return this
   * @throws IllegalArgumentException if the network has no head, the backend has no device memory,
   *     or the pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall logProbabilities(FloatPointer logProbabilities) {
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
   * Sets the outputs whose probabilities are given, in device memory.
   *
   * @param targets [T, B], read, each 0 to O-1 up to its sequence's length
   * @return this
   * @throws IllegalArgumentException if the network has no head, the backend has no device memory,
   *     or the pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall targets(IntPointer targets) {
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
   * Sets where the natural logarithm of each target's probability goes, in device memory.
   *
   * @param targetLogProbabilities [T, B], written
   * @return this
   * @throws IllegalArgumentException if the network has no head, the backend has no device memory,
   *     or the pointer is null inside or without capacity
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall targetLogProbabilities(FloatPointer targetLogProbabilities) {
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
   * Has the session's {@link Regularization} draw masks in the runs that follow, as training does.
   * It is as well where there is none.
   *
   * @param draw the number of the draw: another number gives other masks, the same number the same
   *     ones; in a training usually that of the step
   * @return this
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall training(long draw) {
    return training(true, draw);
  }

  /**
   * Has nothing drawn in the runs that follow, as at first: zoneout makes means, dropout nothing.
   *
   * @return this
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall evaluation() {
    return training(false, 0);
  }

  private ForwardCall training(boolean training, long draw) {
    session.acquire();
    try {
      backend.training(training, draw);
    } finally {
      session.release();
    }
    return this;
  }

  /**
   * Chooses the CUDA stream of the runs that follow.
   *
   * @param stream a pointer whose address is the stream's handle, such as a {@code CUstream_st};
   *     null for the session's own stream, the default
   * @return this
   * @throws IllegalArgumentException if the backend has no streams
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall stream(Pointer stream) {
    session.acquire();
    try {
      if (stream != null) {
        require(session.hasStreams(), "stream", "the " + session.backendId() + " backend has none");
      }
      if (session.hasStreams()) {
        backend.stream(stream);
      }
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

  /**
   * Puts a run on the {@link #stream} and returns without waiting for it. Host buffers, those of a
   * {@link State} too, must be {@linkplain Devices#pinned page-locked}. See above for what
   * completion means. On backends without streams this is {@link #run}: complete on return, with
   * any buffers.
   *
   * <p>The session refers to the call, and so to its buffers, until {@link Session#synchronize} or
   * the next {@link #run}; a buffer that is replaced meanwhile is the caller's to keep.
   *
   * @param steps T, 1 to the session's largest
   * @param batch B, 1 to the session's largest
   * @throws IllegalArgumentException as {@link #run} does
   * @throws IllegalStateException if the session is closed or in use by another thread
   * @throws GatefuseException if the backend fails, in this call or in one that was enqueued
   *     earlier
   */
  public void enqueue(int steps, int batch) {
    session.acquire();
    try {
      prepare(steps, batch);
      session.keep(this);
      backend.enqueue();
      session.remember(steps, batch, batchMajor, inputRead());
    } finally {
      session.release();
    }
  }

  private ForwardCall set(Argument argument, Pointer pointer) {
    if (bindings[argument.ordinal()].is(pointer)) {
      return this;
    }
    session.acquire();
    try {
      bind(argument, pointer);
    } finally {
      session.release();
    }
    return this;
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
    Buffer view = null;
    if (buffer != null) {
      checkAllowed(argument);
      view = binding.checked(buffer);
    }
    backend.bind(argument, view);
    binding.set(buffer, view);
    steps = 0;
  }

  private void bind(Argument argument, Pointer pointer) {
    Binding binding = bindings[argument.ordinal()];
    if (pointer == null) {
      bind(argument, (Buffer) null);
      return;
    }
    if (binding.is(pointer)) {
      return;
    }
    checkAllowed(argument);
    require(
        session.hasStreams(),
        argument.label(),
        "the %s backend has no device memory; set a buffer".formatted(session.backendId()));
    backend.bind(argument, binding.checked(pointer));
    binding.set(pointer);
    steps = 0;
  }

  void bindState(State state) {
    bindInitial("state", state);
    bindFinal("state", state);
  }

  private void bindInitial(FloatPointer h, FloatPointer c) {
    bind(Argument.INITIAL_HIDDEN, h);
    bind(Argument.INITIAL_CELL, c);
    initial = null;
  }

  private void bindFinal(FloatPointer h, FloatPointer c) {
    bind(Argument.FINAL_HIDDEN, h);
    bind(Argument.FINAL_CELL, c);
    last = null;
  }

  /** Whether this state, or with null none at all, is what runs begin with. */
  private boolean isInitial(State state) {
    return state == initial
        && (state != null || !bound(Argument.INITIAL_HIDDEN, Argument.INITIAL_CELL));
  }

  private boolean isFinal(State state) {
    return state == last && (state != null || !bound(Argument.FINAL_HIDDEN, Argument.FINAL_CELL));
  }

  private void bindInitial(String name, State state) {
    if (isInitial(state)) {
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
    if (isFinal(state)) {
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
    prepare(steps, batch);
    try {
      backend.run();
      session.forget();
      session.remember(steps, batch, batchMajor, inputRead());
    } finally {
      Reference.reachabilityFence(this);
    }
  }

  /** What x or tokens are set to. */
  private Binding inputRead() {
    Argument input = spec.vocabulary() > 0 ? Argument.TOKENS : Argument.INPUT;
    return bindings[input.ordinal()];
  }

  /** Checks everything that a run will use. */
  private void prepare(int steps, int batch) {
    session.forgetLastRun(); // Should this one fail, there is no way back.
    if (steps != this.steps || batch != this.batch || steps == 0) {
      checkShapes(steps, batch);
      backend.shape(steps, batch, batchMajor);
      this.steps = steps;
      this.batch = batch;
    }
    checkValues(steps, batch);
  }

  private void checkAllowed(Argument argument) {
    switch (argument) {
      case INPUT ->
          require(
              spec.vocabulary() == 0, argument.label(), "the network has an embedding; set tokens");
      case TOKENS ->
          require(
              spec.vocabulary() > 0, argument.label(), "the network has no embedding; set input");
      case TARGETS, LOGITS, LOG_PROBABILITIES, TARGET_LOG_PROBABILITIES ->
          require(spec.outputs() > 0, argument.label(), "the network has no head (outputs 0)");
      case INITIAL_CELL, FINAL_CELL ->
          require(
              spec.cell().hasCellState(),
              argument.label(),
              "a " + spec.cell().id() + " has no cell state");
      case STATE_ROWS -> {
        require(
            session.hasStateRows(),
            argument.label(),
            "the " + session.backendId() + " backend cannot pick states by row");
        require(!session.keepsWayBack(), argument.label(), "the session keeps a way back");
      }
      default -> {}
    }
  }

  private static void require(boolean condition, String name, String reason) {
    if (!condition) {
      throw new IllegalArgumentException(name + ": expected none, since " + reason);
    }
  }

  private void checkShapes(int steps, int batch) {
    session.checkCapacity(steps, batch);
    int stateRows = stateRows(batch);
    checkBatch("initialState", initial, stateRows);
    checkBatch("finalState", last, stateRows);
    checkOneKind();
    boolean anyOutput = false;
    for (Argument argument : ARGUMENTS) {
      Binding binding = bindings[argument.ordinal()];
      if (!binding.isSet()) {
        checkMissing(argument, steps, batch);
        continue;
      }
      anyOutput |= argument.written();
      int rows = argument.state() ? stateRows : batch;
      if (binding.count() < argument.count(spec, steps, rows)) {
        throw new IllegalArgumentException(expected(argument, steps, rows) + binding.count());
      }
    }
    if (!anyOutput) {
      throw new IllegalArgumentException(
          "output: expected at least one of output, finalState, logits, logProbabilities and"
              + " targetLogProbabilities, got none");
    }
  }

  /** The rows of the states: as many as the batch, or those that it picks from. */
  private int stateRows(int batch) {
    if (!bound(Argument.STATE_ROWS)) {
      return batch;
    }
    if (!bound(Argument.INITIAL_HIDDEN, Argument.INITIAL_CELL)
        && !bound(Argument.FINAL_HIDDEN, Argument.FINAL_CELL)) {
      throw new IllegalArgumentException("stateRows: expected a state beside them, got none");
    }
    int capacity = stateCapacity();
    if (capacity == 0) {
      throw new IllegalArgumentException(
          "stateRows: expected the capacity of states in device memory beside them, got none");
    }
    backend.stateCapacity(capacity);
    seen = new long[(capacity - 1) / Long.SIZE + 1];
    return capacity;
  }

  /** The rows of the states that runs pick from; 0 for not known. */
  private int stateCapacity() {
    State any = initial == null ? last : initial;
    return stateCapacity > 0 || any == null ? stateCapacity : any.batch();
  }

  /**
   * All memory but what is per sequence is on the host or all on the device, or only the states are
   * on the device.
   */
  private void checkOneKind() {
    Argument onDevice = first(true, false);
    Argument stateOnHost = first(false, true);
    checkNotBoth(first(false, false), onDevice);
    checkNotBoth(stateOnHost, onDevice);
    checkNotBoth(stateOnHost, first(true, true));
  }

  private static void checkNotBoth(Argument onHost, Argument onDevice) {
    if (onHost != null && onDevice != null) {
      throw new IllegalArgumentException(
          ("memory: expected all of it on the host or all on the device, got " + onHost.label())
              + (" on the host and " + onDevice.label() + " on the device"));
    }
  }

  /** The first argument with memory of a kind, among the states or all others; null for none. */
  private Argument first(boolean onDevice, boolean state) {
    for (Argument argument : ARGUMENTS) {
      Binding binding = bindings[argument.ordinal()];
      if (!argument.perSequence()
          && argument.state() == state
          && binding.isSet()
          && binding.onDevice() == onDevice) {
        return argument;
      }
    }
    return null;
  }

  private String expected(Argument argument, int steps, int batch) {
    long count = argument.count(spec, steps, batch);
    return (argument.label() + ": expected " + argument.shape(spec, steps, batch, batchMajor))
        + (" = " + count + (argument.integers() ? " ints" : " floats"))
        + (count > Integer.MAX_VALUE && first(true, argument.state()) == null
            ? " (more than the 2^31-1 that a buffer can hold)"
            : "")
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

  private boolean bound(Argument first, Argument second) {
    return bound(first) || bound(second);
  }

  private boolean bound(Argument argument) {
    return bindings[argument.ordinal()].isSet();
  }

  /**
   * What a buffer holds may change from run to run, so its values are looked at in each. Device
   * memory is the backend's to look at.
   */
  private void checkValues(int steps, int batch) {
    IntBuffer lengths = integers(Argument.LENGTHS);
    if (lengths != null) {
      checkLengths(lengths, steps, batch);
    }
    IntBuffer rows = integers(Argument.STATE_ROWS);
    if (rows != null) {
      checkStateRows(rows, batch, stateCapacity());
    }
    checkIndices(Argument.TOKENS, spec.vocabulary(), lengths);
    checkIndices(Argument.TARGETS, spec.outputs(), lengths);
  }

  private IntBuffer integers(Argument argument) {
    return bindings[argument.ordinal()].integers();
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

  private void checkStateRows(IntBuffer rows, int batch, int capacity) {
    int b = 0;
    try {
      for (; b < batch; b++) {
        int row = rows.get(b);
        if (row < 0 || row >= capacity) {
          throw new IllegalArgumentException(
              "stateRows[b=" + b + "]: expected 0 to " + (capacity - 1) + ", got " + row);
        }
        long bit = 1L << row;
        if ((seen[row >> 6] & bit) != 0) {
          throw new IllegalArgumentException(
              ("stateRows[b=" + b + "]: expected a row that no other sequence has, got " + row)
                  + (" a second time"));
        }
        seen[row >> 6] |= bit;
      }
    } finally {
      for (int i = 0; i < b; i++) {
        int row = rows.get(i);
        seen[row >> 6] = 0;
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
