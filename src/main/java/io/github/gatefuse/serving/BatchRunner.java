// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Predicate;

/**
 * A worker's session and buffers, and the requests that it runs. They run in pieces of as many
 * steps as the session has: between two of them requests may join, those at their end leave, and
 * the others carry their state on. One thread at a time.
 */
final class BatchRunner implements AutoCloseable {
  private final RnnSpec spec;
  private final Output output;
  private final int maxBatch;
  private final int maxSteps;
  private final Session session;

  // Sequences are [B, T, ...], so that each is in one piece.
  private final FloatBuffer x;
  private final IntBuffer tokens;
  private final IntBuffer targets;
  private final IntBuffer lengths;
  private final FloatBuffer out;

  /** Of the sequences of a piece; null where the backend cannot pick states by row. */
  private final IntBuffer rows;

  /** Of all rows that there can be. */
  private final State state;

  private final ForwardCall call;

  private final List<Pending> running;

  /** Rows of the states that are no running request's. */
  private final BitSet free = new BitSet();

  BatchRunner(Rnn rnn, BatcherOptions options) {
    spec = rnn.spec();
    output = options.output();
    maxBatch = options.maxBatch();
    maxSteps = options.maxSteps();
    boolean embeds = spec.vocabulary() > 0;
    x = embeds ? null : floats(spec.inputSize());
    tokens = embeds ? ints(maxSteps) : null;
    targets = output.needsTargets() ? ints(maxSteps) : null;
    lengths = ints(1);
    out = output == Output.LAST_HIDDEN ? null : floats(output.width(spec));
    rows = rnn.hasStateRows() ? ints(1) : null;
    running = new ArrayList<>(maxBatch);
    free.set(0, maxBatch);
    state = State.zeros(spec, maxBatch);
    session =
        rnn.session(
            SessionOptions.of(maxSteps, maxBatch)
                .withThreads(options.threads())
                .withRegularization(options.regularization()));
    boolean made = false;
    try {
      call = call();
      made = true;
    } finally {
      if (!made) {
        session.close();
      }
    }
  }

  private FloatBuffer floats(int width) {
    return direct((long) maxBatch * maxSteps * width).asFloatBuffer();
  }

  private IntBuffer ints(int steps) {
    return direct((long) maxBatch * steps).asIntBuffer();
  }

  private static ByteBuffer direct(long values) {
    if (values > Integer.MAX_VALUE / Float.BYTES) {
      throw new IllegalArgumentException(
          ("maxBatch, maxSteps: expected buffers of at most " + Integer.MAX_VALUE / Float.BYTES)
              + (" values, got " + values));
    }
    return ByteBuffer.allocateDirect((int) values * Float.BYTES).order(ByteOrder.nativeOrder());
  }

  private ForwardCall call() {
    ForwardCall call = session.call().batchMajor(true).lengths(lengths);
    if (x == null) {
      call.tokens(tokens);
    } else {
      call.input(x);
    }
    switch (output) {
      case HIDDEN -> call.output(out);
      case LOGITS, LAST_LOGITS -> call.logits(out);
      case LOG_PROBABILITIES -> call.logProbabilities(out);
      case TARGET_LOG_PROBABILITIES -> call.targets(targets).targetLogProbabilities(out);
      case LAST_HIDDEN -> {}
    }
    return rows == null ? call : call.stateRows(rows).state(state);
  }

  ExecutionPath path() {
    return session.path();
  }

  /** Of the session and the buffers. */
  long bytes() {
    long values = lengths.capacity() + (long) state.slots() * maxBatch * spec.hiddenSize();
    values += state.hasCell() ? (long) state.slots() * maxBatch * spec.hiddenSize() : 0;
    values += x == null ? tokens.capacity() : x.capacity();
    values += targets == null ? 0 : targets.capacity();
    values += out == null ? 0 : out.capacity();
    values += rows == null ? 0 : rows.capacity();
    return session.bytes() + Float.BYTES * values;
  }

  /** Takes requests in, at most as many as there are rows free, and allocates nothing. */
  void join(List<Pending> requests) {
    for (Pending pending : requests) {
      pending.row = free.nextSetBit(0);
      free.clear(pending.row);
      running.add(pending);
    }
  }

  /** The requests that run. */
  List<Pending> running() {
    return List.copyOf(running);
  }

  int size() {
    return running.size();
  }

  /** Lets all go. */
  void clear() {
    running.clear();
    free.set(0, maxBatch);
  }

  /** Lets those go whose answers nobody waits for any more. */
  void dropOver() {
    leave(Pending::isOver);
  }

  /**
   * Runs a piece of all; there is one at least.
   *
   * @param answered is told of each request whose answer is there; it runs no more
   */
  void run(Consumer<Pending> answered) {
    int longest = 0;
    for (Pending pending : running) {
      longest = Math.max(longest, pending.left());
    }
    int steps = Math.min(longest, maxSteps);
    int count = running.size();
    for (int b = 0; b < count; b++) {
      fill(running.get(b), b, steps);
    }
    State left = state;
    if (rows == null && output == Output.LAST_HIDDEN) {
      left = State.zeros(spec, count);
      call.finalState(left);
    }
    call.run(steps, count);
    for (int b = 0; b < count; b++) {
      read(running.get(b), b, steps, left);
    }
    List<Pending> ended = running.stream().filter(pending -> pending.left() == 0).toList();
    ended.forEach(answered);
    leave(pending -> pending.left() == 0);
  }

  private void leave(Predicate<Pending> who) {
    running.removeIf(
        pending -> {
          boolean leaves = who.test(pending);
          if (leaves) {
            free.set(pending.row);
          }
          return leaves;
        });
  }

  private void fill(Pending pending, int b, int steps) {
    int begin = pending.done;
    int length = Math.min(steps, pending.left());
    Request request = pending.request;
    lengths.put(b, length);
    if (rows != null) {
      rows.put(b, pending.row);
      if (begin == 0) {
        state.clearRow(pending.row);
      }
    }
    if (x == null) {
      tokens.put(b * steps, request.tokens(), begin, length);
    } else {
      int width = spec.inputSize();
      x.put(b * steps * width, request.x(), begin * width, length * width);
    }
    if (targets != null) {
      targets.put(b * steps, request.targets(), begin, length);
    }
  }

  private void read(Pending pending, int b, int steps, State left) {
    int begin = pending.done;
    int length = Math.min(steps, pending.left());
    int width = output.width(spec);
    pending.done += length;
    boolean ends = pending.left() == 0;
    switch (output) {
      case LAST_HIDDEN -> {
        if (ends) {
          // The last layer's slots are the last ones.
          float[] all = left.hiddenRow(rows == null ? b : pending.row);
          System.arraycopy(all, all.length - width, pending.answer, 0, width);
        }
      }
      case LAST_LOGITS -> {
        if (ends) {
          out.get((b * steps + length - 1) * width, pending.answer, 0, width);
        }
      }
      default -> out.get(b * steps * width, pending.answer, begin * width, length * width);
    }
  }

  @Override
  public void close() {
    session.close();
  }
}
