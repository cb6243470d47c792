// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static org.bytedeco.cuda.global.cudnn.CUDNN_DATA_FLOAT;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.cudnn.CudnnApi.Kind;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/**
 * Puts a network's weights where cuDNN wants them in its weight space: it is asked for the place of
 * each matrix and bias. One thread.
 */
final class WeightPacking {
  private static final int RANK = 3;

  private final Cudnn cudnn;
  private final RnnSpec spec;
  private final Weights weights;
  private final CellMode mode;
  private final Network network;
  private final Pointer space;
  private final long bytes;
  private final Pointer matrix;
  private final Pointer bias;
  private final Pointer matrixShape;
  private final Pointer biasShape;
  private final FloatBuffer staging;
  private final FloatPointer stagingPointer;

  /**
   * Prepares the packing.
   *
   * @param space memory of the device
   * @param bytes its size
   * @param scope takes over what is made
   */
  WeightPacking(
      Cudnn cudnn,
      RnnSpec spec,
      Weights weights,
      Network network,
      Pointer space,
      long bytes,
      Scope scope) {
    this.cudnn = cudnn;
    this.spec = spec;
    this.weights = weights;
    this.mode = CellMode.of(spec);
    this.network = network;
    this.space = space;
    this.bytes = bytes;
    matrix = cudnn.api().reference(Kind.MEMORY);
    bias = cudnn.api().reference(Kind.MEMORY);
    matrixShape = scope.add(cudnn.create(Kind.TENSOR)).pointer();
    biasShape = scope.add(cudnn.create(Kind.TENSOR)).pointer();
    int widest = Math.max(spec.inputSize(), spec.layers() > 1 ? spec.outputSize() : 0);
    long largest = (long) spec.hiddenSize() * Math.max(widest, spec.hiddenSize());
    staging = HostBuffers.floats(largest, "a gate's matrix");
    stagingPointer = new FloatPointer(staging);
  }

  /** Uploads everything; biases that the weights leave out become zeros. */
  void run() {
    cudnn.cuda("cudaMemsetAsync", cudnn.api().clear(space, bytes, network.stream()));
    for (int layer = 0; layer < spec.layers(); layer++) {
      for (int direction = 0; direction < spec.directions(); direction++) {
        pack(layer, direction);
      }
    }
  }

  private void pack(int layer, int direction) {
    String suffix = RnnSpec.suffix(layer, direction);
    int slot = layer * spec.directions() + direction;
    int inputs = layer == 0 ? spec.inputSize() : spec.outputSize();
    pack(slot, 0, inputs, "weight_ih" + suffix, "bias_ih" + suffix);
    pack(slot, mode.linearLayers(), spec.hiddenSize(), "weight_hh" + suffix, "bias_hh" + suffix);
  }

  /** The blocks of one matrix and its bias, as cuDNN's linear layers from the first on. */
  private void pack(int slot, int first, int columns, String matrixName, String biasName) {
    float[] matrixValues = weights.floats(matrixName);
    float[] biasValues = weights.has(biasName) ? weights.floats(biasName) : null;
    int rows = spec.hiddenSize();
    for (int i = 0; i < mode.linearLayers(); i++) {
      locate(slot, first + i);
      int block = mode.block(i);
      put(matrix, matrixShape, matrixValues, block, rows * columns, matrixName);
      if (biasValues != null) {
        put(bias, biasShape, biasValues, block, rows, biasName);
      }
    }
  }

  private void locate(int slot, int linearLayer) {
    int status =
        cudnn
            .api()
            .cudnnGetWeightParams(
                network.handle(),
                network.rnn(),
                slot,
                bytes,
                space,
                linearLayer,
                matrixShape,
                matrix,
                biasShape,
                bias);
    cudnn.cudnn("cudnnGetRNNWeightParams", status);
  }

  /** Uploads one block of a tensor. */
  private void put(Pointer to, Pointer shape, float[] values, int block, int count, String name) {
    long room = space.address() + bytes - Float.BYTES * (long) count;
    if (count(shape) != count || to.address() < space.address() || to.address() > room) {
      throw new GatefuseException(
          Code.BACKEND_FAILED,
          "%s: expected %d values within the weight space, got %d at byte %d of %d"
              .formatted(name, count, count(shape), to.address() - space.address(), bytes));
    }
    staging.put(0, values, block * count, count);
    cudnn.upload(to, stagingPointer, Float.BYTES * (long) count, network.stream());
    cudnn.synchronize(network.stream()); // The staging is written again.
  }

  /** The number of floats that a descriptor tells. */
  private long count(Pointer shape) {
    int[] type = new int[1];
    int[] rank = new int[1];
    int[] dimensions = new int[RANK];
    int status = cudnn.api().cudnnGetTensor(shape, type, rank, dimensions, new int[RANK]);
    cudnn.cudnn("cudnnGetTensorNdDescriptor", status);
    if (type[0] != CUDNN_DATA_FLOAT || rank[0] != RANK) {
      return 0;
    }
    return (long) dimensions[0] * dimensions[1] * dimensions[2];
  }
}
