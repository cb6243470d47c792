// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import org.bytedeco.javacpp.Pointer;

/**
 * The functions of CUDA and cuDNN that this backend uses, without any logic. What the functions
 * return is a status of CUDA, or of cuDNN where the function's name begins with {@code cudnn}.
 *
 * <p>Pointers are made by {@link #reference} and are of the kind that a method's parameter names;
 * pointers named {@code device} are memory of the GPU, those named {@code host} of the process.
 *
 * <p>Thread-safe, as far as two threads do not use one handle, stream or descriptor at a time.
 */
interface CudnnApi {
  /** What is made and destroyed. */
  enum Kind {
    /** Memory of the GPU, made by {@link CudnnApi#allocate}. */
    MEMORY("cudaMalloc", "cudaFree"),
    /** A stream that does not wait for the default stream. */
    STREAM("cudaStreamCreateWithFlags", "cudaStreamDestroy"),
    /** A context of cuDNN. */
    HANDLE("cudnnCreate", "cudnnDestroy"),
    /** What is dropped out, in training. */
    DROPOUT("cudnnCreateDropoutDescriptor", "cudnnDestroyDropoutDescriptor"),
    /** A recurrent network. */
    RNN("cudnnCreateRNNDescriptor", "cudnnDestroyRNNDescriptor"),
    /** The shape of sequences. */
    RNN_DATA("cudnnCreateRNNDataDescriptor", "cudnnDestroyRNNDataDescriptor"),
    /** The shape of any tensor. */
    TENSOR("cudnnCreateTensorDescriptor", "cudnnDestroyTensorDescriptor");

    private final String creation;
    private final String destruction;

    Kind(String creation, String destruction) {
      this.creation = creation;
      this.destruction = destruction;
    }

    /** The function that makes one. */
    String creation() {
      return creation;
    }

    /** The function that destroys one. */
    String destruction() {
      return destruction;
    }

    /** Whether the two functions return a status of cuDNN and not of CUDA. */
    boolean ofCudnn() {
      return creation.startsWith("cudnn");
    }
  }

  /** A pointer that refers to nothing, for a function that will let it refer to something. */
  Pointer reference(Kind kind);

  /** The function that the kind names; not for memory. */
  int create(Kind kind, Pointer out);

  /** The function that the kind names. */
  int destroy(Kind kind, Pointer pointer);

  /** cudaMalloc. */
  int allocate(Pointer out, long bytes);

  /** cudaMemsetAsync to zero. */
  int clear(Pointer device, long bytes, Pointer stream);

  /** cudaMemcpyAsync from the host to the device. */
  int upload(Pointer device, Pointer host, long bytes, Pointer stream);

  /** cudaMemcpyAsync from the device to the host. */
  int download(Pointer host, Pointer device, long bytes, Pointer stream);

  /** cudaStreamSynchronize. */
  int synchronize(Pointer stream);

  /** cudaGetDeviceCount. */
  int deviceCount(int[] count);

  /** cudaSetDevice. */
  int setDevice(int device);

  /** cuDeviceGetName, whose status is one of the driver; a text that ends with a zero. */
  int deviceName(byte[] name, int device);

  /** cudaDeviceGetAttribute. */
  int deviceAttribute(int[] value, int attribute, int device);

  /** cudaRuntimeGetVersion. */
  int runtimeVersion(int[] version);

  /** cudaGetLastError: the status, which is forgotten unless it is one that stays. */
  int lastError();

  /** cudaGetErrorName. */
  String errorName(int status);

  /** cudaGetErrorString. */
  String errorText(int status);

  /** cudnnGetVersion. */
  long cudnnVersion();

  /** cudnnGetErrorString. */
  String cudnnErrorText(int status);

  /** cudnnGetLastErrorString. */
  String cudnnLastErrorText();

  /** cudnnSetStream. */
  int cudnnSetStream(Pointer handle, Pointer stream);

  /** cudnnSetDropoutDescriptor with a probability of zero and without states. */
  int cudnnSetNoDropout(Pointer dropout, Pointer handle);

  /** cudnnSetRNNDescriptor_v8. */
  int cudnnSetRnn(
      Pointer rnn,
      int algorithm,
      int cellMode,
      int biasMode,
      int directionMode,
      int inputMode,
      int dataType,
      int mathPrecision,
      int mathType,
      int inputSize,
      int hiddenSize,
      int projectionSize,
      int layers,
      Pointer dropout,
      int flags);

  /**
   * cudnnSetRNNDataDescriptor.
   *
   * @param hostLengths one int for each row
   * @param hostFill the float that is written past the end of a sequence; null to leave what is
   *     there
   */
  int cudnnSetRnnData(
      Pointer data,
      int dataType,
      int layout,
      int steps,
      int batch,
      int width,
      Pointer hostLengths,
      Pointer hostFill);

  /** cudnnSetTensorNdDescriptor. */
  int cudnnSetTensor(Pointer tensor, int dataType, int[] dimensions, int[] strides);

  /** cudnnGetTensorNdDescriptor, of as many dimensions as the arrays hold. */
  int cudnnGetTensor(Pointer tensor, int[] dataType, int[] rank, int[] dimensions, int[] strides);

  /** cudnnGetRNNWeightSpaceSize. */
  int cudnnGetWeightSpaceSize(Pointer handle, Pointer rnn, long[] bytes);

  /** cudnnGetRNNWeightParams: where one matrix and its bias are, and their shapes. */
  int cudnnGetWeightParams(
      Pointer handle,
      Pointer rnn,
      int pseudoLayer,
      long bytes,
      Pointer deviceSpace,
      int linearLayer,
      Pointer matrixShape,
      Pointer deviceMatrix,
      Pointer biasShape,
      Pointer deviceBias);

  /** cudnnGetRNNTempSpaceSizes; the second size is that of training. */
  int cudnnGetTempSpaceSizes(
      Pointer handle, Pointer rnn, int mode, Pointer data, long[] workBytes, long[] reserveBytes);

  /** cudnnRNNForward without a reserve space. States that are null are zeros or are not kept. */
  int cudnnForward(
      Pointer handle,
      Pointer rnn,
      int mode,
      Pointer deviceLengths,
      Pointer xShape,
      Pointer deviceX,
      Pointer yShape,
      Pointer deviceY,
      Pointer hShape,
      Pointer deviceH0,
      Pointer deviceHn,
      Pointer cShape,
      Pointer deviceC0,
      Pointer deviceCn,
      long weightBytes,
      Pointer deviceWeights,
      long workBytes,
      Pointer deviceWork);
}
