// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.lang.management.ManagementFactory;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Native backends allocate nothing on the Java heap once a session is warm. */
class SessionAllocationTest {
  private static final int ROUNDS = 6;
  private static final int CALLS = 1000;

  static Stream<Target> targets() {
    return Target.all().stream().filter(target -> target.backend() != Backend.REFERENCE);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void runAllocatesNothing(Target target) {
    target.assumeAvailable();
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 6, 8).withVocabulary(5).withOutputs(4);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session session = rnn.session(3, 2)) {
      ForwardCall call =
          session
              .call()
              .tokens(Networks.direct(0, 1, 2, 3, 4, 0))
              .targets(Networks.direct(0, 1, 2, 3, 3, 0))
              .lengths(Networks.direct(1, 1))
              .state(session.newState(2))
              .targetLogProbabilities(Networks.floats(6));
      assertAllocatesNothing(
          () -> {
            call.run(3, 2);
            call.run(1, 2); // Another shape is checked and written anew.
          });
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void stepAndForwardAllocateNothing(Target target) {
    target.assumeAvailable();
    RnnSpec spec = RnnSpec.of(Cell.GRU_REFINE, 6, 8);
    FloatBuffer x = Networks.floats(24);
    FloatBuffer y = Networks.floats(32);
    IntBuffer lengths = Networks.direct(1, 2);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session session = rnn.session(2, 2)) {
      State state = session.newState(1);
      assertAllocatesNothing(() -> session.step(x, state, y));
      State two = session.newState(2);
      ForwardCall call = session.call();
      assertAllocatesNothing(() -> session.forward(1, 2, x, null, two, y));
      assertAllocatesNothing(() -> call.input(x).lengths(lengths).state(two).output(y).run(2, 2));
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void forwardAndBackwardAllocateNothing(Target target) {
    target.assumeAvailable();
    RnnSpec spec = RnnSpec.of(Cell.GRU_REFINE, 6, 8);
    FloatBuffer x = Networks.floats(24);
    FloatBuffer y = Networks.floats(32);
    SessionOptions options = SessionOptions.of(2, 2).withBackward(Backward.STORE);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session session = target.backwardSession(rnn, options)) {
      ForwardCall forward = session.call().input(x).output(y);
      BackwardCall backward =
          session.backward().outputGradient(y).parameterGradients(Parameters.zeros(spec));
      assertAllocatesNothing(
          () -> {
            forward.run(2, 2);
            backward.run();
          });
    }
  }

  /**
   * The fewest bytes of some rounds: the JVM itself allocates now and then, a call that does
   * always.
   */
  private static void assertAllocatesNothing(Runnable body) {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long id = Thread.currentThread().getId();
    long fewest = Long.MAX_VALUE;
    for (int round = 0; round < ROUNDS; round++) {
      long before = threads.getThreadAllocatedBytes(id);
      for (int i = 0; i < CALLS; i++) {
        body.run();
      }
      fewest = Math.min(fewest, threads.getThreadAllocatedBytes(id) - before);
    }
    assertEquals(0, fewest, "bytes in " + CALLS + " calls");
  }
}
