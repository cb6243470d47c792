// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The way back and updates: what is refused, in words; what is kept; what it takes to learn. */
@Timeout(60)
class BackwardApiTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 3, 4);
  private static final RnnSpec GRU = RnnSpec.of(Cell.GRU, 3, 4);
  private static final SessionOptions OPTIONS =
      SessionOptions.of(5, 2).withBackward(Backward.STORE);

  static Stream<Target> targets() {
    return Target.all().stream();
  }

  private static Rnn reference(RnnSpec spec) {
    return Rnn.create(spec, Networks.weights(spec, 1), Backend.REFERENCE);
  }

  private static void assertArgument(String message, Executable body) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, body).getMessage());
  }

  private static void assertState(String message, Executable body) {
    assertEquals(message, assertThrows(IllegalStateException.class, body).getMessage());
  }

  /** A way back that can be run as soon as there was a run. */
  private static BackwardCall prepared(Session session) {
    return session.backward().parameterGradients(Parameters.zeros(session.spec()));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void aWayBackFollowsAnEnqueuedRun(Target target) {
    target.assumeAvailable();
    Parameters expected = Parameters.zeros(SPEC);
    Parameters actual = Parameters.zeros(SPEC);
    FloatBuffer dy = Networks.direct(Networks.normal(5 * 2 * 4, 3));
    try (Rnn rnn = target.create(SPEC, Networks.weights(SPEC, 1));
        PinnedMemory memory = Devices.pinned(target.backend(), 5 * 2 * (3 + 4) * Float.BYTES);
        Session session = target.backwardSession(rnn, OPTIONS)) {
      FloatBuffer all = memory.floats();
      FloatBuffer x = all.slice(0, 5 * 2 * 3).put(0, Networks.normal(5 * 2 * 3, 2));
      FloatBuffer y = all.slice(5 * 2 * 3, 5 * 2 * 4);
      BackwardCall backward = session.backward().outputGradient(dy);
      session.forward(5, 2, x, y);
      backward.parameterGradients(expected).run();
      session.call().input(x).output(y).enqueue(5, 2);
      backward.parameterGradients(actual).run();
      session.synchronize();
    }
    assertEquals(expected.all(), actual.all());
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void aWayBackNeedsARun(Target target) {
    target.assumeAvailable();
    String none = "backward: expected a run of the session before it, got none or one that failed";
    FloatBuffer x = Networks.floats(5 * 2 * 3);
    FloatBuffer y = Networks.floats(5 * 2 * 4);
    Parameters parameters = Parameters.of(SPEC, Networks.weights(SPEC, 2));
    try (Rnn rnn = target.create(SPEC, Networks.weights(SPEC, 1));
        Session session = target.backwardSession(rnn, OPTIONS)) {
      BackwardCall backward = prepared(session);
      assertState(none, backward::run);
      session.forward(5, 2, x, y);
      backward.run();
      assertThrows(IllegalArgumentException.class, () -> session.forward(6, 2, x, y));
      assertState(none, backward::run);
      session.forward(4, 1, x, y);
      backward.run();
      rnn.update(parameters);
      assertState(
          "backward: expected a run after the network's last update, got one before it",
          backward::run);
      session.step(x, session.newState(2), y);
      backward.run();
    }
  }

  /** The run before read memory that a call with arrays copies into, even one that then fails. */
  @Test
  void thereIsNoWayBackAfterACallWithArraysThatFails() {
    String message =
        "backward: expected a run of the session before it, got none or one that failed";
    try (Rnn rnn = reference(SPEC);
        Session session = rnn.session(OPTIONS)) {
      session.forward(2, 2, new float[12]);
      BackwardCall backward = prepared(session);
      backward.run();
      float[] x = Networks.normal(12, 1);
      assertThrows(
          IllegalArgumentException.class,
          () -> session.forward(2, 2, x, new int[1], session.newState(2)));
      assertState(message, backward::run);
      session.forward(2, 2, new float[12]);
      State ofAnother = State.zeros(RnnSpec.of(Cell.LSTM, 3, 5), 2);
      assertThrows(IllegalArgumentException.class, () -> session.forward(2, 2, x, null, ofAnother));
      assertState(message, backward::run);
    }
    RnnSpec spec = SPEC.withVocabulary(5).withOutputs(5);
    try (Rnn rnn = reference(spec);
        Session session = rnn.session(OPTIONS)) {
      int[] good = new int[4];
      int[] bad = {0, 0, 7, 0};
      session.score(2, 2, good, good, null, null);
      BackwardCall backward = prepared(session);
      backward.run();
      assertThrows(
          IllegalArgumentException.class, () -> session.score(2, 2, bad, good, new int[1], null));
      assertState(message, backward::run);
    }
  }

  @Test
  void useAfterCloseIsAnError() {
    Rnn rnn = reference(SPEC);
    Session session = rnn.session(OPTIONS);
    session.forward(1, 1, new float[3]);
    BackwardCall backward = prepared(session);
    session.close();
    assertState("session is closed", backward::run);
    assertState("session is closed", session::backward);
    assertState("session is closed", () -> backward.accumulate(true));
    assertState("session is closed", () -> backward.outputGradient((FloatBuffer) null));
    rnn.close();
    assertState("network is closed", () -> rnn.sessionBytes(OPTIONS));
    assertState("network is closed", () -> rnn.update(Parameters.zeros(SPEC)));
  }

  @Test
  void aSessionWithoutAWayBackSaysSo() {
    try (Rnn rnn = reference(SPEC);
        Session session = rnn.session(2, 2)) {
      assertState(
          "backward: expected a session of SessionOptions.withBackward(STORE or RECOMPUTE), got"
              + " NONE",
          session::backward);
    }
  }

  /** As cuDNN is, and any backend that implements no more than the way forward. */
  @Test
  void aBackendThatGoesForwardOnlySaysSo() {
    try (Rnn rnn = StandInBackend.network(SPEC)) {
      String refusal = "backward: expected none on the cpu backend, got recompute";
      SessionOptions options = OPTIONS.withBackward(Backward.RECOMPUTE);
      assertArgument(refusal, () -> rnn.session(options));
      assertArgument(refusal, () -> rnn.sessionBytes(options));
      assertEquals(0, rnn.sessionBytes(OPTIONS.withBackward(Backward.NONE)));
      assertEquals(
          "update: the backend cannot replace the parameters of a network",
          assertThrows(
                  UnsupportedOperationException.class, () -> rnn.update(Parameters.zeros(SPEC)))
              .getMessage());
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void refusesWhatDoesNotFitInWords(Target target) {
    target.assumeAvailable();
    RnnSpec spec = SPEC.withOutputs(6);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1));
        Session session = target.backwardSession(rnn, OPTIONS)) {
      session.forward(5, 2, new float[5 * 2 * 3]);
      assertArgument(
          "gradients: expected a place for at least one of inputGradient, initialStateGradient and"
              + " parameterGradients, got none",
          () -> session.backward().outputGradient(Networks.floats(40)).run());
      assertArgument(
          "outputGradient: expected [T=5, B=2, D*H=4] = 40 floats, as in the last run, got 39",
          () -> prepared(session).outputGradient(Networks.floats(39)).run());
      assertArgument(
          "logitsGradient: expected [T=5, B=2, O=6] = 60 floats, as in the last run, got 59",
          () -> prepared(session).logitsGradient(Networks.floats(59)).run());
      assertArgument(
          "inputGradient: expected [T=5, B=2, I=3] = 30 floats, as in the last run, got 29",
          () -> session.backward().inputGradient(Networks.floats(29)).run());
      assertArgument(
          "finalStateGradient: expected B=2, as in the last run, got B=1",
          () -> prepared(session).finalStateGradient(State.zeros(spec, 1)).run());
      assertArgument(
          "initialStateGradient: expected B=2, as in the last run, got B=3",
          () -> session.backward().initialStateGradient(State.zeros(spec, 3)).run());
      assertArgument(
          "finalStateGradient: expected a state with a cell state for lstm_refine, got one without",
          () -> session.backward().finalStateGradient(State.zeros(GRU, 2)));
      assertArgument(
          "parameterGradients: expected those of " + spec + ", got " + SPEC,
          () -> session.backward().parameterGradients(Parameters.zeros(SPEC)));
      assertArgument(
          "outputGradient: expected a direct buffer, got one on the Java heap",
          () -> session.backward().outputGradient(FloatBuffer.allocate(40)));
      assertArgument(
          "inputGradient: expected a writable buffer, got a read-only one",
          () -> session.backward().inputGradient(Networks.floats(30).asReadOnlyBuffer()));
      assertArgument(
          "parameters: expected those of " + spec + ", got " + SPEC,
          () -> rnn.update(Parameters.zeros(SPEC)));
      // The shape of a later run is another one.
      BackwardCall call = prepared(session).outputGradient(Networks.floats(12));
      session.forward(3, 1, new float[9]);
      call.run();
      session.forward(4, 1, new float[12]);
      assertArgument(
          "outputGradient: expected [T=4, B=1, D*H=4] = 16 floats, as in the last run, got 12",
          call::run);
    }
  }

  @Test
  void refusesGradientsOfWhatTheNetworkHasNot() {
    RnnSpec spec = GRU.withVocabulary(5);
    try (Rnn rnn = reference(spec);
        Session session = rnn.session(OPTIONS)) {
      BackwardCall call = session.backward();
      assertArgument(
          "inputGradient: expected none, since the network takes tokens",
          () -> call.inputGradient(Networks.floats(30)));
      assertArgument(
          "logitsGradient: expected none, since the network has no head (outputs 0)",
          () -> call.logitsGradient(Networks.floats(30)));
      assertArgument(
          "initialStateGradient: expected a state without a cell state for gru, got one with",
          () -> call.initialStateGradient(State.zeros(SPEC, 2)));
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void refusesOverlaps(Target target) {
    target.assumeAvailable();
    FloatBuffer all = Networks.floats(60);
    try (Rnn rnn = target.create(SPEC, Networks.weights(SPEC, 1));
        Session session = target.backwardSession(rnn, OPTIONS)) {
      if (target.backend() == Backend.REFERENCE) {
        return; // Copies in before it copies out.
      }
      session.forward(5, 2, new float[30]);
      BackwardCall call = session.backward().outputGradient(all.slice(0, 40));
      assertArgument(
          "inputGradient: expected memory of its own, got an overlap with outputGradient",
          () -> call.inputGradient(all.slice(30, 30)).run());
      session.forward(5, 2, all.slice(0, 30), Networks.floats(40));
      call.outputGradient((FloatBuffer) null).inputGradient(all.slice(30, 30)).run();
      session.forward(5, 2, all.slice(15, 30), Networks.floats(40));
      assertArgument(
          "inputGradient: expected memory of its own, got an overlap with input", call::run);
    }
  }

  /** The memory that the last run read is not garbage, whatever has become of its call. */
  @Test
  void theLastInputStaysReachable() throws InterruptedException {
    try (Rnn rnn = reference(SPEC);
        Session session = rnn.session(OPTIONS)) {
      WeakReference<ByteBuffer> input = run(session);
      collectGarbage(input);
      assertNotNull(input.get());
      prepared(session).run();
      run(session);
      collectGarbage(input);
      assertNull(input.get(), "the input of an earlier run");
    }
  }

  private static WeakReference<ByteBuffer> run(Session session) {
    ByteBuffer memory = ByteBuffer.allocateDirect(120).order(ByteOrder.nativeOrder());
    State last = session.newState(2);
    session.call().input(memory.asFloatBuffer()).finalState(last).run(5, 2);
    return new WeakReference<>(memory);
  }

  private static void collectGarbage(WeakReference<?> until) throws InterruptedException {
    for (int i = 0; i < 10 && until.get() != null; i++) {
      System.gc();
      Thread.sleep(10);
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void sessionBytesAreKnownBeforehand(Target target) {
    target.assumeAvailable();
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 3, 32).withLayers(2).withOutputs(3);
    try (Rnn rnn = target.create(spec, Networks.weights(spec, 1))) {
      long[] bytes = new long[3];
      for (Backward backward : Backward.values()) {
        SessionOptions options = SessionOptions.of(200, 7).withBackward(backward);
        try (Session session = target.backwardSession(rnn, options)) {
          bytes[backward.ordinal()] = rnn.sessionBytes(options);
          assertEquals(session.bytes(), bytes[backward.ordinal()], backward.id());
        }
      }
      assertTrue(bytes[0] < bytes[2] && bytes[2] <= bytes[1], "more is kept than recomputed");
    }
  }

  @Test
  void anUpdateIsRefusedWhileASessionIsInUse() throws InterruptedException {
    BlockingBackend blocking = new BlockingBackend();
    try (Rnn rnn = blocking.network(SPEC);
        Session idle = rnn.session(2, 2);
        Session session = rnn.session(2, 2)) {
      ForwardCall call = session.call().input(Networks.floats(3)).output(Networks.floats(4));
      Thread user = new Thread(() -> call.run(1, 1));
      user.start();
      blocking.running.await();
      assertState(
          "update: expected all sessions of the network at rest, got one in use",
          () -> rnn.update(Parameters.zeros(SPEC)));
      assertEquals(0, blocking.updates.get());
      assertNotNull(idle.call(), "the other session is free again");
      blocking.letGo.countDown();
      user.join();
      rnn.update(Parameters.zeros(SPEC));
      assertEquals(1, blocking.updates.get());
      call.run(1, 1);
    }
  }

  @Test
  void anUpdateIsRefusedWhileCallsAreEnqueued() {
    BlockingBackend blocking = new BlockingBackend();
    blocking.letGo.countDown();
    blocking.hasStreams = true;
    try (Rnn rnn = blocking.network(SPEC);
        Session session = rnn.session(2, 2)) {
      session.call().input(Networks.floats(3)).output(Networks.floats(4)).enqueue(1, 1);
      assertState(
          "update: expected all sessions of the network at rest, got one with enqueued calls",
          () -> rnn.update(Parameters.zeros(SPEC)));
      session.synchronize();
      rnn.update(Parameters.zeros(SPEC));
      assertEquals(1, blocking.updates.get());
    }
  }

  /** Plain gradient descent learns to tell, at the end of a sequence, what it began with. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void gradientDescentLearns(Target target) {
    target.assumeAvailable();
    int steps = 8;
    int batch = 16;
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 1, 8);
    Parameters parameters = Parameters.of(spec, WeightInit.uniform().weights(spec, 1));
    Parameters gradients = Parameters.zeros(spec);
    FloatBuffer x = Networks.direct(Networks.normal(steps * batch, 3));
    State last = State.zeros(spec, batch);
    State gradient = State.zeros(spec, batch);
    SessionOptions options = SessionOptions.of(steps, batch).withBackward(Backward.RECOMPUTE);
    double before = 0;
    double loss = 0;
    try (Rnn rnn = target.create(spec, parameters.toWeights());
        Session session = target.backwardSession(rnn, options)) {
      ForwardCall forward = session.call().input(x).finalState(last);
      BackwardCall backward =
          session.backward().finalStateGradient(gradient).parameterGradients(gradients);
      for (int i = 0; i < 1000; i++) {
        forward.run(steps, batch);
        loss = 0;
        for (int b = 0; b < batch; b++) {
          float error = last.h().get(b * 8) - (float) Math.tanh(x.get(b)) / 2;
          loss += error * error / batch;
          gradient.h().put(b * 8, 2 * error / batch);
        }
        before = i == 0 ? loss : before;
        backward.run();
        for (int k = 0; k < parameters.count(); k++) {
          parameters.all().put(k, parameters.all().get(k) - 0.5f * gradients.all().get(k));
        }
        rnn.update(parameters);
      }
    }
    assertTrue(loss < before / 4, "from " + before + " to " + loss);
  }
}
