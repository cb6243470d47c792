// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.engine.Engine;
import ai.djl.engine.EngineProvider;

/**
 * Makes {@link GatefuseEngine} known to DJL, which finds it as a service.
 *
 * <p>Thread-safe.
 */
public final class GatefuseEngineProvider implements EngineProvider {
  /** Made on first use: an engine that nobody asks for costs nothing. */
  private static final class Holder {
    static final Engine ENGINE = new GatefuseEngine();
  }

  /** For the service loader. */
  public GatefuseEngineProvider() {}

  @Override
  public String getEngineName() {
    return GatefuseEngine.NAME;
  }

  @Override
  public int getEngineRank() {
    return GatefuseEngine.RANK;
  }

  @Override
  public Engine getEngine() {
    return Holder.ENGINE;
  }
}
