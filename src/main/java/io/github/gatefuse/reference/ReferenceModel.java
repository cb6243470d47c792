// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Backward;
import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.Parameters;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Weights;
import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendSession;
import java.util.EnumSet;
import java.util.Set;

/** A network of the reference, made anew by an update. Thread-safe. */
final class ReferenceModel implements BackendModel {
  private static final Argument[] INPUTS = {
    Argument.INPUT,
    Argument.TOKENS,
    Argument.LENGTHS,
    Argument.INITIAL_HIDDEN,
    Argument.INITIAL_CELL
  };

  private final RnnSpec spec;
  private final Precision precision;
  private volatile ReferenceNetwork network;

  ReferenceModel(RnnSpec spec, Weights weights, Precision precision) {
    this.spec = spec;
    this.precision = precision;
    set(weights);
  }

  private void set(Weights weights) {
    network = new ReferenceNetwork(spec, weights, Rounding.of(precision));
  }

  /** The network as it is now. */
  ReferenceNetwork network() {
    return network;
  }

  @Override
  public Set<Backward> backwards() {
    return EnumSet.allOf(Backward.class);
  }

  @Override
  public boolean hasRegularization() {
    return true;
  }

  @Override
  public boolean hasStateRows() {
    return true;
  }

  @Override
  public void update(Parameters parameters) {
    set(parameters.toWeights());
  }

  @Override
  public BackendSession session(SessionOptions options) {
    return new ReferenceSession(this, options);
  }

  /** The inputs of a call where there is a way back, otherwise nothing is kept between calls. */
  @Override
  public long sessionBytes(SessionOptions options) {
    long bytes = 0;
    for (Argument input : INPUTS) {
      boolean unused =
          switch (input) {
            case INPUT -> spec.vocabulary() > 0;
            case TOKENS -> spec.vocabulary() == 0;
            case INITIAL_CELL -> !spec.cell().hasCellState();
            default -> false;
          };
      if (!unused) {
        long count = input.count(spec, options.maxSteps(), options.maxBatch());
        bytes += count * (input.integers() ? Integer.BYTES : Double.BYTES);
      }
    }
    return options.backward() == Backward.NONE ? 0 : bytes;
  }

  ExecutionPath path(Regularization regularization) {
    return new ExecutionPath(
        Backend.REFERENCE,
        ReferenceBackendProvider.device(),
        "jvm",
        precision.id(),
        1,
        "pure Java, readable before fast",
        regularization.rates());
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
