// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cli;

import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.function.LongConsumer;

/**
 * Scores lines with a byte model: from the zero state a line feed and the line's bytes go in, and
 * the line's bytes and a line feed are predicted. Long lines run in pieces whose state is carried
 * on, which gives the same bits as in one piece; and what else is in a batch does not matter, so
 * that neither batches nor windows show in a score. Not thread-safe.
 */
final class Scorer implements AutoCloseable {
  private static final int LINE_FEED = '\n';
  private static final double NATS_PER_BIT = Math.log(2);

  /**
   * Steps of one call: enough to keep the threads busy, few enough to keep the workspace in the
   * caches.
   */
  static final int STEPS = 128;

  private final Session session;
  private final int maxSteps;
  private final int maxBatch;
  private final LongConsumer progress;
  private final IntBuffer tokens;
  private final IntBuffer targets;
  private final IntBuffer lengths;
  private final FloatBuffer logProbabilities;
  private final ForwardCall call;
  private State full;

  /**
   * Opens a session of the model.
   *
   * @param options the most steps and rows of a call, and the threads
   * @param progress is told after each call how many more predictions there are
   */
  Scorer(Rnn model, SessionOptions options, LongConsumer progress) {
    this.session = model.session(options);
    this.maxSteps = options.maxSteps();
    this.maxBatch = options.maxBatch();
    this.progress = progress;
    int size = Math.multiplyExact(maxSteps, maxBatch);
    tokens = direct(size).asIntBuffer();
    targets = direct(size).asIntBuffer();
    logProbabilities = direct(size).asFloatBuffer();
    lengths = direct(maxBatch).asIntBuffer();
    call =
        session
            .call()
            .tokens(tokens)
            .targets(targets)
            .lengths(lengths)
            .targetLogProbabilities(logProbabilities);
  }

  private static ByteBuffer direct(int count) {
    return ByteBuffer.allocateDirect(Math.multiplyExact(count, Integer.BYTES))
        .order(ByteOrder.nativeOrder());
  }

  ExecutionPath path() {
    return session.path();
  }

  /** The bits of every line of a window, in the window's order. */
  double[] score(Window window) {
    int[] order = window.byLength();
    double[] bits = new double[order.length];
    for (int first = 0; first < order.length; first += maxBatch) {
      scoreBatch(window, order, first, Math.min(maxBatch, order.length - first), bits);
    }
    return bits;
  }

  private void scoreBatch(Window window, int[] order, int first, int rows, double[] bits) {
    int longest = window.length(order[first]) + 1;
    State state = longest > maxSteps ? zeroState(rows) : null;
    for (int start = 0; start < longest; start += maxSteps) {
      // The longest come first, so those that still run are the first rows.
      int running = rows;
      while (window.length(order[first + running - 1]) + 1 <= start) {
        running--;
      }
      state = state == null ? null : firstRows(state, running);
      rows = running;
      int steps = Math.min(maxSteps, longest - start);
      for (int row = 0; row < rows; row++) {
        fill(window, order[first + row], start, row, rows, steps);
      }
      call.state(state).run(steps, rows);
      long predictions = 0;
      for (int row = 0; row < rows; row++) {
        bits[order[first + row]] = addBits(bits[order[first + row]], row, rows);
        predictions += lengths.get(row);
      }
      progress.accept(predictions);
    }
  }

  /** Lays the piece of a line that begins at step {@code start} into its row. */
  private void fill(Window window, int line, int start, int row, int rows, int steps) {
    int length = window.length(line);
    int count = Math.min(steps, length + 1 - start);
    byte[] bytes = window.bytes();
    int from = window.start(line) + start;
    int token = start == 0 ? LINE_FEED : bytes[from - 1] & 0xFF;
    for (int t = 0; t < count; t++) {
      int target = start + t < length ? bytes[from + t] & 0xFF : LINE_FEED;
      tokens.put(t * rows + row, token);
      targets.put(t * rows + row, target);
      token = target;
    }
    lengths.put(row, count);
  }

  /**
   * One prediction after another, in one order whatever the pieces: so the sum has the same bits
   * too.
   */
  private double addBits(double bits, int row, int rows) {
    int count = lengths.get(row);
    for (int t = 0; t < count; t++) {
      bits -= logProbabilities.get(t * rows + row) / NATS_PER_BIT;
    }
    return bits;
  }

  /** Most batches are full, and take turns with one state. */
  private State zeroState(int rows) {
    if (rows != maxBatch) {
      return session.newState(rows);
    }
    if (full == null) {
      full = session.newState(rows);
    } else {
      full.clear();
    }
    return full;
  }

  private State firstRows(State state, int rows) {
    if (rows == state.batch()) {
      return state;
    }
    State first = session.newState(rows);
    copyRows(state, state.h(), first, first.h());
    if (session.spec().cell().hasCellState()) {
      copyRows(state, state.c(), first, first.c());
    }
    return first;
  }

  private static void copyRows(State from, FloatBuffer source, State to, FloatBuffer target) {
    int size = from.hiddenSize();
    for (int slot = 0; slot < from.slots(); slot++) {
      target.put(slot * to.batch() * size, source, slot * from.batch() * size, to.batch() * size);
    }
  }

  /** Begins a line that is too long to be held; no other call of this scorer until it has ended. */
  LongLine longLine() {
    return new LongLine();
  }

  /** A line whose bytes are scored as they come. */
  final class LongLine {
    private final State state = session.newState(1);
    private int token = LINE_FEED;
    private int filled;
    private double bits;

    void append(byte[] bytes, int offset, int length) {
      for (int i = offset; i < offset + length; i++) {
        add(bytes[i] & 0xFF);
      }
    }

    /** Ends the line; the bits of the whole of it. */
    double end() {
      add(LINE_FEED);
      run();
      return bits;
    }

    private void add(int target) {
      tokens.put(filled, token);
      targets.put(filled, target);
      token = target;
      if (++filled == maxSteps) {
        run();
      }
    }

    private void run() {
      if (filled > 0) {
        lengths.put(0, filled);
        call.state(state).run(filled, 1);
        bits = addBits(bits, 0, 1);
        progress.accept(filled);
        filled = 0;
      }
    }
  }

  @Override
  public void close() {
    session.close();
  }
}
