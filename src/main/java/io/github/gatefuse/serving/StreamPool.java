// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.serving.ServingException.Reason;
import io.github.gatefuse.serving.StreamPoolOptions.WhenFull;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.IntConsumer;
import java.util.function.LongSupplier;

/**
 * Very many streams, each with a state of its own, that take their steps together.
 *
 * <pre>{@code
 * try (StreamPool pool = StreamPool.create(rnn, StreamPoolOptions.of(100_000, Output.LOGITS))) {
 *   long a = pool.open(), b = pool.open();
 *   float[] logits = pool.step(new long[] {a, b}, x);   // x: [2, I], logits: [2, O]
 * }
 * }</pre>
 *
 * <p>The states are rows of memory outside of the Java heap, taken when the pool is made: a pool
 * does not grow. Where the network is on CUDA they are rows of its device's memory, and only inputs
 * and outputs of a step cross the bus. A step reads and writes the rows of its streams in place,
 * wherever they are; nothing is copied in Java. A stream gives the bits of its inputs run as one
 * sequence, whichever streams are beside it.
 *
 * <p>A stream is a number, good until the stream is closed or evicted, and never given again.
 * Streams are evicted by {@link #evictIdle} and {@link #evict}, always those first whose last step
 * is longest ago, and where the options say so, by an {@link #open} that finds the pool full.
 * {@link #exportState} and {@link #importState} carry a stream to another pool, process or machine.
 *
 * <p>The network has one direction, and a backend that picks states by row ({@link
 * Rnn#hasStateRows}). It is the caller's, stays open, and may not be updated meanwhile.
 *
 * <p>Thread-safe: calls wait for each other. A step runs on the thread that asks for it, so ask
 * from platform threads: it holds the carrier of a virtual one.
 */
public final class StreamPool implements AutoCloseable {
  private final RnnSpec spec;
  private final StreamPoolOptions options;
  private final byte[] fingerprint;
  private final LongSupplier clock;
  private final long started;

  private final ReentrantLock lock = new ReentrantLock();
  private final Session session;
  private final ExecutionPath path;
  private final StreamStates states;
  private final StreamTable table;
  private final IntBuffer rows;
  private final ForwardCall call;
  private final float[] chunk = Finite.chunk();

  /** Through which arrays are copied; made on first use. */
  private FloatBuffer input = floats(0);

  private IntBuffer tokens = ints(0);
  private FloatBuffer answer = floats(0);

  private boolean closed;
  private long opened;
  private long closedStreams;
  private long evicted;
  private long calls;
  private long steps;
  private final Histogram callTime = new Histogram();

  private StreamPool(Rnn rnn, StreamPoolOptions options, LongSupplier clock) {
    this.spec = rnn.spec();
    this.options = options;
    this.clock = clock;
    this.started = clock.getAsLong();
    this.fingerprint = rnn.fingerprint();
    this.table = new StreamTable(options.capacity());
    this.rows = ints(options.capacity());
    this.states = StreamStates.of(rnn, options.capacity());
    Session begun = null;
    boolean made = false;
    try {
      begun =
          rnn.session(
              SessionOptions.of(1, options.capacity())
                  .withThreads(options.threads())
                  .withRegularization(options.regularization()));
      this.session = begun;
      this.path = begun.path();
      this.call = begun.call();
      states.bind(call, rows);
      made = true;
    } finally {
      if (!made) {
        close(begun, states);
      }
    }
  }

  private static void close(Session session, StreamStates states) {
    try {
      if (session != null) {
        session.close();
      }
    } finally {
      states.close();
    }
  }

  /**
   * Makes a pool without streams.
   *
   * @param rnn the network, which stays the caller's and is closed after the pool
   * @param options how streams are kept
   * @return a pool that the caller owns and closes
   * @throws IllegalArgumentException if the network has two directions, does not have the output,
   *     or its backend cannot pick states by row; or if the states have more than 2^29-1 values of
   *     h and are not in device memory
   * @throws IllegalStateException if the network is closed or has been updated
   * @throws io.github.gatefuse.GatefuseException if memory runs out
   */
  public static StreamPool create(Rnn rnn, StreamPoolOptions options) {
    return create(rnn, options, System::nanoTime);
  }

