// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A workspace that runs sequences through a network, up to a largest number of steps and rows.
 *
 * <p>There are three ways to run, from the most convenient to the fastest. The methods on arrays
 * copy through direct buffers of this session, which are made on first use and grow to the largest
 * such call; the methods on buffers copy nothing; a {@link #call} is prepared once and run many
 * times. With buffers and calls, nothing is allocated once a buffer has been used a first time.
 * Buffers given to a method stay referred to until the next call of a method or {@link #close}.
 *
 * <p>One thread at a time may use a session and its calls; use by a second thread at the same time
 * is an {@link IllegalStateException}. Sessions of one {@link Rnn} are independent of each other.
 */
public final class Session implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Session.class);

  private final Rnn rnn;
  private final SessionOptions options;
  private final BackendSession backend;
  private final boolean hasStreams;
  private final ExecutionPath path;
  private final long workspaceBytes;
  private final SessionUse use;
  private final LastRun lastRun = new LastRun();
  private final LeakReport leak;

  /** Calls whose work may not be complete, so that their buffers are not garbage before it is. */
  private final List<SessionCall> enqueued = new ArrayList<>();

  // Each method sets everything of its own call, so that nothing of an earlier use is left in it.
  private ForwardCall forwardCall;
  private ForwardCall scoreCall;

  private FloatBuffer input = floats(0);
  private FloatBuffer output = floats(0);
  private IntBuffer lengths = ints(0);
  private IntBuffer tokens = ints(0);
  private IntBuffer targets = ints(0);

  Session(
      Rnn rnn,
      SessionOptions options,
      SessionUse use,
      BackendSession backend,
      boolean hasStreams,
      List<String> refused) {
    this.rnn = rnn;
    this.options = options;
    this.use = use;
    this.backend = backend;
    this.hasStreams = hasStreams;
    this.path = backend.path().because(refused);
    this.workspaceBytes = backend.bytes();
    this.leak =
        LeakReport.watch(
            this, "A session", report -> LOG.warn(report.message(), report.creation()));
  }

  /**
   * The largest number of steps of a call.
   *
   * @return T at most
   */
  public int maxSteps() {
    return options.maxSteps();
  }

  /**
   * The largest number of rows of a call.
   *
   * @return B at most
   */
  public int maxBatch() {
    return options.maxBatch();
  }

  /**
   * The network.
   *
   * @return its specification
   */
  public RnnSpec spec() {
    return rnn.spec();
  }

  /**
   * How this session runs: backend, instruction set, precision, threads, and why.
   *
   * @return the same path at every time, after close too
   */
  public ExecutionPath path() {
    return path;
  }

  /**
   * The memory of this session.
   *
   * @return bytes of the workspace and of the buffers through which arrays are copied
   */
  public long bytes() {
    long values = (long) input.capacity() + output.capacity();
    return workspaceBytes
        + Float.BYTES * values
        + Integer.BYTES * ((long) lengths.capacity() + tokens.capacity() + targets.capacity());
  }

  /**
   * A state of zeros for this network.
   *
   * @param batch B, at least 1
   * @return a new state, which does not depend on this session
   */
  public State newState(int batch) {
    return State.zeros(spec(), batch);
  }

  /**
   * A call to prepare once and run many times.
   *
   * @return a new call without any buffer
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public ForwardCall call() {
    acquire();
    try {
      return newCall();
    } finally {
      release();
    }
  }

  /**
   * A way back through this session's last run, to prepare once and run many times.
   *
   * @return a new call without any buffer
   * @throws IllegalStateException if the session keeps nothing for it ({@link Backward#NONE}), is
   *     closed or in use by another thread
   */
  public BackwardCall backward() {
    acquire();
    try {
      if (options.backward() == Backward.NONE) {
        throw new IllegalStateException(
            "backward: expected a session of SessionOptions.withBackward(STORE or RECOMPUTE), got"
                + " NONE");
      }
      return new BackwardCall(this, backend.backward());
    } finally {
      release();
    }
  }

  /**
   * Runs whole sequences from a state of zeros.
   *
   * @param steps T
   * @param batch B
   * @param x [T, B, I], exactly
   * @return y, [T, B, D*H]
   * @throws IllegalArgumentException in words, if a size does not fit
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public float[] forward(int steps, int batch, float[] x) {
    return forward(steps, batch, x, null, null);
  }

  /**
   * Runs sequences from a state, which is updated in place.
   *
   * @param steps T
   * @param batch B
   * @param x [T, B, I], exactly
   * @param lengths [B], exactly, each 1 to T; null: all T
   * @param state of batch B; null: zeros, and the final state is not kept
   * @return y, [T, B, D*H], 0 past each sequence's length
   * @throws IllegalArgumentException in words, if a size or length does not fit
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public float[] forward(int steps, int batch, float[] x, int[] lengths, State state) {
    Objects.requireNonNull(x, "x");
    acquire();
    try {
      forgetLastRun(); // It may have read the memory that this one copies into.
      checkCapacity(steps, batch);
      checkCount(Argument.INPUT, steps, batch, x.length);
      int count = copyable(Argument.OUTPUT, steps, batch);
      input = copy(x, input);
      output = grow(output, count);
      run(steps, batch, input, copyLengths(steps, batch, lengths), state, null, output);
      return values(output, count);
    } finally {
      release();
    }
  }

  /**
   * Runs whole sequences from a state of zeros, without copies.
   *
   * @param steps T
   * @param batch B
   * @param x [T, B, I] at least, direct and of native byte order, read from its position
   * @param y [T, B, D*H] at least, direct and of native byte order, written from its position
   * @throws IllegalArgumentException in words, if a size or buffer does not fit
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public void forward(int steps, int batch, FloatBuffer x, FloatBuffer y) {
    forward(steps, batch, x, null, null, y);
  }

  /**
   * Runs sequences from a state, which is updated in place, without copies.
   *
   * @param steps T
   * @param batch B
   * @param x [T, B, I] at least, direct and of native byte order, read from its position
   * @param lengths [B] at least, direct and of native byte order, each 1 to T; null: all T
   * @param state of batch B; null: zeros, and the final state is not kept
   * @param y [T, B, D*H] at least, direct and of native byte order, written from its position; 0
   *     past each sequence's length; null, if only the state is wanted
   * @throws IllegalArgumentException in words, if a size, buffer or length does not fit
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public void forward(
      int steps, int batch, FloatBuffer x, IntBuffer lengths, State state, FloatBuffer y) {
    acquire();
    try {
      run(steps, batch, x, lengths, state, null, y);
    } finally {
      release();
    }
  }

  /**
   * Runs one step of every sequence, for inputs that come one at a time. With the same buffers and
   * state as before this is as cheap as {@link ForwardCall#run}.
   *
   * @param x [B, I] at least, direct and of native byte order, read from its position
   * @param state whose batch is B, updated in place
   * @param y [B, D*H] at least, direct and of native byte order, written from its position; null,
   *     if only the state is wanted
   * @throws IllegalArgumentException in words, if a size or buffer does not fit
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public void step(FloatBuffer x, State state, FloatBuffer y) {
    Objects.requireNonNull(state, "state");
    acquire();
    try {
      run(1, state.batch(), x, null, state, null, y);
    } finally {
      release();
    }
  }

  /**
   * Runs one step of some of many streams, whose states are rows of one {@link State}; see {@link
   * ForwardCall#stateRows}. With the same buffers and state as before this is as cheap as {@link
   * ForwardCall#run}.
   *
   * @param batch B, the streams that take a step
   * @param x [B, I] at least, direct and of native byte order, read from its position
   * @param state of all streams; the rows that take a step are updated in place
   * @param rows [B] at least, direct and of native byte order: the streams' rows of the state, no
   *     two the same
   * @param y [B, D*H] at least, direct and of native byte order, written from its position; null,
   *     if only the state is wanted
   * @throws IllegalArgumentException in words, if a size, buffer or row does not fit, the backend
   *     has no state rows, or the session keeps a way back
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public void step(int batch, FloatBuffer x, State state, IntBuffer rows, FloatBuffer y) {
    Objects.requireNonNull(state, "state");
    Objects.requireNonNull(rows, "rows");
    acquire();
    try {
      run(1, batch, x, null, state, rows, y);
    } finally {
      release();
    }
  }

  /**
   * Gives the probability of each target, for a network with an embedding and a head: how likely a
   * sequence model finds a sequence of tokens.
   *
   * @param steps T
   * @param batch B
   * @param tokens [T, B], exactly, each 0 to V-1 up to its sequence's length
   * @param targets [T, B], exactly, each 0 to O-1 up to its sequence's length; often the next token
   * @param lengths [B], exactly, each 1 to T; null: all T
   * @param state of batch B, updated in place; null: zeros, and the final state is not kept
   * @return the natural logarithm of each target's probability [T, B], 0 past each sequence's
   *     length
   * @throws IllegalArgumentException in words, if the network has no embedding or no head, or a
   *     size, length, token or target does not fit
   * @throws IllegalStateException if the session is closed or in use by another thread
   */
  public float[] score(
      int steps, int batch, int[] tokens, int[] targets, int[] lengths, State state) {
    Objects.requireNonNull(tokens, "tokens");
    Objects.requireNonNull(targets, "targets");
    acquire();
    try {
      forgetLastRun(); // It may have read the memory that this one copies into.
      checkCapacity(steps, batch);
      checkCount(Argument.TOKENS, steps, batch, tokens.length);
      checkCount(Argument.TARGETS, steps, batch, targets.length);
      int count = copyable(Argument.TARGET_LOG_PROBABILITIES, steps, batch);
      this.tokens = copy(tokens, this.tokens);
      this.targets = copy(targets, this.targets);
      output = grow(output, count);
      ForwardCall call = scoreCall == null ? scoreCall = newCall() : scoreCall;
      call.bind(Argument.TOKENS, this.tokens);
      call.bind(Argument.TARGETS, this.targets);
      call.bind(Argument.LENGTHS, copyLengths(steps, batch, lengths));
      call.bindState(state);
      call.bind(Argument.TARGET_LOG_PROBABILITIES, output);
      call.execute(steps, batch);
      return values(output, count);
    } finally {
      release();
    }
  }

  /**
   * Waits until all enqueued calls are complete, {@linkplain ForwardCall#enqueue there} and
   * {@linkplain BackwardCall#enqueue back}.
   *
   * @throws IllegalStateException if the session is closed or in use by another thread
   * @throws GatefuseException if one of them failed; its outputs are unspecified
   */
  public void synchronize() {
    acquire();
    try {
      complete();
    } finally {
      release();
    }
  }

  /**
   * Waits until all enqueued calls are complete, and frees the workspace. A failure of theirs is
   * logged; to have it thrown, {@link #synchronize} before. A second close does nothing.
   *
   * @throws IllegalStateException if another thread is using the session, which then stays open
   */
  @Override
  public void close() {
    if (!use.close()) {
      return;
    }
    leak.closed();
    forwardCall = null;
    scoreCall = null;
    lastRun.clear();
    try {
      completeAtTheEnd();
      backend.close();
    } finally {
      rnn.sessionClosed(use);
    }
  }

  private void completeAtTheEnd() {
    if (enqueued.isEmpty()) {
      return;
    }
    try {
      complete();
    } catch (RuntimeException e) {
      LOG.warn("An enqueued call of a session that was closed has failed", e);
    }
  }

  /** Begins a use by this thread; {@link #release} ends it. */
  void acquire() {
    use.acquire();
  }

  void release() {
    use.release();
  }

  boolean hasStateRows() {
    return rnn.hasStateRows();
  }

  boolean keepsWayBack() {
    return options.backward() != Backward.NONE;
  }

  /** Whether calls take device memory and streams, and enqueued ones are not complete at once. */
  boolean hasStreams() {
    return hasStreams;
  }

  String backendId() {
    return path.backend().id();
  }

  // What follows is for the thread that holds the session.

  /** Keeps a call until all that is enqueued is complete. */
  void keep(SessionCall call) {
    if (hasStreams && !call.enqueued) {
      call.enqueued = true;
      enqueued.add(call);
      use.pending = true;
    }
  }

  private void complete() {
    try {
      backend.synchronize();
    } finally {
      forget();
    }
  }

  /** All that was enqueued is complete. */
  void forget() {
    for (int i = 0; i < enqueued.size(); i++) {
      enqueued.get(i).enqueued = false;
    }
    enqueued.clear();
    use.pending = false;
  }

  /** Keeps what a way back through a run needs. */
  void remember(int steps, int batch, boolean batchMajor, Binding input) {
    if (options.backward() != Backward.NONE) {
      lastRun.set(steps, batch, batchMajor, input.used(), input.onDevice(), rnn.version());
    }
  }

  void forgetLastRun() {
    lastRun.clear();
  }

  /**
   * The run that a way back goes through.
   *
   * @throws IllegalStateException if there is none, saying why
   */
  LastRun lastRun() {
    lastRun.check(rnn.version());
    return lastRun;
  }

  /** Holds the sizes of a call against the capacity. */
  void checkCapacity(int steps, int batch) {
    checkCapacity("steps", steps, "maxSteps", maxSteps());
    checkCapacity("batch", batch, "maxBatch", maxBatch());
  }

  private static void checkCapacity(String name, int value, String capacityName, int capacity) {
    if (value < 1) {
      throw new IllegalArgumentException(name + ": expected at least 1, got " + value);
    }
    if (value > capacity) {
      throw new IllegalArgumentException(
          name + ": expected at most " + capacityName + " " + capacity + ", got " + value);
    }
  }

  private ForwardCall newCall() {
    return new ForwardCall(this, backend.call());
  }

  private void run(
      int steps,
      int batch,
      FloatBuffer x,
      IntBuffer lengths,
      State state,
      IntBuffer rows,
      FloatBuffer y) {
    ForwardCall call = forwardCall == null ? forwardCall = newCall() : forwardCall;
    call.bind(Argument.INPUT, x);
    call.bind(Argument.LENGTHS, lengths);
    call.bindState(state);
    call.bind(Argument.STATE_ROWS, rows);
    call.bind(Argument.OUTPUT, y);
    call.execute(steps, batch);
  }

  private void checkCount(Argument argument, int steps, int batch, int length) {
    int count = copyable(argument, steps, batch);
    if (length != count) {
      throw new IllegalArgumentException(words(argument, steps, batch) + ", got " + length);
    }
  }

  /** The number of values of an argument, if a direct buffer can hold them. */
  private int copyable(Argument argument, int steps, int batch) {
    long count = argument.count(spec(), steps, batch);
    if (count > Integer.MAX_VALUE / Float.BYTES) {
      throw new IllegalArgumentException(
          words(argument, steps, batch) + ", more than the 2^29-1 that a buffer can hold");
    }
    return (int) count;
  }

  private String words(Argument argument, int steps, int batch) {
    return (argument.label() + ": expected " + argument.shape(spec(), steps, batch, false))
        + (" = " + argument.count(spec(), steps, batch))
        + (argument.integers() ? " ints" : " floats");
  }

  private IntBuffer copyLengths(int steps, int batch, int[] values) {
    if (values == null) {
      return null;
    }
    checkCount(Argument.LENGTHS, steps, batch, values.length);
    lengths = copy(values, lengths);
    return lengths;
  }

  private static FloatBuffer copy(float[] values, FloatBuffer buffer) {
    return grow(buffer, values.length).put(0, values);
  }

  private static IntBuffer copy(int[] values, IntBuffer buffer) {
    return (buffer.capacity() < values.length ? ints(values.length) : buffer).put(0, values);
  }

  private static float[] values(FloatBuffer buffer, int count) {
    float[] values = new float[count];
    buffer.get(0, values);
    return values;
  }

  private static FloatBuffer grow(FloatBuffer buffer, int count) {
    return buffer.capacity() < count ? floats(count) : buffer;
  }

  private static FloatBuffer floats(int count) {
    return direct(count).asFloatBuffer();
  }

  private static IntBuffer ints(int count) {
    return direct(count).asIntBuffer();
  }

  private static ByteBuffer direct(int count) {
    return ByteBuffer.allocateDirect(count * Float.BYTES).order(ByteOrder.nativeOrder());
  }
}
