// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static org.bytedeco.cuda.global.cudnn.CUDNN_DATA_FLOAT;
import static org.bytedeco.cuda.global.cudnn.CUDNN_FWD_MODE_INFERENCE;
import static org.bytedeco.cuda.global.cudnn.CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED;
import static org.bytedeco.cuda.global.cudnn.CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.cudnn.CudnnApi.Kind;
import java.nio.IntBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * The shape of a run as cuDNN knows it, told anew only where it changed: steps, batch, layout and
 * the length of each sequence. One thread at a time.
 */
final class Sequences {
  private final Cudnn cudnn;
  private final RnnSpec spec;
  private final Network network;
  private final Workspace workspace;
  private final Pointer x;
  private final Pointer y;
  private final Pointer state;
  private final Pointer deviceLengths;
  private final IntBuffer lengths;
  private final IntPointer hostLengths;

  /** Outputs past a sequence's end are 0. */
  private final FloatPointer fill = new FloatPointer(HostBuffers.floats(1, "fill"));

  private final long[] workBytes = new long[1];
  private final long[] reserveBytes = new long[1];
  private final int[] dimensions = new int[3];
  private final int[] strides = new int[3];

  /** What cuDNN was told last; 0 steps for nothing, or nothing complete. */
  private int steps;

  private int batch;
  private boolean batchMajor;

  /**
   * Makes the descriptors.
   *
   * @param workspace made as large as each shape needs
   * @param scope takes over what is made
   */
  Sequences(
      Cudnn cudnn, RnnSpec spec, int maxBatch, Network network, Workspace workspace, Scope scope) {
    this.cudnn = cudnn;
    this.spec = spec;
    this.network = network;
    this.workspace = workspace;
    x = scope.add(cudnn.create(Kind.RNN_DATA)).pointer();
    y = scope.add(cudnn.create(Kind.RNN_DATA)).pointer();
    state = scope.add(cudnn.create(Kind.TENSOR)).pointer();
    deviceLengths = scope.add(cudnn.allocate(Integer.BYTES * (long) maxBatch)).pointer();
    lengths = HostBuffers.ints(maxBatch);
    hostLengths = new IntPointer(lengths);
  }

  /**
   * Tells cuDNN the shape of what runs next.
   *
   * @param perSequence [B] at least; null for all T
   */
  void describe(int steps, int batch, boolean batchMajor, IntBuffer perSequence) {
    boolean sameShape = steps == this.steps && batch == this.batch && batchMajor == this.batchMajor;
    boolean sameLengths = takeLengths(steps, batch, perSequence);
    if (sameShape && sameLengths) {
      return;
    }
    this.steps = 0; // Until all is told.
    int layout =
        batchMajor
            ? CUDNN_RNN_DATA_LAYOUT_BATCH_MAJOR_UNPACKED
            : CUDNN_RNN_DATA_LAYOUT_SEQ_MAJOR_UNPACKED;
    setData(x, layout, steps, batch, spec.inputSize(), null);
    setData(y, layout, steps, batch, spec.outputSize(), fill);
    cudnn.upload(deviceLengths, hostLengths, Integer.BYTES * (long) batch, network.stream());
    if (!sameShape) {
      setState(batch);
      reserve();
    }
    this.steps = steps;
    this.batch = batch;
    this.batchMajor = batchMajor;
  }

  /** Copies the lengths and says whether they are those of before. */
  private boolean takeLengths(int steps, int batch, IntBuffer perSequence) {
    boolean same = true;
    for (int b = 0; b < batch; b++) {
      int length = perSequence == null ? steps : perSequence.get(b);
      same &= lengths.get(b) == length;
      lengths.put(b, length);
    }
    return same;
  }

  private void setData(Pointer data, int layout, int steps, int batch, int width, Pointer fill) {
    int status =
        cudnn
            .api()
            .cudnnSetRnnData(
                data, CUDNN_DATA_FLOAT, layout, steps, batch, width, hostLengths, fill);
    cudnn.cudnn("cudnnSetRNNDataDescriptor", status);
  }

  /** [L*D, B, H], without gaps. */
  private void setState(int batch) {
    dimensions[0] = spec.slots();
    dimensions[1] = batch;
    dimensions[2] = spec.hiddenSize();
    strides[0] = batch * spec.hiddenSize();
    strides[1] = spec.hiddenSize();
    strides[2] = 1;
    cudnn.cudnn(
        "cudnnSetTensorNdDescriptor",
        cudnn.api().cudnnSetTensor(state, CUDNN_DATA_FLOAT, dimensions, strides));
  }

  private void reserve() {
    int status =
        cudnn
            .api()
            .cudnnGetTempSpaceSizes(
                network.handle(),
                network.rnn(),
                CUDNN_FWD_MODE_INFERENCE,
                x,
                workBytes,
                reserveBytes);
    cudnn.cudnn("cudnnGetRNNTempSpaceSizes", status);
    workspace.reserve(workBytes[0]);
  }

  Pointer x() {
    return x;
  }

  Pointer y() {
    return y;
  }

  /** The shape of every hidden and cell state. */
  Pointer state() {
    return state;
  }

  /** The lengths in the device's memory. */
  Pointer deviceLengths() {
    return deviceLengths;
  }
}
