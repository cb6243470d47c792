// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.EnumMap;
import java.util.Map;

/** A call of the reference on buffers: copies in, runs, copies out. One thread at a time. */
final class ReferenceCall implements BackendCall {
  private final ReferenceSession session;
  private final RnnSpec spec;
  private final Map<Argument, Buffer> buffers = new EnumMap<>(Argument.class);
  private Layout layout;
  private int stateCapacity;
  private boolean training;
  private long draw;

  ReferenceCall(ReferenceSession session) {
    this.session = session;
    this.spec = session.network().spec();
  }

  @Override
  public void bind(Argument argument, Buffer buffer) {
    buffers.put(argument, buffer);
  }

  @Override
  public void training(boolean value, long draw) {
    this.training = value;
    this.draw = draw;
  }

  @Override
  public void stateCapacity(int rows) {
    stateCapacity = rows;
  }

  @Override
  public void shape(int steps, int batch, boolean batchMajor) {
    layout = new Layout(steps, batch, batchMajor);
  }

  @Override
  public void run() {
    boolean scored = buffers.get(Argument.TARGET_LOG_PROBABILITIES) != null;
    ReferenceNetwork.Inputs in =
        new ReferenceNetwork.Inputs(
            layout.steps(),
            layout.batch(),
            floats(Argument.INPUT),
            ints(Argument.TOKENS),
            ints(Argument.LENGTHS),
            state(Argument.INITIAL_HIDDEN),
            state(Argument.INITIAL_CELL),
            scored ? ints(Argument.TARGETS) : null,
            buffers.get(Argument.LOGITS) != null,
            buffers.get(Argument.LOG_PROBABILITIES) != null,
            session.regularization(),
            training,
            draw);
    ReferenceNetwork.Outputs out = session.network().run(in);
    session.remember(in);
    write(Argument.OUTPUT, out.y());
    writeState(Argument.FINAL_HIDDEN, out.hn());
    writeState(Argument.FINAL_CELL, out.cn());
    write(Argument.LOGITS, out.logits());
    write(Argument.LOG_PROBABILITIES, out.logProbabilities());
    write(Argument.TARGET_LOG_PROBABILITIES, out.targetLogProbabilities());
  }

  private double[] floats(Argument argument) {
    return layout.read((FloatBuffer) buffers.get(argument), count(argument), argument.sequence());
  }

  private double[] state(Argument argument) {
    FloatBuffer pool = (FloatBuffer) buffers.get(argument);
    if (pool == null || buffers.get(Argument.STATE_ROWS) == null) {
      return floats(argument);
    }
    double[] values = new double[(int) count(argument)];
    for (int i = 0; i < values.length; i++) {
      values[i] = pool.get(pooled(i));
    }
    return values;
  }

  private void writeState(Argument argument, double[] values) {
    FloatBuffer pool = (FloatBuffer) buffers.get(argument);
    if (pool == null || buffers.get(Argument.STATE_ROWS) == null) {
      write(argument, values);
      return;
    }
    for (int i = 0; i < values.length; i++) {
      pool.put(pooled(i), (float) values[i]);
    }
  }

  /** Where a pool [L*D, capacity, H] has what is at {@code i} of a batch's state [L*D, B, H]. */
  private int pooled(int i) {
    int hidden = spec.hiddenSize();
    int sequence = i / hidden % layout.batch();
    int slot = i / hidden / layout.batch();
    int row = ((IntBuffer) buffers.get(Argument.STATE_ROWS)).get(sequence);
    return (slot * stateCapacity + row) * hidden + i % hidden;
  }

  private int[] ints(Argument argument) {
    return layout.read((IntBuffer) buffers.get(argument), count(argument), argument.sequence());
  }

  private void write(Argument argument, double[] values) {
    layout.write(values, (FloatBuffer) buffers.get(argument), argument.sequence());
  }

  private long count(Argument argument) {
    return argument.count(spec, layout.steps(), layout.batch());
  }
}
