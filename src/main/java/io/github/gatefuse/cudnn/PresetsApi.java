// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import java.nio.ByteBuffer;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.cudnn.cudnnContext;
import org.bytedeco.cuda.cudnn.cudnnDropoutStruct;
import org.bytedeco.cuda.cudnn.cudnnRNNDataStruct;
import org.bytedeco.cuda.cudnn.cudnnRNNStruct;
import org.bytedeco.cuda.cudnn.cudnnTensorStruct;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.SizeTPointer;

/**
 * The functions as the JavaCPP presets bind them, one for each method. Loaded only where {@link
 * PresetsLibrary} found everything that it needs. Thread-safe as the interface says.
 */
final class PresetsApi implements CudnnApi {
  private static final int TEXT_BYTES = 1024;

  @Override
  public Pointer reference(Kind kind) {
    return switch (kind) {
      case MEMORY -> new IntPointer(); // As lengths need it; to all others it is a mere Pointer.
      case STREAM -> new CUstream_st();
      case HANDLE -> new cudnnContext();
      case DROPOUT -> new cudnnDropoutStruct();
      case RNN -> new cudnnRNNStruct();
      case RNN_DATA -> new cudnnRNNDataStruct();
      case TENSOR -> new cudnnTensorStruct();
    };
  }

  @Override
  public int create(Kind kind, Pointer out) {
    return switch (kind) {
      case MEMORY -> throw new IllegalArgumentException("memory is made by allocate");
      case STREAM ->
          cudart.cudaStreamCreateWithFlags((CUstream_st) out, cudart.cudaStreamNonBlocking);
      case HANDLE -> cudnn.cudnnCreate((cudnnContext) out);
      case DROPOUT -> cudnn.cudnnCreateDropoutDescriptor((cudnnDropoutStruct) out);
      case RNN -> cudnn.cudnnCreateRNNDescriptor((cudnnRNNStruct) out);
      case RNN_DATA -> cudnn.cudnnCreateRNNDataDescriptor((cudnnRNNDataStruct) out);
      case TENSOR -> cudnn.cudnnCreateTensorDescriptor((cudnnTensorStruct) out);
    };
  }

  @Override
  public int destroy(Kind kind, Pointer pointer) {
    return switch (kind) {
      case MEMORY -> cudart.cudaFree(pointer);
      case STREAM -> cudart.cudaStreamDestroy((CUstream_st) pointer);
      case HANDLE -> cudnn.cudnnDestroy((cudnnContext) pointer);
      case DROPOUT -> cudnn.cudnnDestroyDropoutDescriptor((cudnnDropoutStruct) pointer);
      case RNN -> cudnn.cudnnDestroyRNNDescriptor((cudnnRNNStruct) pointer);
      case RNN_DATA -> cudnn.cudnnDestroyRNNDataDescriptor((cudnnRNNDataStruct) pointer);
      case TENSOR -> cudnn.cudnnDestroyTensorDescriptor((cudnnTensorStruct) pointer);
    };
  }

  @Override
  public int allocate(Pointer out, long bytes) {
    return cudart.cudaMalloc(out, bytes);
  }

  @Override
  public int clear(Pointer device, long bytes, Pointer stream) {
    return cudart.cudaMemsetAsync(device, 0, bytes, (CUstream_st) stream);
  }

  @Override
  public int upload(Pointer device, Pointer host, long bytes, Pointer stream) {
    return cudart.cudaMemcpyAsync(
        device, host, bytes, cudart.cudaMemcpyHostToDevice, (CUstream_st) stream);
  }

  @Override
  public int download(Pointer host, Pointer device, long bytes, Pointer stream) {
    return cudart.cudaMemcpyAsync(
        host, device, bytes, cudart.cudaMemcpyDeviceToHost, (CUstream_st) stream);
  }

  @Override
  public int synchronize(Pointer stream) {
    return cudart.cudaStreamSynchronize((CUstream_st) stream);
  }

  @Override
  public int deviceCount(int[] count) {
    return cudart.cudaGetDeviceCount(count);
  }

  @Override
  public int setDevice(int device) {
    return cudart.cudaSetDevice(device);
  }

  @Override
  public int deviceName(byte[] name, int device) {
    return cudart.cuDeviceGetName(name, name.length, device);
  }

  @Override
  public int deviceAttribute(int[] value, int attribute, int device) {
    return cudart.cudaDeviceGetAttribute(value, attribute, device);
  }

  @Override
  public int runtimeVersion(int[] version) {
    return cudart.cudaRuntimeGetVersion(version);
  }

  @Override
  public int lastError() {
    return cudart.cudaGetLastError();
  }

  @Override
  public String errorName(int status) {
    return text(cudart.cudaGetErrorName(status));
  }

  @Override
  public String errorText(int status) {
    return text(cudart.cudaGetErrorString(status));
  }

  @Override
  public long cudnnVersion() {
    return cudnn.cudnnGetVersion();
  }

