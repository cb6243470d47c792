// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Weights;
import io.github.gatefuse.spi.BackendCall;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendProvider;
import io.github.gatefuse.spi.BackendSession;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;

/**
 * Makes the pure-Java reference a backend, with the {@link Rounding#of} each precision. Its values
 * are float32, so that a state carried between calls is exactly the state within a call.
 *
 * <p>Thread-safe.
 */
public final class ReferenceBackendProvider implements BackendProvider {
  /** Made by {@link java.util.ServiceLoader}. */
  public ReferenceBackendProvider() {}

  @Override
  public Backend backend() {
    return Backend.REFERENCE;
  }

  /** Behind every other backend. */
  @Override
  public int priority() {
    return 0;
  }

  @Override
  public DeviceReport probe() {
    return DeviceReport.on(Backend.REFERENCE, device(), "pure Java, readable before fast");
  }

  @Override
  public Set<Precision> precisions() {
    return EnumSet.allOf(Precision.class);
  }

  @Override
  public BackendModel create(RnnSpec spec, Weights weights, RnnOptions options) {
    Rounding rounding = Rounding.of(options.precision());
    return new Model(new ReferenceNetwork(spec, weights, rounding), options.precision());
  }

  private static String device() {
    return System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version");
  }

  private record Model(ReferenceNetwork network, Precision precision) implements BackendModel {
    @Override
    public BackendSession session(SessionOptions options) {
      return new Session(network, precision);
    }

    @Override
    public long bytes() {
      return network.bytes();
    }

    @Override
    public void close() {
      // The garbage collector frees all that there is.
    }
  }

  private record Session(ReferenceNetwork network, Precision precision) implements BackendSession {
    @Override
    public BackendCall call() {
      return new ReferenceCall(network);
    }

    @Override
    public ExecutionPath path() {
      return new ExecutionPath(
          Backend.REFERENCE,
          device(),
          "jvm",
          precision.id(),
          1,
          "pure Java, readable before fast",
          Map.of());
    }

    /** Nothing is kept between calls. */
    @Override
    public long bytes() {
      return 0;
    }

    @Override
    public void close() {
      // The garbage collector frees all that there is.
    }
  }
}
