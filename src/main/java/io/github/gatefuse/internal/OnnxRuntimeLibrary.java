// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import org.bytedeco.javacpp.Loader;

/** Finds the library that ONNX Runtime loads. Thread-safe. */
public final class OnnxRuntimeLibrary {
  private static final String NAME = "libgatefuse_onnxruntime.so";

  private OnnxRuntimeLibrary() {}

  /**
   * The library in JavaCPP's cache folder.
   *
   * @return its absolute path
   * @throws io.github.gatefuse.GatefuseException BACKEND_UNAVAILABLE if it cannot be had
   */
  public static String path() {
    // First, so that the library finds the one that it stands on in the process.
    NativeLibrary.load();
    return NativeLibrary.extract(Loader.getPlatform(), NAME);
  }

  /**
   * The library of the CUDA backend, which this one loads where it is told to.
   *
   * @return its absolute path
   * @throws io.github.gatefuse.GatefuseException BACKEND_UNAVAILABLE if it cannot be had
   */
  public static String cudaPath() {
    NativeLibrary.load();
    return CudaLibrary.path();
  }
}
