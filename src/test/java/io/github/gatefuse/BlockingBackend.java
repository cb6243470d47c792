// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendSession;
import io.github.gatefuse.testing.Networks;
import java.nio.Buffer;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/** A backend whose runs wait until they are let go, and that tells what is bound and closed. */
final class BlockingBackend implements BackendModel {
  final CountDownLatch running = new CountDownLatch(1);
  final CountDownLatch letGo = new CountDownLatch(1);
  final Map<Argument, Buffer> bound = new ConcurrentHashMap<>();
  final AtomicInteger modelsClosed = new AtomicInteger();
  final AtomicInteger sessionsClosed = new AtomicInteger();
  final AtomicInteger updates = new AtomicInteger();
  volatile boolean refuseSessions;
  volatile boolean hasStreams;

  Rnn network(RnnSpec spec) {
    return new Rnn(
        spec,
        Fingerprint.of(spec, Networks.weights(spec, 1)),
        new Backends.Choice(Backend.CPU, this, List.of()));
  }

  @Override
  public BackendSession session(SessionOptions options) {
    if (refuseSessions) {
      throw new GatefuseException(GatefuseException.Code.OUT_OF_MEMORY, "no memory");
    }
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
      public void close() {
        sessionsClosed.incrementAndGet();
      }
    };
  }

  @Override
  public boolean hasStreams() {
    return hasStreams;
  }

  @Override
  public void update(Parameters parameters) {
    updates.incrementAndGet();
  }

  @Override
  public long bytes() {
    return 0;
  }

  @Override
  public void close() {
    modelsClosed.incrementAndGet();
  }

  private final class Call implements BackendCall {
    @Override
    public void bind(Argument argument, Buffer buffer) {
      if (buffer == null) {
        bound.remove(argument);
      } else {
        bound.put(argument, buffer);
      }
    }

    @Override
    public void shape(int steps, int batch, boolean batchMajor) {}

    @Override
    public void run() {
      running.countDown();
      try {
        letGo.await();
      } catch (InterruptedException e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
