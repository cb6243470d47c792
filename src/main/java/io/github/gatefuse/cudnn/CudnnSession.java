// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static org.bytedeco.cuda.global.cudnn.CUDNN_FWD_MODE_INFERENCE;

import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import io.github.gatefuse.spi.BackendSession;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A handle of cuDNN with memory of the device for the largest call. One thread at a time, its calls
 * included.
 */
final class CudnnSession implements BackendSession {
  private final CudnnModel model;
  private final Cudnn cudnn;
  private final RnnSpec spec;
  private final SessionOptions options;
  private final Scope scope;
  private final Network network;
  private final Workspace workspace;
  private final Sequences sequences;
  private final Pointer x;
  private final Pointer y;
  private final Pointer h0;
  private final Pointer hn;
  private final Pointer c0;
  private final Pointer cn;

  /** The embedding's rows [T, B, I]; null for a network without. */
  private final FloatBuffer embedded;

  private final FloatPointer embeddedPointer;

  /** y for the head, where the call does not want it itself; null for a network without a head. */
  private final FloatBuffer hidden;

  private final FloatPointer hiddenPointer;
  private long deviceBytes;

  /**
   * Makes everything that calls need.
   *
   * @param scope takes over what is made; closed by the caller if this fails
   */
  CudnnSession(CudnnModel model, SessionOptions options, Scope scope) {
    this.model = model;
    this.cudnn = model.cudnn();
    this.spec = model.spec();
    this.options = options;
    this.scope = scope;
    checkState();
    embedded = model.embedding() == null ? null : host(Argument.INPUT);
    embeddedPointer = embedded == null ? null : new FloatPointer(embedded);
    hidden = model.head() == null ? null : host(Argument.OUTPUT);
    hiddenPointer = hidden == null ? null : new FloatPointer(hidden);
    network = new Network(cudnn, spec, scope);
    workspace = scope.add(new Workspace(cudnn));
    sequences = new Sequences(cudnn, spec, options.maxBatch(), network, workspace, scope);
    x = device(Argument.INPUT);
    y = device(Argument.OUTPUT);
    h0 = device(Argument.INITIAL_HIDDEN);
    hn = device(Argument.FINAL_HIDDEN);
    boolean cell = spec.cell().hasCellState();
    c0 = cell ? device(Argument.INITIAL_CELL) : null;
    cn = cell ? device(Argument.FINAL_CELL) : null;
    sequences.describe(options.maxSteps(), options.maxBatch(), false, null);
    cudnn.synchronize(network.stream());
  }

  /** cuDNN's strides are ints. */
  private void checkState() {
    long values = count(Argument.INITIAL_HIDDEN);
    if (values > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "maxBatch: expected a state of at most 2^31-1 values on cuDNN, got " + values);
    }
  }

  private long count(Argument argument) {
    return argument.count(spec, options.maxSteps(), options.maxBatch());
  }

  private FloatBuffer host(Argument argument) {
    return HostBuffers.floats(count(argument), "session with " + argument.label() + " on the host");
  }

  private Pointer device(Argument argument) {
    long bytes = Float.BYTES * count(argument);
    deviceBytes += bytes;
    return scope.add(cudnn.allocate(bytes)).pointer();
  }

  @Override
  public BackendCall call() {
    return new CudnnCall(this, model);
  }

  @Override
  public ExecutionPath path() {
    return model.device().path();
  }

  @Override
  public long bytes() {
    long host = embedded == null ? 0 : embedded.capacity();
    host += hidden == null ? 0 : hidden.capacity();
    return deviceBytes + workspace.bytes() + Float.BYTES * host;
  }

  @Override
  public void close() {
    scope.add(cudnn::useDevice); // Before all others, which are closed even if this fails.
    scope.close();
  }

  // What follows is for this session's calls.

  /** A place for the embedding's rows on the host. */
  FloatBuffer embedded() {
    return embedded;
  }

  FloatPointer embeddedPointer() {
    return embeddedPointer;
  }

  /** A place for y on the host. */
  FloatBuffer hidden() {
    return hidden;
  }

  FloatPointer hiddenPointer() {
    return hiddenPointer;
  }

  /** Begins a run of a shape. */
  void begin(int steps, int batch, boolean batchMajor, IntBuffer lengths) {
    cudnn.useDevice();
    sequences.describe(steps, batch, batchMajor, lengths);
  }

  /**
   * Copies an argument to the device; null, for an argument that the call has not, does nothing.
   */
  void upload(Argument argument, Pointer host, int steps, int batch) {
    if (host != null) {
      cudnn.upload(of(argument), host, bytes(argument, steps, batch), network.stream());
    }
  }

  /** Copies an argument from the device; null does nothing. */
  void download(Argument argument, Pointer host, int steps, int batch) {
    if (host != null) {
      cudnn.download(host, of(argument), bytes(argument, steps, batch), network.stream());
    }
  }

  private long bytes(Argument argument, int steps, int batch) {
    return Float.BYTES * argument.count(spec, steps, batch);
  }

  private Pointer of(Argument argument) {
    return switch (argument) {
      case INPUT -> x;
      case OUTPUT -> y;
      case INITIAL_HIDDEN -> h0;
      case FINAL_HIDDEN -> hn;
      case INITIAL_CELL -> c0;
      case FINAL_CELL -> cn;
      default -> throw new IllegalArgumentException(argument.label() + " is not on the device");
    };
  }

  /**
   * Runs all layers on what was uploaded.
   *
   * @param fromHidden whether h0 was uploaded; else it is zeros
   * @param fromCell the same for c0
   */
  void forward(boolean fromHidden, boolean fromCell) {
    int status =
        cudnn
            .api()
            .cudnnForward(
                network.handle(),
                network.rnn(),
                CUDNN_FWD_MODE_INFERENCE,
                sequences.deviceLengths(),
                sequences.x(),
                x,
                sequences.y(),
                y,
                sequences.state(),
                fromHidden ? h0 : null,
                hn,
                cn == null ? null : sequences.state(),
                fromCell ? c0 : null,
                cn,
                model.weightBytes(),
                model.weights(),
                workspace.bytes(),
                workspace.pointer());
    cudnn.cudnn("cudnnRNNForward", status);
  }

  /** Waits until the device has done everything. */
  void finish() {
    cudnn.synchronize(network.stream());
  }
}
