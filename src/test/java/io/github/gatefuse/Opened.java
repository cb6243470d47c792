// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.BackendProvider;
import java.util.List;

/** Networks on a provider that is not installed. */
public final class Opened {
  private Opened() {}

  /** A network on this provider. */
  public static Rnn network(RnnSpec spec, Weights weights, BackendProvider provider) {
    return new Rnn(spec, new Backends(List.of(provider)).create(spec, weights, provider.backend()));
  }
}
