// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static org.bytedeco.cuda.global.cudnn.CUDNN_BIDIRECTIONAL;
import static org.bytedeco.cuda.global.cudnn.CUDNN_DATA_FLOAT;
import static org.bytedeco.cuda.global.cudnn.CUDNN_FMA_MATH;
import static org.bytedeco.cuda.global.cudnn.CUDNN_LINEAR_INPUT;
import static org.bytedeco.cuda.global.cudnn.CUDNN_RNN_ALGO_STANDARD;
import static org.bytedeco.cuda.global.cudnn.CUDNN_RNN_DOUBLE_BIAS;
import static org.bytedeco.cuda.global.cudnn.CUDNN_RNN_PADDED_IO_ENABLED;
import static org.bytedeco.cuda.global.cudnn.CUDNN_UNIDIRECTIONAL;

import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.cudnn.CudnnApi.Kind;
import org.bytedeco.javacpp.Pointer;

/**
 * A network as cuDNN knows it, with a handle and a stream to run it on. One thread at a time; each
 * session has its own.
 */
final class Network {
  private final Cudnn cudnn;
  private final Pointer stream;
  private final Pointer handle;
  private final Pointer rnn;

  /**
   * Makes the handle, the stream and the descriptors.
   *
   * @param scope takes all of them over
   */
  Network(Cudnn cudnn, RnnSpec spec, Scope scope) {
    this.cudnn = cudnn;
    cudnn.useDevice();
    stream = scope.add(cudnn.create(Kind.STREAM)).pointer();
    handle = scope.add(cudnn.create(Kind.HANDLE)).pointer();
    Pointer dropout = scope.add(cudnn.create(Kind.DROPOUT)).pointer();
    rnn = scope.add(cudnn.create(Kind.RNN)).pointer();
    CudnnApi api = cudnn.api();
    cudnn.cudnn("cudnnSetStream", api.cudnnSetStream(handle, stream));
    cudnn.cudnn("cudnnSetDropoutDescriptor", api.cudnnSetNoDropout(dropout, handle));
    cudnn.cudnn("cudnnSetRNNDescriptor_v8", describe(api, spec, dropout));
  }

  private int describe(CudnnApi api, RnnSpec spec, Pointer dropout) {
    return api.cudnnSetRnn(
        rnn,
        CUDNN_RNN_ALGO_STANDARD, // The one for all sizes, lengths and directions.
        CellMode.of(spec).code(),
        CUDNN_RNN_DOUBLE_BIAS,
        spec.bidirectional() ? CUDNN_BIDIRECTIONAL : CUDNN_UNIDIRECTIONAL,
        CUDNN_LINEAR_INPUT,
        CUDNN_DATA_FLOAT,
        CUDNN_DATA_FLOAT,
        CUDNN_FMA_MATH, // The default would round operands to TF32 where the device can.
        spec.inputSize(),
        spec.hiddenSize(),
        spec.hiddenSize(), // No projection.
        spec.layers(),
        dropout,
        CUDNN_RNN_PADDED_IO_ENABLED);
  }

  Pointer stream() {
    return stream;
  }

  Pointer handle() {
    return handle;
  }

  Pointer rnn() {
    return rnn;
  }

  /** The bytes of all weights, with whatever cuDNN puts between them. */
  long weightBytes() {
    long[] bytes = new long[1];
    cudnn.cudnn(
        "cudnnGetRNNWeightSpaceSize", cudnn.api().cudnnGetWeightSpaceSize(handle, rnn, bytes));
    return bytes[0];
  }
}
