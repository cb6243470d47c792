// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.spi;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import java.nio.ByteBuffer;
import java.util.Set;

/**
 * Makes models of one backend. Implementations have a public constructor without parameters, whose
 * work is cheap: native libraries are loaded by {@link #probe}.
 *
 * <p>Implementations are thread-safe.
 */
public interface BackendProvider {
  /**
   * Which backend this is.
   *
   * @return never {@link Backend#AUTO}
   */
  Backend backend();

  /**
   * The place in the order in which {@link Backend#AUTO} tries backends.
   *
   * @return the greatest is tried first; negative for a backend that is used only when asked for
   */
  int priority();

  /**
   * Finds out whether the backend runs on this machine, and loads what it needs.
   *
   * @return the report; if it does not run, the reason is one sentence of what was found and what
   *     is needed
   */
  DeviceReport probe();

  /**
   * The precisions that any of the backend's devices has. Which one has it, {@link #create} says.
   *
   * @return float32 alone, unless an implementation has more
   */
  default Set<Precision> precisions() {
    return Set.of(Precision.FLOAT32);
  }

  /**
   * Makes a model.
   *
   * @param spec the network
   * @param weights its parameters, already held against the network; read before the call returns
   * @param options for this backend: one of its precisions, a device of its report
   * @return a model that the caller owns
   * @throws GatefuseException if the backend or its device does not run such a model here, or
   *     memory runs out
   */
  BackendModel create(RnnSpec spec, Weights weights, RnnOptions options);

  /**
   * Allocates host memory that the backend's devices read and write by themselves.
   *
   * @param bytes at least 1
   * @return memory of zeros, that the caller owns
   * @throws GatefuseException if the backend does not run here, or memory runs out
   */
  default HostMemory pinned(int bytes) {
    return new HostMemory(ByteBuffer.allocateDirect(bytes), () -> {});
  }
}
