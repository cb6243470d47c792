// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Backend;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.Precision;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Weights;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendProvider;
import java.util.EnumSet;
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
    return new ReferenceModel(spec, weights, options.precision());
  }

  static String device() {
    return System.getProperty("java.vm.name") + " " + System.getProperty("java.vm.version");
  }
}
