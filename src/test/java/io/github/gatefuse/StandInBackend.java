// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendSession;
import io.github.gatefuse.testing.Networks;
import java.nio.Buffer;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Map;

/**
 * A backend that takes no time, for tests of what is around a network: to it, every target has the
 * probability 1/2.
 */
public final class StandInBackend implements BackendModel {
  private StandInBackend() {}

  /** A network that is computed by this. */
  public static Rnn network(RnnSpec spec) {
    return new Rnn(
        spec,
        Fingerprint.of(spec, Networks.weights(spec, 1)),
        new Backends.Choice(Backend.CPU, new StandInBackend(), List.of()));
  }

  @Override
  public BackendSession session(SessionOptions options) {
    return new BackendSession() {
      @Override
      public BackendCall call() {
        return new Call();
      }

      @Override
      public ExecutionPath path() {
        return new ExecutionPath(Backend.CPU, "", "", "", 1, "", Map.of());
      }

      @Override
      public long bytes() {
        return 0;
      }

      @Override
      public void close() {}
    };
  }

  @Override
  public long bytes() {
    return 0;
  }

  @Override
  public void close() {}

  private static final class Call implements BackendCall {
    @Override
    public void bind(Argument argument, Buffer buffer) {
      if (argument == Argument.TARGET_LOG_PROBABILITIES && buffer != null) {
        FloatBuffer out = (FloatBuffer) buffer;
        for (int i = 0; i < out.limit(); i++) {
          out.put(i, (float) -Math.log(2));
        }
      }
    }

    @Override
    public void shape(int steps, int batch, boolean batchMajor) {}

    @Override
    public void run() {}
  }
}
