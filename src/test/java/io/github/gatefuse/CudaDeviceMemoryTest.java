// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import io.github.gatefuse.testing.TestDevice;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** Calls on device memory and on a caller's streams, on a GPU or in its emulation. */
class CudaDeviceMemoryTest {
  private static final int STEPS = 5;
  private static final int BATCH = 3;
  private static final int ROWS = STEPS * BATCH;
  private static final RnnSpec PLAIN = RnnSpec.of(Cell.LSTM_REFINE, 4, 9).withLayers(2);
  private static final RnnSpec LANGUAGE =
      RnnSpec.of(Cell.LSTM_REFINE, 4, 9).withVocabulary(11).withOutputs(7);
  private static final int STATE = 2 * BATCH * 9;
  private static final int OUTPUT = ROWS * 9;

  private final Target cuda = new Target(Backend.CUDA, null, Precision.FLOAT32, Tier.AUTO);
  private TestDevice device;
  private long aliveBefore;
  private Rnn plain;
  private Session session;
  private Rnn language;
  private Session reader;

  private final float[] x = Networks.normal(ROWS * 4, 1);
  private final float[] h0 = Networks.normal(STATE, 2);
  private final float[] c0 = Networks.normal(STATE, 3);
  private final int[] tokens = Networks.integers(ROWS, 0, 10, 4);
  private final int[] targets = Networks.integers(ROWS, 0, 6, 5);

  @BeforeEach
  void open() {
    cuda.assumeAvailable();
    device = TestDevice.of(cuda);
    aliveBefore = TestDevice.alive();
    plain = cuda.create(PLAIN, Networks.weights(PLAIN, 1));
    session = plain.session(STEPS, BATCH);
    language = cuda.create(LANGUAGE, Networks.weights(LANGUAGE, 2));
    reader = language.session(STEPS, BATCH);
  }

  @AfterEach
  void close() {
    if (device == null) {
      return;
    }
    session.close();
    plain.close();
    reader.close();
    language.close();
    device.close();
    if (cuda.isEmulated()) {
      assertEquals(aliveBefore, TestDevice.alive(), "device memory and streams");
    }
  }

  /** The same call on host buffers: y, then the final states. */
  private List<float[]> onHost(float[] h, float[] c, IntBuffer lengths) {
    FloatBuffer y = Networks.floats(OUTPUT);
    State state = session.newState(BATCH);
    state.set(h, c);
    session
        .call()
        .input(Networks.direct(x))
        .state(state)
        .lengths(lengths)
        .output(y)
        .run(STEPS, BATCH);
    return List.of(Networks.array(y), Networks.array(state.h()), Networks.array(state.c()));
  }

  private static void assertRefused(String message, Executable body) {
    String actual = assertThrows(IllegalArgumentException.class, body).getMessage();
    assertTrue(actual.contains(message), actual);
  }

  // ---- Results

  @Test
  void aCallOnDeviceMemoryGivesWhatOneOnTheHostGives() {
    for (IntBuffer lengths : new IntBuffer[] {null, Networks.direct(2, 5, 1)}) {
      List<float[]> expected = onHost(h0, c0, lengths);
      FloatPointer y = device.results(OUTPUT);
      FloatPointer hn = device.results(STATE);
      FloatPointer cn = device.results(STATE);
      FloatPointer h = device.floats(h0);
      FloatPointer c = device.floats(c0);
      ForwardCall call = session.call().input(device.floats(x)).lengths(lengths).output(y);
      call.initialState(h, c).finalState(hn, cn).run(STEPS, BATCH);
      assertArrayEquals(expected.get(0), TestDevice.values(y));
      assertArrayEquals(expected.get(1), TestDevice.values(hn));
      assertArrayEquals(expected.get(2), TestDevice.values(cn));
      assertArrayEquals(h0, TestDevice.values(h), "the initial state is only read");
      call.state(h, c).run(STEPS, BATCH);
      assertArrayEquals(expected.get(1), TestDevice.values(h), "in place");
      assertArrayEquals(expected.get(2), TestDevice.values(c), "in place");
    }
  }

