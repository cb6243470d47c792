// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import ai.djl.Device;
import ai.djl.Model;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDManager;
import io.github.gatefuse.Rnn;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/**
 * DJL's engine that runs gated recurrent networks of safetensors files by GateFuse. It infers; it
 * does not train, and its arrays do no arithmetic.
 *
 * <p>Thread-safe.
 */
public final class GatefuseEngine extends Engine {
  /** The engine's name, for {@code Criteria.optEngine}. */
  public static final String NAME = "GateFuse";

  /**
   * Behind the engines that run any model, so that it is nobody's default by accident, and before
   * DJL's client of remote models.
   */
  static final int RANK = 14;

  private static final String VERSION =
      "/META-INF/maven/io.github.gatefuse/gatefuse/pom.properties";

  GatefuseEngine() {}

  /** None: arrays of other engines are taken as inputs, but none is needed. */
  @Override
  public Engine getAlternativeEngine() {
    return null;
  }

  @Override
  public String getEngineName() {
    return NAME;
  }

  @Override
  public int getRank() {
    return RANK;
  }

  /**
   * The version of GateFuse.
   *
   * @return such as {@code 1.0.0}
   */
  @Override
  public String getVersion() {
    try (InputStream in = Rnn.class.getResourceAsStream(VERSION)) {
      if (in == null) {
        return "unknown (not run from a jar)";
      }
      Properties properties = new Properties();
      properties.load(in);
      return properties.getProperty("version");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** None that DJL asks for: arrays are in host memory, also where a GPU computes. */
  @Override
  public boolean hasCapability(String capability) {
    return false;
  }

  /**
   * A model to load.
   *
   * @param name what the file is called, without {@code .safetensors}
   * @param device a GPU has the network run on CUDA there, the CPU on the CPU; null leaves it to
   *     the option {@code backend}
   * @return a model that the caller owns and closes
   */
  @Override
  public Model newModel(String name, Device device) {
    return new GatefuseModel(name, newBaseManager(), device);
  }

  @Override
  public NDManager newBaseManager() {
    return GatefuseNDManager.system().newSubManager();
  }

  @Override
  public NDManager newBaseManager(Device device) {
    return newBaseManager();
  }
}
