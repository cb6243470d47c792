// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendSession;
import java.nio.Buffer;
import java.util.concurrent.Semaphore;

/**
 * The best backend that runs here, but for runs that wait until they are let go, or fail, as a test
 * says. Thread-safe.
 */
public final class UnreliableBackend implements BackendModel {
  private static final int FREE = Integer.MAX_VALUE / 2;

  private final BackendModel model;
  private final Semaphore permits = new Semaphore(FREE);
  private final Semaphore begun = new Semaphore(0);
  private volatile RuntimeException failure;
  private volatile boolean stateRows;

  private UnreliableBackend(BackendModel model) {
    this.model = model;
    this.stateRows = model.hasStateRows();
  }

  /** A network, and what makes its backend unreliable. */
  public record Network(Rnn rnn, UnreliableBackend backend) implements AutoCloseable {
    @Override
    public void close() {
      rnn.close();
    }
  }

  /** Makes a network. */
  public static Network network(RnnSpec spec, Weights weights) {
    Backends.Choice choice = Backends.installed().create(spec, weights, RnnOptions.DEFAULT);
    UnreliableBackend backend = new UnreliableBackend(choice.model());
    Backends.Choice own = new Backends.Choice(choice.backend(), backend, choice.refused());
    return new Network(new Rnn(spec, Fingerprint.of(spec, weights), own), backend);
  }

  /** From now on runs wait. */
  public void hold() {
    permits.drainPermits();
    begun.drainPermits();
  }

  /** Waits until so many further runs have begun. */
  public void awaitRuns(int count) throws InterruptedException {
    begun.acquire(count);
  }

  /** Lets all runs go. */
  public void letGo() {
    permits.release(FREE);
  }

  /** From now on runs fail with this; null for not. */
  public void failWith(RuntimeException value) {
    failure = value;
  }

  /** As a backend that cannot pick states by row. */
  public void withoutStateRows() {
    stateRows = false;
  }

  @Override
  public boolean hasStateRows() {
    return stateRows;
  }

  @Override
  public BackendSession session(SessionOptions options) {
    BackendSession session = model.session(options);
    return new BackendSession() {
      @Override
      public BackendCall call() {
        return new Call(session.call());
      }

      @Override
      public ExecutionPath path() {
        return session.path();
      }

      @Override
      public long bytes() {
        return session.bytes();
      }

      @Override
      public void close() {
        session.close();
      }
    };
  }

  @Override
  public void update(Parameters parameters) {
    model.update(parameters);
  }

  @Override
  public long bytes() {
    return model.bytes();
  }

  @Override
  public void close() {
    model.close();
  }

  private final class Call implements BackendCall {
    private final BackendCall call;

    Call(BackendCall call) {
      this.call = call;
    }

    @Override
    public void bind(Argument argument, Buffer buffer) {
      call.bind(argument, buffer);
    }

    @Override
    public void stateCapacity(int rows) {
      call.stateCapacity(rows);
    }

    @Override
    public void shape(int steps, int batch, boolean batchMajor) {
      call.shape(steps, batch, batchMajor);
    }

    @Override
    public void run() {
      begun.release();
      permits.acquireUninterruptibly();
      permits.release();
      RuntimeException thrown = failure;
      if (thrown != null) {
        throw thrown;
      }
      call.run();
    }
  }
}