  @Test
  void anEmbeddingAndAHeadWorkOnDeviceMemory() {
    FloatBuffer y = Networks.floats(OUTPUT);
    FloatBuffer logits = Networks.floats(ROWS * 7);
    FloatBuffer all = Networks.floats(ROWS * 7);
    FloatBuffer scores = Networks.floats(ROWS);
    for (boolean batchMajor : new boolean[] {false, true}) {
      IntBuffer lengths = Networks.direct(4, 1, 5);
      reader
          .call()
          .batchMajor(batchMajor)
          .tokens(Networks.direct(tokens))
          .lengths(lengths)
          .targets(Networks.direct(targets))
          .output(y)
          .logits(logits)
          .logProbabilities(all)
          .targetLogProbabilities(scores)
          .run(STEPS, BATCH);
      FloatPointer deviceY = device.results(OUTPUT);
      FloatPointer deviceLogits = device.results(ROWS * 7);
      FloatPointer deviceAll = device.results(ROWS * 7);
      FloatPointer deviceScores = device.results(ROWS);
      reader
          .call()
          .batchMajor(batchMajor)
          .tokens(device.ints(tokens))
          .lengths(lengths)
          .targets(device.ints(targets))
          .output(deviceY)
          .logits(deviceLogits)
          .logProbabilities(deviceAll)
          .targetLogProbabilities(deviceScores)
          .run(STEPS, BATCH);
      assertArrayEquals(Networks.array(y), TestDevice.values(deviceY));
      assertArrayEquals(Networks.array(logits), TestDevice.values(deviceLogits));
      assertArrayEquals(Networks.array(all), TestDevice.values(deviceAll));
      assertArrayEquals(Networks.array(scores), TestDevice.values(deviceScores));
    }
  }

  @Test
  void scoresAloneNeedNothingElse() {
    FloatPointer scores = device.results(ROWS);
    reader
        .call()
        .tokens(device.ints(tokens))
        .targets(device.ints(targets))
        .targetLogProbabilities(scores)
        .run(STEPS, BATCH);
    for (float score : TestDevice.values(scores)) {
      assertTrue(score < 0, () -> "a log-probability: " + score);
    }
  }

  @Test
  void wrongTokensOnTheDeviceAreToldWhenTheCallIsComplete() {
    int[] wrong = tokens.clone();
    wrong[7] = 11;
    FloatPointer scores = device.results(ROWS);
    ForwardCall call =
        reader
            .call()
            .tokens(device.ints(wrong))
            .targets(device.ints(targets))
            .targetLogProbabilities(scores);
    String sentence = "tokens: expected 0 .. 10, got another value at place 7";
    assertRefused(sentence, () -> call.run(STEPS, BATCH));
    float[] values = TestDevice.values(scores);
    assertTrue(Float.isNaN(values[7]) && Float.isNaN(values[10]), "from the wrong one on");
    assertTrue(values[4] < 0 && values[8] < 0, "before it, and in other sequences");
    call.enqueue(STEPS, BATCH);
    assertRefused(sentence, reader::synchronize);
    reader.synchronize();
    call.tokens(device.ints(tokens)).run(STEPS, BATCH);
  }

  // ---- States on the device, the rest on the host

