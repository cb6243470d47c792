// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import java.io.IOException;
import java.util.List;
import java.util.function.Predicate;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.Loader;

/**
 * Loads the JavaCPP presets and, through them, the libraries of CUDA and cuDNN of this machine, or
 * says what is missing. Thread-safe.
 */
final class PresetsLibrary {
  private static final String JAR = "org.bytedeco:cuda";
  private static final String CLASS = "org.bytedeco.cuda.global.cudnn";

  /** Whose functions are looked for; the presets have loaded them by then. */
  private static final List<String> LIBRARIES =
      List.of(
          "libcuda.so.1",
          "libcudart.so.13",
          "libcudnn_graph.so.9",
          "libcudnn_ops.so.9",
          "libcudnn_adv.so.9");

  /** All that {@link PresetsApi} calls. A call of one that is missing would end the process. */
  static final List<String> FUNCTIONS =
      List.of(
          "cuDeviceGetName",
          "cudaDeviceGetAttribute",
          "cudaFree",
          "cudaGetDeviceCount",
          "cudaGetErrorName",
          "cudaGetErrorString",
          "cudaGetLastError",
          "cudaMalloc",
          "cudaMemcpyAsync",
          "cudaMemsetAsync",
          "cudaRuntimeGetVersion",
          "cudaSetDevice",
          "cudaStreamCreateWithFlags",
          "cudaStreamDestroy",
          "cudaStreamSynchronize",
          "cudnnCreate",
          "cudnnCreateDropoutDescriptor",
          "cudnnCreateRNNDataDescriptor",
          "cudnnCreateRNNDescriptor",
          "cudnnCreateTensorDescriptor",
          "cudnnDestroy",
          "cudnnDestroyDropoutDescriptor",
          "cudnnDestroyRNNDataDescriptor",
          "cudnnDestroyRNNDescriptor",
          "cudnnDestroyTensorDescriptor",
          "cudnnGetErrorString",
          "cudnnGetLastErrorString",
          "cudnnGetRNNTempSpaceSizes",
          "cudnnGetRNNWeightParams",
          "cudnnGetRNNWeightSpaceSize",
          "cudnnGetTensorNdDescriptor",
          "cudnnGetVersion",
          "cudnnRNNForward",
          "cudnnSetDropoutDescriptor",
          "cudnnSetRNNDataDescriptor",
          "cudnnSetRNNDescriptor_v8",
          "cudnnSetStream",
          "cudnnSetTensorNdDescriptor");

  private PresetsLibrary() {}

  /**
   * Loads everything.
   *
   * @return the functions, all of which are there
   * @throws GatefuseException {@link Code#BACKEND_UNAVAILABLE}, saying what is missing
   */
  static CudnnApi load() {
    checkClasses(PresetsLibrary.class.getClassLoader());
    try {
      checkGlue(Loader.getPlatform());
      Loader.load(cudart.class);
      Loader.load(cudnn.class);
      LIBRARIES.forEach(Loader::loadGlobal);
      checkFunctions(name -> Loader.addressof(name) != null);
    } catch (LinkageError | RuntimeException e) {
      throw e instanceof GatefuseException refusal ? refusal : notLoaded(e);
    }
    return new PresetsApi();
  }

  /** The presets are an optional dependency. */
  static void checkClasses(ClassLoader loader) {
    try {
      Class.forName(CLASS, false, loader);
    } catch (ClassNotFoundException | LinkageError e) {
      throw unavailable(
          "expected the jar of %s and the same with classifier linux-x86_64 on the class path (on the"
                  .formatted(JAR)
              + " module path also --add-modules org.bytedeco.cuda,org.bytedeco.cuda.linux.x86_64),"
              + " found no class "
              + CLASS,
          e);
    }
  }

  /** The jar of classes and that of native code are two. */
  static void checkGlue(String platform) {
    String resource = "/org/bytedeco/cuda/" + platform + "/libjnicudnn.so";
    try {
      if (Loader.findResource(cudnn.class, resource) != null) {
        return;
      }
    } catch (IOException e) {
      throw unavailable("the jar of " + JAR + " cannot be read: " + e.getMessage(), e);
    }
    throw unavailable(
        "expected the jar of %s with classifier %s, found none".formatted(JAR, platform), null);
  }

  /** The presets may be of a later version than the machine's libraries. */
  static void checkFunctions(Predicate<String> isThere) {
    List<String> missing = FUNCTIONS.stream().filter(isThere.negate()).toList();
    if (!missing.isEmpty()) {
      throw unavailable(
          "the libraries of CUDA and cuDNN here have no "
              + String.join(", ", missing)
              + "; expected CUDA 13 and a later cuDNN 9",
          null);
    }
  }

  /** What the JVM or the dynamic linker said, which names the library. */
  static GatefuseException notLoaded(Throwable failure) {
    Throwable root = failure;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return unavailable(
        "expected the NVIDIA driver, CUDA 13 and cuDNN 9 in the system's folders or in"
            + " LD_LIBRARY_PATH; loading says "
            + oneLine(String.valueOf(root.getMessage())),
        failure);
  }

  private static String oneLine(String message) {
    return message.strip().replaceAll("\\s*\\R\\s*", "; ");
  }

  private static GatefuseException unavailable(String sentence, Throwable cause) {
    return new GatefuseException(Code.BACKEND_UNAVAILABLE, sentence, cause);
  }
}
