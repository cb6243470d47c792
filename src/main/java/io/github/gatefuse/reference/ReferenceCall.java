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
  private final ReferenceNetwork network;
  private final RnnSpec spec;
  private final Map<Argument, Buffer> buffers = new EnumMap<>(Argument.class);
  private int steps;
  private int batch;
  private boolean batchMajor;

  ReferenceCall(ReferenceNetwork network) {
    this.network = network;
    this.spec = network.spec();
  }

  @Override
  public void bind(Argument argument, Buffer buffer) {
    buffers.put(argument, buffer);
  }

  @Override
  public void shape(int steps, int batch, boolean batchMajor) {
    this.steps = steps;
    this.batch = batch;
    this.batchMajor = batchMajor;
  }

  @Override
  public void run() {
    boolean scored = buffers.get(Argument.TARGET_LOG_PROBABILITIES) != null;
    ReferenceNetwork.Outputs out =
        network.run(
            new ReferenceNetwork.Inputs(
                steps,
                batch,
                floats(Argument.INPUT),
                ints(Argument.TOKENS),
                ints(Argument.LENGTHS),
                floats(Argument.INITIAL_HIDDEN),
                floats(Argument.INITIAL_CELL),
                scored ? ints(Argument.TARGETS) : null,
                buffers.get(Argument.LOGITS) != null,
                buffers.get(Argument.LOG_PROBABILITIES) != null));
    write(Argument.OUTPUT, out.y());
    write(Argument.FINAL_HIDDEN, out.hn());
    write(Argument.FINAL_CELL, out.cn());
    write(Argument.LOGITS, out.logits());
    write(Argument.LOG_PROBABILITIES, out.logProbabilities());
    write(Argument.TARGET_LOG_PROBABILITIES, out.targetLogProbabilities());
  }

  private double[] floats(Argument argument) {
    FloatBuffer buffer = (FloatBuffer) buffers.get(argument);
    if (buffer == null) {
      return null;
    }
    double[] values = new double[count(argument)];
    for (int i = 0; i < values.length; i++) {
      values[i] = buffer.get(index(argument, i, values.length));
    }
    return values;
  }

  private int[] ints(Argument argument) {
    IntBuffer buffer = (IntBuffer) buffers.get(argument);
    if (buffer == null) {
      return null;
    }
    int[] values = new int[count(argument)];
    for (int i = 0; i < values.length; i++) {
      values[i] = buffer.get(index(argument, i, values.length));
    }
    return values;
  }

  private void write(Argument argument, double[] values) {
    FloatBuffer buffer = (FloatBuffer) buffers.get(argument);
    if (buffer == null) {
      return;
    }
    for (int i = 0; i < values.length; i++) {
      buffer.put(index(argument, i, values.length), (float) values[i]);
    }
  }

  /** The arguments fit into buffers, so their counts fit an int. */
  private int count(Argument argument) {
    return (int) argument.count(spec, steps, batch);
  }

  /** Where the buffer has what is at {@code i} in the reference's time-major order. */
  private int index(Argument argument, int i, int count) {
    if (!batchMajor || !argument.sequence()) {
      return i;
    }
    int width = count / (steps * batch);
    int row = i / width;
    return ((row % batch) * steps + row / batch) * width + i % width;
  }
}