  /** The program's own device memory, and no runtime of CUDA's: {@link DeviceMemory}. */
  @Test
  void statesStayOnTheDeviceByRow() {
    List<float[]> expected = onHost(h0, c0, null);
    int capacity = 7;
    int[] rows = {5, 0, 3};
    int size = 2 * capacity * 9;
    FloatBuffer y = Networks.floats(OUTPUT);
    try (DeviceMemory memory = plain.deviceMemory(2 * size)) {
      float[] untouched = new float[2 * size];
      memory.read(0, 2 * size, 2 * size, untouched);
      assertArrayEquals(new float[2 * size], untouched, "zeros at first");
      float[] pool = new float[2 * size];
      Arrays.fill(pool, 7);
      float[] after = pool.clone();
      for (int slot = 0; slot < 2; slot++) {
        for (int b = 0; b < BATCH; b++) {
          int from = (slot * BATCH + b) * 9;
          int to = (slot * capacity + rows[b]) * 9;
          System.arraycopy(h0, from, pool, to, 9);
          System.arraycopy(c0, from, pool, size + to, 9);
          System.arraycopy(expected.get(1), from, after, to, 9);
          System.arraycopy(expected.get(2), from, after, size + to, 9);
        }
      }
      memory.write(0, 2 * size, 2 * size, pool);
      FloatPointer h = memory.floats(0, size);
      FloatPointer c = memory.floats(size, size);
      ForwardCall call = session.call().input(Networks.direct(x)).state(h, c).output(y);
      call.stateRows(Networks.direct(rows));
      assertRefused(
          "stateRows: expected the capacity of states in device memory",
          () -> call.run(STEPS, BATCH));
      call.stateRows(Networks.direct(rows), capacity + 1);
      assertRefused(
          "initialState.h: expected [L*D=2, B=8, H=9] = 144 floats, got 126",
          () -> call.run(STEPS, BATCH));
      call.stateRows(Networks.direct(rows), capacity).run(STEPS, BATCH);
      assertArrayEquals(expected.get(0), Networks.array(y));
      float[] got = new float[2 * size];
      memory.read(0, 2 * size, 2 * size, got);
      assertArrayEquals(after, got);
      float[] row = new float[4 * 9];
      memory.read(rows[1] * 9, capacity * 9, 9, row);
      assertEquals(expected.get(1)[9], row[0], "a row of every slot");
      assertEquals(expected.get(2)[(BATCH + 1) * 9 + 8], row[35], "a row of every slot");
      assertRefused("pieces: expected 4 of 9", () -> memory.read(0, 100, 9, new float[36]));
      assertRefused("pieces: expected 2 of 9", () -> memory.read(-1, 9, 9, new float[18]));
      assertRefused("values: expected a whole number", () -> memory.read(0, 9, 9, new float[17]));
      assertRefused("floats: expected a part of the 252", () -> memory.floats(250, 3));
    }
    DeviceMemory ended = plain.deviceMemory(1);
    ended.close();
    ended.close();
    assertThrows(IllegalStateException.class, () -> ended.floats(0, 1));
    try (Rnn cpu = Rnn.create(PLAIN, Networks.weights(PLAIN, 1), Backend.REFERENCE)) {
      assertRefused("device memory: expected a network on a device", () -> cpu.deviceMemory(1));
    }
  }

  @Test
  void statesAreOfOneKind() {
    ForwardCall call = session.call().input(Networks.direct(x)).output(Networks.floats(OUTPUT));
    call.initialState(session.newState(BATCH)).finalState(device.floats(h0), device.floats(c0));
    assertRefused(
        "got initialState.h on the host and finalState.h on the device",
        () -> call.run(STEPS, BATCH));
  }

  // ---- The way back

  private static final SessionOptions BACK =
      SessionOptions.of(STEPS, BATCH).withBackward(Backward.STORE);

  /** All gradients of a network without a head: dx, dh0, dc0, parameters. */
  private List<float[]> gradientsOnHost(float[] dy, float[] dh, float[] dc) {
    FloatBuffer dx = Networks.floats(x.length);
    Parameters gradients = Parameters.zeros(PLAIN);
    State state = State.zeros(PLAIN, BATCH);
    state.set(h0, c0);
    State after = State.zeros(PLAIN, BATCH);
    after.set(dh, dc);
    State before = State.zeros(PLAIN, BATCH);
    try (Session back = plain.session(BACK)) {
      back.call()
          .input(Networks.direct(x))
          .state(state)
          .output(Networks.floats(OUTPUT))
          .run(STEPS, BATCH);
      back.backward()
          .outputGradient(Networks.direct(dy))
          .finalStateGradient(after)
          .inputGradient(dx)
          .initialStateGradient(before)
          .parameterGradients(gradients)
          .run();
    }
    return List.of(
        Networks.array(dx), before.hidden(), before.cell(), Networks.array(gradients.all()));
  }

