// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import java.util.Locale;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What computes a network.
 *
 * <p>Immutable and thread-safe.
 */
public enum Backend {
  /**
   * The best that runs here: CUDA, else CPU, else the reference; never cuDNN. A log line says
   * which, once.
   */
  AUTO("auto"),
  /** The pure-Java reference, on every platform; readable before fast. */
  REFERENCE("reference"),
  /** Native code for the processor's vector instructions. */
  CPU("cpu"),
  /** CUDA kernels on an NVIDIA GPU. */
  CUDA("cuda"),
  /**
   * NVIDIA's cuDNN, for its standard cells; only when asked for, since it does not keep the bit
   * contracts.
   */
  CUDNN("cudnn");

  private final String id;

  Backend(String id) {
    this.id = id;
  }

  /**
   * The name in properties and on the command line, such as {@code cpu}.
   *
   * @return the name, lower case
   */
  public String id() {
    return id;
  }

  /**
   * Finds a backend by its {@link #id()}.
   *
   * @param id such as {@code cpu}; case does not matter
   * @return the backend
   * @throws IllegalArgumentException if there is none, naming all that there are
   */
  public static Backend of(String id) {
    for (Backend backend : values()) {
      if (backend.id.equals(id.toLowerCase(Locale.ROOT))) {
        return backend;
      }
    }
    throw new IllegalArgumentException(
        "backend: expected one of "
            + Stream.of(values()).map(Backend::id).collect(Collectors.joining(", "))
            + "; got "
            + id);
  }
}
