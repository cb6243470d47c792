// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.BackendProvider;
import java.util.List;

/** Networks on a provider that is not installed. */
public final class Opened {
  private Opened() {}

  /** A network on this provider. */
  public static Rnn network(RnnSpec spec, Weights weights, BackendProvider provider) {
    return network(spec, weights, provider, RnnOptions.DEFAULT);
  }

  /** The same with options of any backend, which are used with this one. */
  public static Rnn network(
      RnnSpec spec, Weights weights, BackendProvider provider, RnnOptions options) {
    RnnOptions own = options.withBackend(provider.backend());
    return new Rnn(
        spec,
        Fingerprint.of(spec, weights),
        new Backends(List.of(provider)).create(spec, weights, own));
  }
}