  /** On the caller's stream, there and back without a wait, then once more to be added. */
  @Test
  void theWayBackIsOnTheStreamOfItsRun() {
    float[] dy = Networks.normal(OUTPUT, 6);
    float[] dh = Networks.normal(STATE, 7);
    float[] dc = Networks.normal(STATE, 8);
    List<float[]> expected = gradientsOnHost(dy, dh, dc);
    FloatPointer h = device.floats(h0);
    FloatPointer c = device.floats(c0);
    FloatPointer dx = device.results(x.length);
    FloatPointer hidden = device.floats(dh);
    FloatPointer cell = device.floats(dc);
    FloatPointer parameters = device.results(expected.get(3).length);
    Pointer stream = device.stream();
    try (Session back = plain.session(BACK)) {
      ForwardCall call = back.call().input(device.floats(x)).state(h, c).stream(stream);
      BackwardCall backward =
          back.backward()
              .outputGradient(device.floats(dy))
              .finalStateGradient(hidden, cell)
              .inputGradient(dx)
              .initialStateGradient(hidden, cell)
              .parameterGradients(parameters);
      call.enqueue(STEPS, BATCH);
      backward.enqueue();
      TestDevice.await(stream);
      assertArrayEquals(expected.get(0), TestDevice.values(dx));
      assertArrayEquals(expected.get(1), TestDevice.values(hidden), "in place");
      assertArrayEquals(expected.get(2), TestDevice.values(cell), "in place");
      assertArrayEquals(expected.get(3), TestDevice.values(parameters));
      assertThrows(
          IllegalStateException.class,
          () -> plain.update(Parameters.of(PLAIN, Networks.weights(PLAIN, 1))),
          "it may not be complete, as far as the session knows");
      backward.finalStateGradient(device.floats(dh), device.floats(dc));
      backward.accumulate(true).run();
      float[] twice = expected.get(3).clone();
      for (int i = 0; i < twice.length; i++) {
        twice[i] += twice[i];
      }
      assertArrayEquals(twice, TestDevice.values(parameters));
    }
  }

  @Test
  void theWayBackThroughAHeadIsOnTheDeviceToo() {
    float[] dlogits = Networks.normal(ROWS * 7, 6);
    FloatBuffer logits = Networks.floats(ROWS * 7);
    Parameters gradients = Parameters.zeros(LANGUAGE);
    try (Session back = language.session(BACK)) {
      back.call().tokens(Networks.direct(tokens)).logits(logits).run(STEPS, BATCH);
      back.backward().logitsGradient(Networks.direct(dlogits)).parameterGradients(gradients).run();
      float[] expected = Networks.array(gradients.all());
      FloatPointer parameters = device.results(expected.length);
      BackwardCall backward =
          back.backward().logitsGradient(device.floats(dlogits)).parameterGradients(parameters);
      assertRefused(
          "logitsGradient: expected host memory, as in the last run, got device memory",
          backward::run);
      back.call().tokens(device.ints(tokens)).logits(device.results(ROWS * 7)).run(STEPS, BATCH);
      backward.run();
      assertArrayEquals(expected, TestDevice.values(parameters));
      assertRefused(
          "parameterGradients: expected device memory, as in the last run, got host memory",
          () -> backward.parameterGradients(gradients).run());
      assertRefused(
          "parameterGradients: expected ",
          () -> backward.parameterGradients(device.results(5)).run());
      FloatPointer all = device.results(expected.length + 5);
      assertRefused(
          "parameterGradients: expected memory of its own, got an overlap with logitsGradient",
          () -> backward.logitsGradient(all).parameterGradients(all).run());
      FloatPointer host = new FloatPointer(Networks.floats(ROWS * 7));
      assertRefused(
          "dlogits: expected device memory, as `memory` says, got host memory",
          () -> backward.logitsGradient(host).parameterGradients(parameters).run());
    }
    try (Rnn other = Rnn.create(PLAIN, Networks.weights(PLAIN, 1), Backend.REFERENCE);
        Session back = other.session(BACK)) {
      FloatPointer somewhere = device.results(OUTPUT);
      assertRefused(
          "outputGradient: expected none, since the reference backend has no device memory",
          () -> back.backward().outputGradient(somewhere));
    }
  }

  // ---- Streams