  /** The same with another clock, in nanoseconds. */
  static StreamPool create(Rnn rnn, StreamPoolOptions options, LongSupplier clock) {
    Objects.requireNonNull(options, "options");
    options.output().check(rnn.spec());
    if (rnn.spec().bidirectional()) {
      throw new IllegalArgumentException(
          "network: expected one direction, since a stream has no end to come back from; got two");
    }
    if (!rnn.hasStateRows()) {
      throw new IllegalArgumentException(
          "network: expected a backend that picks states by row, got " + rnn.backend().id());
    }
    return new StreamPool(rnn, options, clock);
  }

  /**
   * Opens a stream whose state is zeros.
   *
   * @return its number
   * @throws ServingException if the pool is closed, or full and not to evict
   * @throws io.github.gatefuse.GatefuseException if the network's device fails; no stream is open
   *     then
   */
  public long open() {
    lock.lock();
    try {
      return add(states::clear);
    } finally {
      lock.unlock();
    }
  }

  /** A new stream, if its state can be set in its row. */
  private long add(IntConsumer setState) {
    checkOpen();
    if (table.isFull()) {
      if (options.whenFull() == WhenFull.REJECT) {
        throw new ServingException(
            Reason.POOL_FULL,
            "the pool holds " + options.capacity() + " streams, as many as it may");
      }
      evictOldest();
    }
    long stream = table.add(clock.getAsLong());
    boolean set = false;
    try {
      setState.accept((int) stream);
      set = true;
    } finally {
      if (!set) {
        table.remove((int) stream);
      }
    }
    opened++;
    return stream;
  }

  private void checkOpen() {
    if (closed) {
      throw new ServingException(Reason.CLOSED, "the pool is closed");
    }
  }

