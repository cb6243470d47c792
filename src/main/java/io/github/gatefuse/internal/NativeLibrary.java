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
 * Loads the native library, once, or says why not and what helps. Thread-safe.
 *
 * <p>JavaCPP copies the libraries from their jars into a cache folder and loads them from there.
 * Where another class loader of this JVM already holds them, it loads a further copy of the JNI
 * library.
 */
final class NativeLibrary {
  /** Moves the cache folder. */
  private static final String CACHE_PROPERTY = "org.bytedeco.javacpp.cachedir";

  private NativeLibrary() {}

  /** Made on first use: the JVM runs it once and lets other threads wait. */
  private static final class Once {
    static final GatefuseException FAILURE = tryToLoad();
  }

  /**
   * Loads the library if it is not loaded yet. Call it before anything else of the binding.
   *
   * @throws GatefuseException {@link Code#BACKEND_UNAVAILABLE} if it cannot be had; the same
   *     sentence each time
   */
  static void load() {
    if (Once.FAILURE != null) {
      throw unavailable(Once.FAILURE.getMessage(), Once.FAILURE.getCause());
    }
  }

  /**
   * A library of the jar with a classifier, copied into JavaCPP's cache folder: each jar has a
   * folder of its own there.
   *
   * @return its absolute path
   * @throws GatefuseException {@link Code#BACKEND_UNAVAILABLE} if it cannot be had
   */
  static String extract(String classifier, String name) {
    try {
      URL resource = Loader.findResource(NativeConfig.class, classifier + "/" + name);
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
          name + " could not be copied into JavaCPP's cache folder: " + e.getMessage(), e);
    }
  }

  private static GatefuseException tryToLoad() {
    try {
      Loader.load(GatefuseNative.class);
      return checkVersion(GatefuseNative.gf_version());
    } catch (LinkageError | RuntimeException e) {
      return unavailable(explain(e), e);
    }
  }

  /** The rule is in gatefuse.h: the same major version, at least our minor version. */
  static GatefuseException checkVersion(int version) {
    int major = GatefuseNative.GF_VERSION_MAJOR;
    int minor = GatefuseNative.GF_VERSION_MINOR;
    if (version / 1000 == major && version % 1000 >= minor) {
      return null;
    }
    String message =
        "the native library has interface version %d.%d, expected %d.%d or a later %d.x:"
            + " use jars of one version";
    return unavailable(
        message.formatted(version / 1000, version % 1000, major, minor, major), null);
  }

  private static GatefuseException unavailable(String message, Throwable cause) {
    return new GatefuseException(Code.BACKEND_UNAVAILABLE, message, cause);
  }

  /** The first of the known reasons that holds, else what the JVM said. */
  private static String explain(Throwable failure) {
    String platform = Loader.getPlatform();
    if (!platform.equals("linux-x86_64")) {
      return "there are no native libraries for " + platform + ", only for linux-x86_64";
    }
    if (!isBundled(platform + "/libjnigatefuse.so")) {
      return "expected the jar of io.github.gatefuse:gatefuse with classifier "
          + platform
          + " on the class path or module path, found none";
    }
    if (Loader.class.getClassLoader() != NativeLibrary.class.getClassLoader()) {
      return "expected JavaCPP and GateFuse in one class loader, or the JVM option"
          + " --add-opens=java.base/java.lang=ALL-UNNAMED: "
          + rootMessage(failure);
    }
    return explainCache(failure);
  }

  private static String explainCache(Throwable failure) {
    try {
      File folder = Loader.getCacheDir();
      return "the native library could not be loaded from the cache folder %s (%s); if that folder is"
              .formatted(folder, rootMessage(failure))
          + " full, mounted noexec or not to be written, move it with -D"
          + CACHE_PROPERTY
          + "=<folder>";
    } catch (IOException e) {
      return "expected a cache folder that can be written, found none; set -D"
          + CACHE_PROPERTY
          + "=<folder> (JavaCPP tries that, ~/.javacpp/cache and the folder of java.io.tmpdir)";
    }
  }

  /** Whether a jar of native libraries is there. */
  private static boolean isBundled(String name) {
    try {
      return Loader.findResource(NativeConfig.class, name) != null;
    } catch (IOException e) {
      return false;
    }
  }

  private static String rootMessage(Throwable failure) {
    Throwable root = failure;
    while (root.getCause() != null) {
      root = root.getCause();
    }
    return String.valueOf(root.getMessage());
  }
}