  /** Between what the caller puts on the stream before and after, and nobody waits but for it. */
  @Test
  void anEnqueuedCallIsInItsPlaceOnTheCallersStream() {
    List<float[]> first = onHost(h0, c0, null);
    List<float[]> second = onHost(first.get(1), first.get(2), null);
    Pointer stream = device.stream();
    FloatPointer input = device.results(x.length);
    FloatPointer y = device.results(OUTPUT);
    FloatPointer h = device.floats(h0);
    FloatPointer c = device.floats(c0);
    try (PinnedMemory memory = Devices.pinned(Backend.CUDA, 4 * (x.length + 2 * OUTPUT))) {
      FloatBuffer pinned = memory.floats();
      FloatBuffer from = pinned.slice(0, x.length).put(0, x);
      FloatBuffer early = pinned.slice(x.length, OUTPUT);
      FloatBuffer late = pinned.slice(x.length + OUTPUT, OUTPUT);
      ForwardCall call = session.call().input(input).state(h, c).output(y).stream(stream);
      TestDevice.copyIn(input, from, stream);
      call.enqueue(STEPS, BATCH);
      TestDevice.copyOut(early, y, stream);
      call.enqueue(STEPS, BATCH);
      TestDevice.copyOut(late, y, stream);
      TestDevice.await(stream);
      assertArrayEquals(first.get(0), Networks.array(early));
      assertArrayEquals(second.get(0), Networks.array(late));
    }
    assertArrayEquals(second.get(1), TestDevice.values(h));
    session.synchronize();
  }

  @Test
  void callsOfASessionFollowOneAnotherOnAllStreams() {
    List<float[]> expected = onHost(h0, c0, null);
    for (int i = 1; i < 6; i++) {
      expected = onHost(expected.get(1), expected.get(2), null);
    }
    FloatPointer input = device.floats(x);
    FloatPointer h = device.floats(h0);
    FloatPointer c = device.floats(c0);
    ForwardCall call = session.call().input(input).state(h, c);
    Pointer[] streams = {device.stream(), device.stream(), null};
    for (int i = 0; i < 6; i++) {
      call.stream(streams[i % 3]).enqueue(STEPS, BATCH);
    }
    session.synchronize();
    assertArrayEquals(expected.get(1), TestDevice.values(h));
    assertArrayEquals(expected.get(2), TestDevice.values(c));
  }

  @Test
  void theNextRunAndTheEndOfASessionCompleteWhatIsEnqueued() {
    float[] expected = onHost(new float[STATE], new float[STATE], null).get(0);
    FloatPointer input = device.floats(x);
    FloatPointer first = device.results(OUTPUT);
    FloatPointer second = device.results(OUTPUT);
    FloatPointer third = device.results(OUTPUT);
    try (Session brief = plain.session(STEPS, BATCH)) {
      ForwardCall call = brief.call().input(input).stream(device.stream());
      call.output(first).enqueue(STEPS, BATCH);
      call.output(second).run(STEPS, BATCH);
      assertArrayEquals(expected, TestDevice.values(first));
      call.output(third).enqueue(STEPS, BATCH);
    }
    assertArrayEquals(expected, TestDevice.values(second));
    assertArrayEquals(expected, TestDevice.values(third));
  }

  @Test
  void aStreamMayEndBeforeItsWorkButNotBeforeItsCall() {
    float[] expected = onHost(new float[STATE], new float[STATE], null).get(0);
    FloatPointer y = device.results(OUTPUT);
    Pointer stream = device.stream();
    ForwardCall call = session.call().input(device.floats(x)).output(y).stream(stream);
    call.enqueue(STEPS, BATCH);
    device.end(stream);
    session.synchronize();
    assertArrayEquals(expected, TestDevice.values(y));
    if (cuda.isEmulated()) { // A real driver need not see it.
      assertRefused(
          "stream: expected a CUDA stream that exists, got another handle",
          () -> call.enqueue(STEPS, BATCH));
      call.stream(null).run(STEPS, BATCH);
    }
  }

  // ---- Memory of the other kind

  @Test
  void hostMemoryGivenAsDeviceMemoryIsRefusedByName() {
    FloatPointer floats = new FloatPointer(Networks.floats(ROWS * 9));
    IntPointer integers = new IntPointer(Networks.direct(new int[ROWS]));
    Map<String, Consumer<ForwardCall>> wrong =
        Map.of(
            "tokens", call -> call.tokens(integers),
            "targets", call -> call.targets(integers),
            "h0", call -> call.initialState(floats, null),
            "c0", call -> call.initialState(null, floats),
            "hn", call -> call.finalState(floats, null),
            "cn", call -> call.finalState(null, floats),
            "y", call -> call.output(floats),
            "logits", call -> call.logits(floats),
            "log_probs", call -> call.logProbabilities(floats),
            "target_log_probs", call -> call.targetLogProbabilities(floats));
    wrong.forEach(
        (name, set) -> {
          ForwardCall call =
              reader
                  .call()
                  .tokens(device.ints(tokens))
                  .targets(device.ints(targets))
                  .targetLogProbabilities(device.results(ROWS));
          set.accept(call);
          assertRefused(
              name + ": expected device memory, as `memory` says, got host memory",
              () -> call.run(STEPS, BATCH));
        });
    assertRefused(
        "x: expected device memory, as `memory` says, got host memory",
        () -> session.call().input(floats).output(device.results(OUTPUT)).run(STEPS, BATCH));
  }

