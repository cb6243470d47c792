// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.flink;

import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;

/**
 * Runs one step of a batch of streams whose states are arrays [h of all slots, c of all slots]. It
 * owns the network. One thread at a time.
 */
final class StepRunner implements AutoCloseable {
  private final RnnSpec spec;
  private final int batchSize;
  private final Rnn rnn;
  private final Session session;
  private final ForwardCall call;
  private final FloatBuffer hidden;
  private final FloatBuffer cell;

  /** By rows: states over the same memory, of which a smaller batch takes the beginning. */
  private final State[] states;

  private final FloatBuffer features;
  private final IntBuffer tokens;
  private final FloatBuffer outputs;
  private final float[] row;

  private StepRunner(Settings<?, ?> settings, Rnn rnn, Session session) {
    this.spec = rnn.spec();
    this.batchSize = settings.batchSize();
    this.rnn = rnn;
    this.session = session;
    this.row = new float[settings.output().width(spec)];
    this.states = new State[batchSize + 1];
    this.hidden = floats(batchSize * spec.slots() * spec.hiddenSize());
    this.cell = spec.cell().hasCellState() ? floats(hidden.capacity()) : null;
    boolean embedded = spec.vocabulary() > 0;
    this.features = embedded ? null : floats(batchSize * spec.inputSize());
    this.tokens = embedded ? bytes(batchSize).asIntBuffer() : null;
    this.outputs = floats(batchSize * row.length);
    this.call = embedded ? session.call().tokens(tokens) : session.call().input(features);
    switch (settings.output()) {
      case HIDDEN -> call.output(outputs);
      case LOGITS -> call.logits(outputs);
      case LOG_PROBABILITIES -> call.logProbabilities(outputs);
    }
  }

  static StepRunner open(Settings<?, ?> settings) throws IOException {
    Model.Loaded model = settings.model().load(settings.options());
    Session session = null;
    boolean opened = false;
    try {
      session =
          model
              .rnn()
              .session(
                  SessionOptions.of(1, settings.batchSize())
                      .withThreads(settings.threads())
                      .withRegularization(model.regularization()));
      StepRunner runner = new StepRunner(settings, model.rnn(), session);
      opened = true;
      return runner;
    } finally {
      if (!opened) {
        if (session != null) {
          session.close();
        }
        model.rnn().close();
      }
    }
  }

  private static FloatBuffer floats(int count) {
    return bytes(count).asFloatBuffer();
  }

  private static ByteBuffer bytes(int count) {
    return ByteBuffer.allocateDirect(Math.multiplyExact(4, count)).order(ByteOrder.nativeOrder());
  }

  byte[] fingerprint() {
    return rnn.fingerprint();
  }

  /** The values of one stream's state. */
  int stateLength() {
    return (cell == null ? 1 : 2) * spec.slots() * spec.hiddenSize();
  }

  void features(int r, float[] x) {
    features.put(r * spec.inputSize(), x);
  }

  void token(int r, int token) {
    tokens.put(r, token);
  }

  /** Sets a row of a batch of so many rows. */
  void load(int r, int rows, float[] state) {
    int size = spec.hiddenSize();
    for (int slot = 0; slot < spec.slots(); slot++) {
      int at = (slot * rows + r) * size;
      hidden.put(at, state, slot * size, size);
      if (cell != null) {
        cell.put(at, state, (spec.slots() + slot) * size, size);
      }
    }
  }

  void run(int rows) {
    if (states[rows] == null) {
      states[rows] = State.over(spec, rows, hidden, cell);
    }
    call.state(states[rows]).run(1, rows);
  }

  /** Gets a row of a batch of so many rows. */
  void store(int r, int rows, float[] state) {
    int size = spec.hiddenSize();
    for (int slot = 0; slot < spec.slots(); slot++) {
      int at = (slot * rows + r) * size;
      hidden.get(at, state, slot * size, size);
      if (cell != null) {
        cell.get(at, state, (spec.slots() + slot) * size, size);
      }
    }
  }

  /** A row's outputs, until the next call. */
  float[] outputs(int r) {
    outputs.get(r * row.length, row);
    return row;
  }

  @Override
  public void close() {
    session.close();
    rnn.close();
  }
}
