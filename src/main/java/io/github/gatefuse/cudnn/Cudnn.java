// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import io.github.gatefuse.ContextLostException;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.Pointer;

/**
 * The functions of CUDA and cuDNN on one device, with their statuses looked at.
 *
 * <p>This and the other classes of logic take numbers from the presets' classes. Those are
 * constants of the language, which the compiler copies: the classes need not be there at run time.
 *
 * <p>Immutable and thread-safe, as far as the functions are.
 */
final class Cudnn {
  /** After these the process can use no device any more. */
  private static final Set<Integer> CONTEXT_LOST =
      Set.of(
          cudart.cudaErrorIllegalAddress,
          cudart.cudaErrorLaunchFailure,
          cudart.cudaErrorLaunchTimeout,
          cudart.cudaErrorAssert,
          cudart.cudaErrorHardwareStackError,
          cudart.cudaErrorIllegalInstruction,
          cudart.cudaErrorMisalignedAddress,
          cudart.cudaErrorInvalidAddressSpace,
          cudart.cudaErrorInvalidPc,
          cudart.cudaErrorECCUncorrectable);

  private static final Set<Integer> NO_DEVICE =
      Set.of(
          cudart.cudaErrorNoDevice,
          cudart.cudaErrorInsufficientDriver,
          cudart.cudaErrorStubLibrary,
          cudart.cudaErrorNoKernelImageForDevice);

  private static final Set<Integer> NO_MEMORY =
      Set.of(
          cudnn.CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED,
          cudnn.CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED);

  private final CudnnApi api;
  private final int device;

  /**
   * Takes the functions.
   *
   * @param device the number of the device of all memory and handles
   */
  Cudnn(CudnnApi api, int device) {
    this.api = api;
    this.device = device;
  }

  /** The functions themselves. */
  CudnnApi api() {
    return api;
  }

  /** Turns a status of CUDA into an exception with CUDA's text. */
  void cuda(String function, int status) {
    if (status != cudart.cudaSuccess) {
      api.lastError(); // One that does not stay shall not be told twice.
      throw cudaFailure(function, status);
    }
  }

  private GatefuseException cudaFailure(String function, int status) {
    Code code = code(status);
    String message =
        ("%s: CUDA says %s (%s)").formatted(function, api.errorName(status), api.errorText(status));
    return exception(code, message);
  }

  private static Code code(int cudaStatus) {
    if (cudaStatus == cudart.cudaErrorMemoryAllocation) {
      return Code.OUT_OF_MEMORY;
    }
    if (NO_DEVICE.contains(cudaStatus)) {
      return Code.BACKEND_UNAVAILABLE;
    }
    return CONTEXT_LOST.contains(cudaStatus) ? Code.CONTEXT_LOST : Code.BACKEND_FAILED;
  }

  private static GatefuseException exception(Code code, String message) {
    return code == Code.CONTEXT_LOST
        ? new ContextLostException(message + "; only a new process can use the device again")
        : new GatefuseException(code, message);
  }

  /** Turns a status of cuDNN into an exception with cuDNN's texts, and CUDA's where it has one. */
  void cudnn(String function, int status) {
    if (status != cudnn.CUDNN_STATUS_SUCCESS) {
      throw cudnnFailure(function, status);
    }
  }

  private GatefuseException cudnnFailure(String function, int status) {
    StringBuilder message = new StringBuilder(function);
    message.append(": cuDNN says ").append(api.cudnnErrorText(status));
    message.append(" (").append(status).append(')');
    String last = api.cudnnLastErrorText().strip();
    if (!last.isEmpty()) {
      message.append(": ").append(last);
    }
    // cuDNN has one status for all that went wrong on the device; CUDA knows more.
    int cuda = api.lastError();
    Code code = NO_MEMORY.contains(status) ? Code.OUT_OF_MEMORY : code(cuda);
    if (cuda != cudart.cudaSuccess) {
      message.append("; CUDA says ").append(api.errorName(cuda));
      message.append(" (").append(api.errorText(cuda)).append(')');
    }
    return exception(code, message.toString());
  }

  private void check(boolean ofCudnn, String function, int status) {
    if (ofCudnn) {
      cudnn(function, status);
    } else {
      cuda(function, status);
    }
  }

  /** Lets this thread's calls go to the device. */
  void useDevice() {
    cuda("cudaSetDevice", api.setDevice(device));
  }

  /** Makes anything but memory. */
  Owned create(CudnnApi.Kind kind) {
    Pointer pointer = api.reference(kind);
    check(kind.ofCudnn(), kind.creation(), api.create(kind, pointer));
    return new Owned(this, kind, pointer);
  }

  /** Makes memory of the device, whose content is undefined. */
  Owned allocate(long bytes) {
    Pointer pointer = api.reference(CudnnApi.Kind.MEMORY);
    cuda("cudaMalloc of " + bytes + " bytes", api.allocate(pointer, bytes));
    return new Owned(this, CudnnApi.Kind.MEMORY, pointer);
  }

  void destroy(CudnnApi.Kind kind, Pointer pointer) {
    check(kind.ofCudnn(), kind.destruction(), api.destroy(kind, pointer));
  }

  /** Copies to the device, in the order of the stream. */
  void upload(Pointer device, Pointer host, long bytes, Pointer stream) {
    cuda("cudaMemcpyAsync to the device", api.upload(device, host, bytes, stream));
  }

  /** Copies to the host, in the order of the stream: {@link #synchronize} before reading. */
  void download(Pointer host, Pointer device, long bytes, Pointer stream) {
    cuda("cudaMemcpyAsync from the device", api.download(host, device, bytes, stream));
  }

  /** Waits for everything on the stream, and tells what went wrong there. */
  void synchronize(Pointer stream) {
    cuda("cudaStreamSynchronize", api.synchronize(stream));
  }

  /** A C text. */
  static String text(byte[] bytes) {
    int end = 0;
    while (end < bytes.length && bytes[end] != 0) {
      end++;
    }
    return new String(bytes, 0, end, StandardCharsets.UTF_8);
  }
}
