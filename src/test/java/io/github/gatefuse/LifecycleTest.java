// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Close is idempotent, use after it is an error in words, and nothing is freed while it is used.
 */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
class LifecycleTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 3, 4);

  static Stream<Target> targets() {
    return Target.all().stream();
  }

  private static void assertState(String message, Executable body) {
    assertEquals(message, assertThrows(IllegalStateException.class, body).getMessage());
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void useAfterCloseIsAnError(Target target) {
    target.assumeAvailable();
    Rnn rnn = target.create(SPEC, Networks.weights(SPEC, 1));
    Session session = rnn.session(2, 2);
    FloatBuffer x = Networks.floats(12);
    FloatBuffer y = Networks.floats(16);
    ForwardCall call = session.call().input(x).output(y);
    State state = session.newState(2);
    session.close();
    session.close();
    assertState("session is closed", () -> call.run(1, 1));
    assertState("session is closed", () -> call.input(Networks.floats(12)));
    assertState("session is closed", () -> call.state(state));
    assertState("session is closed", () -> call.batchMajor(true));
    assertState("session is closed", session::call);
    assertState("session is closed", () -> session.forward(1, 1, x, y));
    assertState("session is closed", () -> session.forward(1, 1, new float[3]));
    assertState("session is closed", () -> session.step(x, state, y));
    assertEquals(target.backend(), session.path().backend());
    rnn.close();
    rnn.close();
    assertState("network is closed", () -> rnn.session(1, 1));
    assertEquals(SPEC, rnn.spec());
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void aNetworkOutlivesItsSessions(Target target) {
    target.assumeAvailable();
    Rnn rnn = target.create(SPEC, Networks.weights(SPEC, 1));
    Session first = rnn.session(2, 2);
    Session second = rnn.session(2, 2);
    assertState("network: expected all sessions to be closed before it, got 2 open", rnn::close);
    first.close();
    first.close();
    assertState("network: expected all sessions to be closed before it, got 1 open", rnn::close);
    second.forward(1, 1, new float[3]);
    second.close();
    try (Session third = rnn.session(2, 2)) {
      third.forward(2, 2, new float[12]);
    }
    rnn.close();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void manyNetworksComeAndGo(Target target) {
    target.assumeAvailable();
    float[] first = null;
    for (int i = 0; i < 200; i++) {
      try (Rnn rnn = target.create(SPEC, Networks.weights(SPEC, 1));
          Session session = rnn.session(1 + i % 5, 1 + i % 3)) {
        float[] y = session.forward(1, 1, new float[] {1, 2, 3});
        first = first == null ? y : first;
        assertArrayEquals(first, y);
      }
    }
  }

  @Test
  void aSessionThatCannotBeMadeLeavesNothingOpen() {
    BlockingBackend backend = new BlockingBackend();
    Rnn rnn = backend.network(SPEC);
    backend.refuseSessions = true;
    GatefuseException refused = assertThrows(GatefuseException.class, () -> rnn.session(1, 1));
    assertEquals(GatefuseException.Code.OUT_OF_MEMORY, refused.code());
    rnn.close();
    assertEquals(1, backend.modelsClosed.get());
  }

  @Test
  void aSecondThreadIsRefusedAndClosesNothing() throws InterruptedException {
    BlockingBackend blocking = new BlockingBackend();
    Rnn rnn = blocking.network(SPEC);
    Session session = rnn.session(2, 2);
    FloatBuffer x = Networks.floats(3);
    FloatBuffer y = Networks.floats(4);
    ForwardCall call = session.call().input(x).output(y);
    List<Throwable> failures = new ArrayList<>();
    Thread user = new Thread(() -> call.run(1, 1));
    user.setUncaughtExceptionHandler((thread, failure) -> failures.add(failure));
    user.start();
    blocking.running.await();

    String busy = "session is in use by another thread";
    assertState(busy, () -> call.run(1, 1));
    assertState(busy, () -> call.input(Networks.floats(3)));
    assertState(busy, () -> session.step(x, session.newState(1), y));
    assertState(busy, () -> session.forward(1, 1, new float[3]));
    assertState(busy, session::call);
    assertState(busy + " and stays open", session::close);
    assertState("network: expected all sessions to be closed before it, got 1 open", rnn::close);
    assertEquals(0, blocking.sessionsClosed.get());

    blocking.letGo.countDown();
    user.join();
    assertEquals(List.of(), failures);
    call.run(1, 1);
    session.close();
    rnn.close();
    session.close();
    rnn.close();
    assertEquals(1, blocking.sessionsClosed.get());
    assertEquals(1, blocking.modelsClosed.get());
  }
}
