// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import org.bytedeco.javacpp.FloatPointer;

/**
 * A call: copies to the device, runs cuDNN, copies back, and computes the head on the host. A run
 * of the shape of the one before allocates nothing. One thread at a time.
 */
final class CudnnCall implements BackendCall {
  private static final Argument[] ARGUMENTS = Argument.values();

  private final CudnnSession session;
  private final RnnSpec spec;
  private final float[] embedding;
  private final LinearHead.Rows head;

  /** By the arguments' order, as the two that follow. */
  private final Buffer[] buffers = new Buffer[ARGUMENTS.length];

  private final FloatPointer[] pointers = new FloatPointer[ARGUMENTS.length];
  private int steps;
  private int batch;
  private boolean batchMajor;

  CudnnCall(CudnnSession session, CudnnModel model) {
    this.session = session;
    this.spec = model.spec();
    this.embedding = model.embedding();
    this.head = model.head() == null ? null : model.head().rows();
  }

  @Override
  public void bind(Argument argument, Buffer buffer) {
    boolean floats = buffer != null && !argument.integers();
    pointers[argument.ordinal()] = floats ? new FloatPointer((FloatBuffer) buffer) : null;
    buffers[argument.ordinal()] = buffer;
  }

  @Override
  public void shape(int steps, int batch, boolean batchMajor) {
    this.steps = steps;
    this.batch = batch;
    this.batchMajor = batchMajor;
  }

  @Override
  public void run() {
    session.begin(steps, batch, batchMajor, ints(Argument.LENGTHS));
    upload(Argument.INPUT, embedding == null ? pointer(Argument.INPUT) : embed());
    upload(Argument.INITIAL_HIDDEN, pointer(Argument.INITIAL_HIDDEN));
    upload(Argument.INITIAL_CELL, pointer(Argument.INITIAL_CELL));
    session.forward(bound(Argument.INITIAL_HIDDEN), bound(Argument.INITIAL_CELL));
    boolean headless = head == null || !wantsHead();
    boolean ownHidden = !headless && !bound(Argument.OUTPUT);
    download(Argument.OUTPUT, ownHidden ? session.hiddenPointer() : pointer(Argument.OUTPUT));
    download(Argument.FINAL_HIDDEN, pointer(Argument.FINAL_HIDDEN));
    download(Argument.FINAL_CELL, pointer(Argument.FINAL_CELL));
    session.finish();
    if (!headless) {
      head(ownHidden ? session.hidden() : floats(Argument.OUTPUT));
    }
  }

  private void upload(Argument argument, FloatPointer host) {
    session.upload(argument, host, steps, batch);
  }

  private void download(Argument argument, FloatPointer host) {
    session.download(argument, host, steps, batch);
  }

  /** Gathers the embedding's rows of the valid tokens. */
  private FloatPointer embed() {
    IntBuffer tokens = ints(Argument.TOKENS);
    int width = spec.inputSize();
    for (int b = 0; b < batch; b++) {
      int length = length(b);
      for (int t = 0; t < length; t++) {
        int row = row(t, b);
        session.embedded().put(row * width, embedding, tokens.get(row) * width, width);
      }
    }
    return session.embeddedPointer();
  }

  private boolean wantsHead() {
    return bound(Argument.LOGITS)
        || bound(Argument.LOG_PROBABILITIES)
        || bound(Argument.TARGET_LOG_PROBABILITIES);
  }

  private void head(FloatBuffer hidden) {
    for (int b = 0; b < batch; b++) {
      int length = length(b);
      for (int t = 0; t < steps; t++) {
        int row = row(t, b);
        head.compute(t < length, hidden, row);
        head.writeLogits(floats(Argument.LOGITS), row);
        head.writeLogProbabilities(floats(Argument.LOG_PROBABILITIES), row);
        head.writeTarget(ints(Argument.TARGETS), floats(Argument.TARGET_LOG_PROBABILITIES), row);
      }
    }
  }

  private int length(int b) {
    IntBuffer lengths = ints(Argument.LENGTHS);
    return lengths == null ? steps : lengths.get(b);
  }

  /** The place of a step of a sequence among all rows. */
  private int row(int t, int b) {
    return batchMajor ? b * steps + t : t * batch + b;
  }

  private boolean bound(Argument argument) {
    return buffers[argument.ordinal()] != null;
  }

  private FloatPointer pointer(Argument argument) {
    return pointers[argument.ordinal()];
  }

  private FloatBuffer floats(Argument argument) {
    return (FloatBuffer) buffers[argument.ordinal()];
  }

  private IntBuffer ints(Argument argument) {
    return (IntBuffer) buffers[argument.ordinal()];
  }
}
