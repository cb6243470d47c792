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
import java.util.List;
import java.util.function.Consumer;

/**
 * A worker's session and buffers: runs a batch in pieces of as many steps as the session has, and
 * the rows that are not at their end carry their state on. One thread at a time.
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

  /** Row b is sequence b's; null where the backend cannot pick by row. */
  private final IntBuffer rows;

  /** Of all rows that there can be. */
  private final State state;

  private final ForwardCall first;
  private final ForwardCall next;

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
    for (int b = 0; rows != null && b < maxBatch; b++) {
      rows.put(b, b);
    }
    state = State.zeros(spec, maxBatch);
    session =
        rnn.session(
            SessionOptions.of(maxSteps, maxBatch)
                .withThreads(options.threads())
                .withRegularization(options.regularization()));
    boolean made = false;
    try {
      first = call();
      next = call().initialState(state);
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
    return rows == null ? call : call.stateRows(rows).finalState(state);
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

  /**
   * Runs a batch.
   *
   * @param batch longest first, at most as many as a batch may have
   * @param answered is told of each request whose answer is there
   */
  void run(List<Pending> batch, Consumer<Pending> answered) {
    int longest = batch.get(0).steps;
    for (Pending pending : batch) {
      int steps = output.last() ? 1 : pending.steps;
      pending.answer = new float[steps * output.width(spec)];
    }
    int count = batch.size();
    for (int begin = 0; begin < longest; begin += maxSteps) {
      while (batch.get(count - 1).steps <= begin) {
        count--;
      }
      runPiece(batch.subList(0, count), begin, Math.min(maxSteps, longest - begin), answered);
    }
  }

  private void runPiece(List<Pending> batch, int begin, int steps, Consumer<Pending> answered) {
    int count = batch.size();
    for (int b = 0; b < count; b++) {
      fill(batch.get(b), b, begin, steps);
    }
    ForwardCall call = begin == 0 ? first : next;
    State left = state;
    if (rows == null && output == Output.LAST_HIDDEN) {
      left = State.zeros(spec, count);
      call.finalState(left);
    }
    call.run(steps, count);
    for (int b = 0; b < count; b++) {
      Pending pending = batch.get(b);
      boolean ends = pending.steps - begin <= steps;
      read(pending, b, begin, steps, ends, left);
      if (ends) {
        answered.accept(pending);
      }
    }
  }

  private void fill(Pending pending, int b, int begin, int steps) {
    int length = Math.min(steps, pending.steps - begin);
    Request request = pending.request;
    lengths.put(b, length);
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

  private void read(Pending pending, int b, int begin, int steps, boolean ends, State left) {
    int length = Math.min(steps, pending.steps - begin);
    int width = output.width(spec);
    switch (output) {
      case LAST_HIDDEN -> {
        if (ends) {
          // The last layer's slots are the last ones.
          float[] all = left.hiddenRow(b);
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
