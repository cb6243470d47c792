// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.binding.NativeConfig;
import java.io.File;
import java.io.IOException;
import java.net.URL;
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
      load(extract(Loader.getPlatform() + "-gpu"));
    }
  }

  /** Whether the property names another library. */
  static boolean isNamed() {
    return !System.getProperty(PROPERTY, "").isEmpty();
  }

  private static void loadNamed() {
    try {
      load(System.getProperty(PROPERTY));
    } catch (IllegalArgumentException e) {
      throw unavailable("system property " + PROPERTY + ": " + e.getMessage(), e);
    }
  }

  private static void load(String path) {
    Native.check(GatefuseNative.gf_backend_load(Native.text(path)));
  }

  /**
   * The library of the jar with a classifier, copied into JavaCPP's cache folder: each jar has a
   * folder of its own there.
   */
  static String extract(String classifier) {
    try {
      URL resource = Loader.findResource(NativeConfig.class, classifier + "/" + NAME);
      if (resource == null) {
        throw unavailable(
            ("expected the jar of io.github.gatefuse:gatefuse with classifier " + classifier)
                + " on the class path or module path, found none",
            null);
      }
      File file = Loader.cacheResource(resource);
      if (file == null) {
        throw new IOException("nothing was copied");
      }
      return file.getAbsolutePath();
    } catch (IOException e) {
      throw unavailable(
          NAME + " could not be copied into JavaCPP's cache folder: " + e.getMessage(), e);
    }
  }

  private static GatefuseException unavailable(String message, Throwable cause) {
    return new GatefuseException(Code.BACKEND_UNAVAILABLE, message, cause);
  }
}
