// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.binding.GatefuseNative;
import org.bytedeco.javacpp.Loader;

/**
 * Finds the library of the CUDA backend and hands it to the native library, or says why not and
 * what helps. Thread-safe.
 */
final class CudaLibrary {
  /** The absolute path of another library, for tests and development: not for AUTO to take. */
  static final String PROPERTY = "gatefuse.cuda.library";

  private static final String NAME = "libgatefuse_cuda.so";

  private CudaLibrary() {}

  /**
   * Loads the library. A process has one: where it is loaded already, that one stays.
   *
   * @throws GatefuseException {@link Code#BACKEND_UNAVAILABLE} if it cannot be had or does not run
   *     here
   */
  static void load() {
    NativeLibrary.load();
    if (isNamed()) {
      loadNamed();
    } else {
      load(path());
    }
  }

  /**
   * The library that {@link #load} loads.
   *
   * @throws GatefuseException {@link Code#BACKEND_UNAVAILABLE} if it cannot be had
   */
  static String path() {
    return isNamed()
        ? System.getProperty(PROPERTY)
        : NativeLibrary.extract(Loader.getPlatform() + "-gpu", NAME);
  }

  /** Whether the property names another library. */
  static boolean isNamed() {
    return !System.getProperty(PROPERTY, "").isEmpty();
  }

  private static void loadNamed() {
    try {
      load(path());
    } catch (IllegalArgumentException e) {
      throw unavailable("system property " + PROPERTY + ": " + e.getMessage(), e);
    }
  }

  private static void load(String path) {
    Native.check(GatefuseNative.gf_backend_load(Native.text(path)));
  }

  private static GatefuseException unavailable(String message, Throwable cause) {
    return new GatefuseException(Code.BACKEND_UNAVAILABLE, message, cause);
  }
}
