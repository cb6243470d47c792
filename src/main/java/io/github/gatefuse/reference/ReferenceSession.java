// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.reference;

import io.github.gatefuse.Backward;
import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.spi.BackendBackwardCall;
import io.github.gatefuse.spi.BackendCall;
import io.github.gatefuse.spi.BackendSession;

/**
 * A session of the reference. For the way back it keeps what the last call read and no more, and
 * runs that call again, whether it is to store or to recompute. One thread at a time.
 */
final class ReferenceSession implements BackendSession {
  private final ReferenceModel model;
  private final SessionOptions options;
  private ReferenceNetwork.Inputs lastInputs;

  ReferenceSession(ReferenceModel model, SessionOptions options) {
    this.model = model;
    this.options = options;
  }

  @Override
  public BackendCall call() {
    return new ReferenceCall(this);
  }

  @Override
  public BackendBackwardCall backward() {
    return new ReferenceBackwardCall(this);
  }

  @Override
  public ExecutionPath path() {
    return model.path(options.regularization());
  }

  @Override
  public long bytes() {
    return model.sessionBytes(options);
  }

  @Override
  public void close() {
    lastInputs = null; // The garbage collector frees all that there is.
  }

  /** The network as it is now. */
  ReferenceNetwork network() {
    return model.network();
  }

  Regularization regularization() {
    return options.regularization();
  }

  /** Keeps the inputs of a call that succeeded, for the way back. */
  void remember(ReferenceNetwork.Inputs inputs) {
    lastInputs = options.backward() == Backward.NONE ? null : inputs;
  }

  ReferenceNetwork.Inputs lastInputs() {
    return lastInputs;
  }
}