  @Override
  public String cudnnErrorText(int status) {
    return text(cudnn.cudnnGetErrorString(status));
  }

  @Override
  public String cudnnLastErrorText() {
    byte[] text = new byte[TEXT_BYTES];
    cudnn.cudnnGetLastErrorString(text, text.length);
    return Cudnn.text(text);
  }

  private static String text(BytePointer text) {
    return text == null ? "" : text.getString();
  }

  @Override
  public int cudnnSetStream(Pointer handle, Pointer stream) {
    return cudnn.cudnnSetStream((cudnnContext) handle, (CUstream_st) stream);
  }

  @Override
  public int cudnnSetNoDropout(Pointer dropout, Pointer handle) {
    return cudnn.cudnnSetDropoutDescriptor(
        (cudnnDropoutStruct) dropout, (cudnnContext) handle, 0f, null, 0, 0);
  }

  @Override
  public int cudnnSetRnn(
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
      int flags) {
    return cudnn.cudnnSetRNNDescriptor_v8(
        (cudnnRNNStruct) rnn,
        algorithm,
        cellMode,
        biasMode,
        directionMode,
        inputMode,
        dataType,
        mathPrecision,
        mathType,
        inputSize,
        hiddenSize,
        projectionSize,
        layers,
        (cudnnDropoutStruct) dropout,
        flags);
  }

  @Override
  public int cudnnSetRnnData(
      Pointer data,
      int dataType,
      int layout,
      int steps,
      int batch,
      int width,
      Pointer hostLengths,
      Pointer hostFill) {
    return cudnn.cudnnSetRNNDataDescriptor(
        (cudnnRNNDataStruct) data,
        dataType,
        layout,
        steps,
        batch,
        width,
        (IntPointer) hostLengths,
        hostFill);
  }

  @Override
  public int cudnnSetTensor(Pointer tensor, int dataType, int[] dimensions, int[] strides) {
    return cudnn.cudnnSetTensorNdDescriptor(
        (cudnnTensorStruct) tensor, dataType, dimensions.length, dimensions, strides);
  }

  @Override
  public int cudnnGetTensor(
      Pointer tensor, int[] dataType, int[] rank, int[] dimensions, int[] strides) {
    return cudnn.cudnnGetTensorNdDescriptor(
        (cudnnTensorStruct) tensor, dimensions.length, dataType, rank, dimensions, strides);
  }

  @Override
  public int cudnnGetWeightSpaceSize(Pointer handle, Pointer rnn, long[] bytes) {
    SizeTPointer size = size();
    int status =
        cudnn.cudnnGetRNNWeightSpaceSize((cudnnContext) handle, (cudnnRNNStruct) rnn, size);
    bytes[0] = size.get();
    return status;
  }

  /** A size in memory that the garbage collector frees. */
  private static SizeTPointer size() {
    return new SizeTPointer(new BytePointer(ByteBuffer.allocateDirect(Long.BYTES)));
  }

  @Override
  public int cudnnGetWeightParams(
      Pointer handle,
      Pointer rnn,
      int pseudoLayer,
      long bytes,
      Pointer deviceSpace,
      int linearLayer,
      Pointer matrixShape,
      Pointer deviceMatrix,
      Pointer biasShape,
      Pointer deviceBias) {
    return cudnn.cudnnGetRNNWeightParams(
        (cudnnContext) handle,
        (cudnnRNNStruct) rnn,
        pseudoLayer,
        bytes,
        deviceSpace,
        linearLayer,
        (cudnnTensorStruct) matrixShape,
        deviceMatrix,
        (cudnnTensorStruct) biasShape,
        deviceBias);
  }

  @Override
  public int cudnnGetTempSpaceSizes(
      Pointer handle, Pointer rnn, int mode, Pointer data, long[] workBytes, long[] reserveBytes) {
    SizeTPointer work = size();
    SizeTPointer reserve = size();
    int status =
        cudnn.cudnnGetRNNTempSpaceSizes(
            (cudnnContext) handle,
            (cudnnRNNStruct) rnn,
            mode,
            (cudnnRNNDataStruct) data,
            work,
            reserve);
    workBytes[0] = work.get();
    reserveBytes[0] = reserve.get();
    return status;
  }

  @Override
  public int cudnnForward(
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
      Pointer deviceWork) {
    return cudnn.cudnnRNNForward(
        (cudnnContext) handle,
        (cudnnRNNStruct) rnn,
        mode,
        (IntPointer) deviceLengths,
        (cudnnRNNDataStruct) xShape,
        deviceX,
        (cudnnRNNDataStruct) yShape,
        deviceY,
        (cudnnTensorStruct) hShape,
        deviceH0,
        deviceHn,
        (cudnnTensorStruct) cShape,
        deviceC0,
        deviceCn,
        weightBytes,
        deviceWeights,
        workBytes,
        deviceWork,
        0,
        null);
  }
}
