// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.onnxruntime;

import io.github.gatefuse.internal.OnnxRuntimeLibrary;

/**
 * GateFuse as custom operators of ONNX Runtime, on its CPU provider and, where they are asked for,
 * on its CUDA provider.
 *
 * <pre>{@code
 * OrtSession.SessionOptions options = new OrtSession.SessionOptions();
 * options.registerCustomOpLibrary(GatefuseOrt.libraryPath());
 * OrtSession session = environment.createSession(OnnxRewriter.rewrite(model).model(), options);
 * }</pre>
 *
 * <p>Thread-safe.
 */
public final class GatefuseOrt {
  /** The domain of the operators LSTM, GRU, RefineLSTM and RefineGRU; its version is 1. */
  public static final String DOMAIN = "io.github.gatefuse";

  /**
   * The key of an entry of the session options, added before the library is registered: the most
   * threads of a run, the caller's included. 0, the default: as many as the process may use.
   */
  public static final String THREADS = "gatefuse.threads";

  /**
   * The key of an entry of the session options, added before the library is registered: with the
   * value 1 the standard's own LSTM and GRU are replaced, too, in every model of these options.
   * What the operators do not have is then an error when the session is created.
   */
  public static final String OVERRIDE = "gatefuse.override_standard_operators";

  /**
   * The key of an entry of the session options, added before the library is registered: {@link
   * #cudaLibraryPath}. The operators are then registered for ONNX Runtime's CUDA provider, too, or
   * the registration fails and says why. Without it they are where the process has loaded the CUDA
   * backend by then, as for a network of its own.
   */
  public static final String CUDA_LIBRARY = "gatefuse.cuda.library";

  /**
   * The key of an entry of the session options, added before the library is registered: the number
   * of the device that ONNX Runtime's CUDA provider is on; 0, the default, as there.
   */
  public static final String CUDA_DEVICE = "gatefuse.cuda.device";

  private GatefuseOrt() {}

  /**
   * The library of the CUDA backend, for {@link #CUDA_LIBRARY}. It is copied out of the jar with
   * classifier {@code linux-x86_64-gpu} on first use.
   *
   * @return its absolute path
   * @throws io.github.gatefuse.GatefuseException BACKEND_UNAVAILABLE if the jar is not there, with
   *     what helps
   */
  public static String cudaLibraryPath() {
    return OnnxRuntimeLibrary.cudaPath();
  }

  /**
   * The library to register, once for each object of session options. It is copied out of the jar
   * of native libraries on first use, and needs ONNX Runtime 1.20 or a later 1.x.
   *
   * @return its absolute path
   * @throws io.github.gatefuse.GatefuseException BACKEND_UNAVAILABLE if the native libraries cannot
   *     be had, with the reason and what helps
   */
  public static String libraryPath() {
    return OnnxRuntimeLibrary.path();
  }
}