  @Test
  void deviceMemoryGivenAsHostMemoryIsRefusedByName() {
    FloatBuffer floats = device.results(ROWS * 9).asBuffer();
    FloatBuffer state = device.results(BATCH * 9).asBuffer();
    Map<String, Consumer<ForwardCall>> wrong =
        Map.of(
            "y", call -> call.output(floats),
            "logits", call -> call.logits(floats),
            "log_probs", call -> call.logProbabilities(floats),
            "target_log_probs", call -> call.targetLogProbabilities(floats),
            "h0", call -> call.state(State.over(LANGUAGE, BATCH, state, zeros())),
            "c0", call -> call.state(State.over(LANGUAGE, BATCH, zeros(), state)));
    wrong.forEach(
        (name, set) -> {
          ForwardCall call =
              reader.call().tokens(Networks.direct(tokens)).targets(Networks.direct(targets));
          set.accept(call);
          assertRefused(
              name + ": expected host memory, as `memory` says, got device memory",
              () -> call.run(STEPS, BATCH));
        });
    FloatBuffer input = device.floats(x).asBuffer();
    assertRefused(
        "x: expected host memory, as `memory` says, got device memory",
        () -> session.call().input(input).output(Networks.floats(OUTPUT)).run(STEPS, BATCH));
  }

  private static FloatBuffer zeros() {
    return Networks.floats(BATCH * 9);
  }

  // ---- An older device

  @Test
  void computeCapability75HasFloat32AndFloat16() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM_REFINE, 4, 24);
    Weights weights = Networks.weights(spec, 3);
    float[] input = Networks.normal(2 * 3 * 4, 4);
    device.poseAs(75);
    try {
      for (Precision precision : List.of(Precision.TF32, Precision.BFLOAT16)) {
        RnnOptions options = RnnOptions.of(Backend.CUDA).withPrecision(precision);
        GatefuseException refusal =
            assertThrows(GatefuseException.class, () -> Rnn.create(spec, weights, options));
        assertEquals(GatefuseException.Code.BACKEND_UNAVAILABLE, refusal.code());
        assertEquals(
            "precision: compute capability 8.0 or later is needed for %s, this device has 7.5; it"
                    .formatted(precision.id())
                + " has float32 and float16",
            refusal.getMessage());
      }
      for (Precision precision : List.of(Precision.FLOAT32, Precision.FLOAT16)) {
        float[] expected = reference(spec, weights, precision, input);
        RnnOptions options = RnnOptions.of(Backend.CUDA).withPrecision(precision);
        try (Rnn rnn = Rnn.create(spec, weights, options)) {
          for (Tier tier : List.of(Tier.SLICE, Tier.GRID, Tier.ALTERNATING)) {
            try (Session open = rnn.session(SessionOptions.of(2, 3).withTier(tier))) {
              assertEquals("7.5", open.path().details().get("compute_capability"));
              assertArrayEquals(expected, open.forward(2, 3, input), 2e-3f, tier.id());
            }
          }
          assertRefused(
              "cluster: compute capability 9.0 or later is needed for clusters, this device has"
                  + " 7.5",
              () -> rnn.session(SessionOptions.of(2, 3).withTier(Tier.CLUSTER)));
        }
      }
    } finally {
      device.poseAs(90);
    }
  }

  private static float[] reference(
      RnnSpec spec, Weights weights, Precision precision, float[] input) {
    RnnOptions options = RnnOptions.of(Backend.REFERENCE).withPrecision(precision);
    try (Rnn rnn = Rnn.create(spec, weights, options);
        Session open = rnn.session(2, 3)) {
      return open.forward(2, 3, input);
    }
  }
}