  /**
   * Takes a step with some streams, of a network without an embedding.
   *
   * @param streams n open streams, no two the same
   * @param x [n, I], exactly, all of it finite
   * @return [n, D*H] or [n, O], as {@link StreamPoolOptions#output} says
   * @throws IllegalArgumentException if an argument does not fit, naming the stream whose it is; no
   *     stream has taken a step then
   * @throws ServingException if a stream is not open, naming it, or the pool is closed; no stream
   *     has taken a step then
   * @throws io.github.gatefuse.GatefuseException if the backend fails; the states of these streams
   *     are then unspecified
   */
  public float[] step(long[] streams, float[] x) {
    lock.lock();
    try {
      int count = checkedCount(streams.length, streams);
      checkSize("x", x.length, count, spec.inputSize());
      input = input.capacity() < x.length ? floats(x.length) : input;
      input.put(0, x);
      return answer(count, streams, input, null);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Takes a step with some streams, of a network with an embedding.
   *
   * @param streams n open streams, no two the same
   * @param tokens [n], exactly, each 0 to V-1
   * @return [n, D*H] or [n, O], as {@link StreamPoolOptions#output} says
   * @throws IllegalArgumentException as {@link #step(long[], float[])} does
   * @throws ServingException as {@link #step(long[], float[])} does
   * @throws io.github.gatefuse.GatefuseException if the backend fails; the states of these streams
   *     are then unspecified
   */
  public float[] step(long[] streams, int[] tokens) {
    lock.lock();
    try {
      int count = checkedCount(streams.length, streams);
      checkSize("tokens", tokens.length, count, 1);
      this.tokens = this.tokens.capacity() < tokens.length ? ints(tokens.length) : this.tokens;
      this.tokens.put(0, tokens);
      return answer(count, streams, null, this.tokens);
    } finally {
      lock.unlock();
    }
  }

  /**
   * The same without copies, of a network without an embedding.
   *
   * @param count n
   * @param streams n open streams at least, of which the first n take a step, no two the same
   * @param x [n, I] at least, direct and of native byte order, read from its position, all of it
   *     finite
   * @param result [n, D*H] or [n, O] at least, direct and of native byte order, written from its
   *     position
   * @throws IllegalArgumentException as {@link #step(long[], float[])} does
   * @throws ServingException as {@link #step(long[], float[])} does
   * @throws io.github.gatefuse.GatefuseException if the backend fails; the states of these streams
   *     are then unspecified
   */
  public void step(int count, long[] streams, FloatBuffer x, FloatBuffer result) {
    Objects.requireNonNull(x, "x");
    lock.lock();
    try {
      run(checkedCount(count, streams), streams, x, null, result);
    } finally {
      lock.unlock();
    }
  }

  /**
   * The same without copies, of a network with an embedding.
   *
   * @param count n
   * @param streams n open streams at least, of which the first n take a step, no two the same
   * @param tokens [n] at least, direct and of native byte order, read from its position, each 0 to
   *     V-1
   * @param result [n, D*H] or [n, O] at least, direct and of native byte order, written from its
   *     position
   * @throws IllegalArgumentException as {@link #step(long[], float[])} does
   * @throws ServingException as {@link #step(long[], float[])} does
   * @throws io.github.gatefuse.GatefuseException if the backend fails; the states of these streams
   *     are then unspecified
   */
  public void step(int count, long[] streams, IntBuffer tokens, FloatBuffer result) {
    Objects.requireNonNull(tokens, "tokens");
    lock.lock();
    try {
      run(checkedCount(count, streams), streams, null, tokens, result);
    } finally {
      lock.unlock();
    }
  }

  private int checkedCount(int count, long[] streams) {
    checkOpen();
    if (count < 1 || count > streams.length) {
      throw new IllegalArgumentException(
          streams.length == 0
              ? "streams: expected at least one, got none"
              : "count: expected 1 to " + streams.length + ", got " + count);
    }
    return count;
  }

  private static void checkSize(String name, int length, int count, int width) {
    if (length != (long) count * width) {
      throw new IllegalArgumentException(
          (name + ": expected [" + count + ", " + width + "] = " + (long) count * width)
              + (" values, got " + length));
    }
  }

  private float[] answer(int count, long[] streams, FloatBuffer x, IntBuffer tokens) {
    int size = Math.multiplyExact(count, options.output().width(spec));
    answer = answer.capacity() < size ? floats(size) : answer;
    run(count, streams, x, tokens, answer);
    float[] values = new float[size];
    answer.get(0, values);
    return values;
  }

  private void run(int count, long[] streams, FloatBuffer x, IntBuffer tokens, FloatBuffer result) {
    Objects.requireNonNull(result, "result");
    long begun = clock.getAsLong();
    resolve(count, streams);
    bind(x, tokens, result);
    if (x != null) {
      checkFinite(count, streams, x);
    }
    call.run(1, count);
    for (int i = 0; i < count; i++) {
      table.touch(rows.get(i), begun);
    }
    calls++;
    steps += count;
    callTime.record(clock.getAsLong() - begun);
  }

  private void bind(FloatBuffer x, IntBuffer tokens, FloatBuffer result) {
    if (x == null) {
      call.tokens(tokens);
    } else {
      call.input(x);
    }
    switch (options.output()) {
      case LOGITS -> call.logits(result);
      case LOG_PROBABILITIES -> call.logProbabilities(result);
      default -> call.output(result);
    }
  }

  /** Finds the rows. */
  private void resolve(int count, long[] streams) {
    int marked = 0;
    try {
      for (; marked < count; marked++) {
        int row = table.row(streams[marked]);
        if (!table.mark(row)) {
          throw new IllegalArgumentException(
              ("streams[" + marked + "]: expected each stream once, got " + streams[marked])
                  + " a second time");
        }
        rows.put(marked, row);
      }
    } finally {
      for (int i = 0; i < marked; i++) {
        table.unmark(rows.get(i));
      }
    }
  }

  private void checkFinite(int count, long[] streams, FloatBuffer x) {
    int width = spec.inputSize();
    long size = (long) count * width;
    if (x.remaining() < size) {
      return; // The call says it better.
    }
    int bad = Finite.firstOther(x, (int) size, chunk);
    if (bad >= 0) {
      throw new IllegalArgumentException(
          ("x of stream " + streams[bad / width] + " [" + bad / width + ", " + bad % width + "]")
              + (": expected a finite number, got " + x.get(x.position() + bad)));
    }
  }

  /**
   * A stream's state as bytes, to go on with it elsewhere. They have the format's version, the
   * network's {@linkplain Rnn#fingerprint fingerprint} and a checksum.
   *
   * @param stream an open stream, which stays open
   * @return the bytes
   * @throws ServingException if the stream is not open, or the pool is closed
   * @throws io.github.gatefuse.GatefuseException if the network's device fails
   */
  public byte[] exportState(long stream) {
    lock.lock();
    try {
      checkOpen();
      return states.read(table.row(stream)).encode(spec, fingerprint);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Opens a stream that goes on where another one was when its state was exported.
   *
   * @param bytes of {@link #exportState}, in a pool of a network of the same specification and
   *     parameters, on whatever backend and in whatever precision
   * @return the new stream
   * @throws ServingException if the bytes are damaged or of another network, saying so, if the pool
   *     is closed, or full and not to evict
   * @throws io.github.gatefuse.GatefuseException if the network's device fails; no stream is open
   *     then
   */
  public long importState(byte[] bytes) {
    StreamState imported = StreamState.decode(spec, fingerprint, bytes);
    lock.lock();
    try {
      return add(row -> states.write(row, imported));
    } finally {
      lock.unlock();
    }
  }

  /**
   * Whether a stream is open.
   *
   * @param stream any number
   * @return false for one that was closed or evicted, or never opened
   */
  public boolean isOpen(long stream) {
    lock.lock();
    try {
      return !closed && table.has(stream);
    } finally {
      lock.unlock();
    }
  }

  /**
   * Closes a stream.
   *
   * @param stream an open stream
   * @throws ServingException if it is not open, or the pool is closed
   */
  public void close(long stream) {
    lock.lock();
    try {
      checkOpen();
      table.remove(table.row(stream));
      closedStreams++;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Evicts all streams whose last step, or whose opening where there was none, is longer ago.
   *
   * @param idle zero or more
   * @return the streams that were evicted, longest idle first
   * @throws IllegalArgumentException if it is below zero
   * @throws ServingException if the pool is closed
   */
  public long[] evictIdle(Duration idle) {
    if (idle.isNegative()) {
      throw new IllegalArgumentException("idle: expected zero or more, got " + idle);
    }
    long limit = Nanos.of(idle);
    lock.lock();
    try {
      checkOpen();
      long now = clock.getAsLong();
      List<Long> gone = new ArrayList<>();
      while (table.open() > 0 && now - table.lastUse((int) table.oldest()) > limit) {
        gone.add(evictOldest());
      }
      return gone.stream().mapToLong(Long::longValue).toArray();
    } finally {
      lock.unlock();
    }
  }

  /**
   * Evicts the streams whose last step is longest ago.
   *
   * @param count how many; fewer where there are not so many
   * @return the streams that were evicted, longest idle first
   * @throws ServingException if the pool is closed
   */
  public long[] evict(int count) {
    lock.lock();
    try {
      checkOpen();
      long[] gone = new long[Math.max(0, Math.min(count, table.open()))];
      Arrays.setAll(gone, i -> evictOldest());
      return gone;
    } finally {
      lock.unlock();
    }
  }

  private long evictOldest() {
    long stream = table.oldest();
    table.remove((int) stream);
    evicted++;
    return stream;
  }

  /**
   * What has been done so far.
   *
   * @return a snapshot
   */
  public StreamPoolMetrics metrics() {
    lock.lock();
    try {
      long books = table.bytes() + Integer.BYTES * (long) rows.capacity();
      long buffers =
          Float.BYTES * ((long) input.capacity() + answer.capacity() + tokens.capacity());
      return new StreamPoolMetrics(
          closed ? 0 : table.open(),
          options.capacity(),
          opened,
          closedStreams,
          evicted,
          calls,
          steps,
          Duration.ofNanos(clock.getAsLong() - started),
          callTime.timing(),
          path,
          states.bytes(),
          states.onDevice() ? states.bytes() + session.bytes() : 0,
          states.bytes() + books + buffers + session.bytes());
    } finally {
      lock.unlock();
    }
  }

  /** Closes all streams and frees the session, once a step that runs is done. */
  @Override
  public void close() {
    lock.lock();
    try {
      if (!closed) {
        closed = true;
        close(session, states);
      }
    } finally {
      lock.unlock();
    }
  }

  private static FloatBuffer floats(int count) {
    return direct(count).asFloatBuffer();
  }

  private static IntBuffer ints(int count) {
    return direct(count).asIntBuffer();
  }

  private static ByteBuffer direct(int count) {
    int bytes = Math.multiplyExact(count, Float.BYTES);
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
  }
}
