// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.testing.GoldenCase;
import io.github.gatefuse.testing.Networks;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.function.Executable;

/** Every argument is checked in words, before any backend sees it. */
class RnnApiTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 3, 4);
  private static final RnnSpec SCORER = SPEC.withVocabulary(5).withOutputs(6);

  private Rnn rnn;
  private Session session;
  private Rnn scorer;
  private Session scoring;

  @BeforeEach
  void open() {
    rnn = Rnn.create(SPEC, Networks.weights(SPEC, 1), Backend.REFERENCE);
    session = rnn.session(16, 8);
    scorer = Rnn.create(SCORER, Networks.weights(SCORER, 1), Backend.REFERENCE);
    scoring = scorer.session(16, 8);
  }

  @AfterEach
  void close() {
    session.close();
    rnn.close();
    scoring.close();
    scorer.close();
  }

  private static void assertRefused(String message, Executable body) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, body).getMessage());
  }

  // ---- Making a network and a session

  @Test
  void whatIsMissingIsNamed() {
    Weights weights = Networks.weights(SPEC, 1);
    assertEquals(
        "spec",
        assertThrows(NullPointerException.class, () -> Rnn.create(null, weights)).getMessage());
    assertEquals(
        "weights",
        assertThrows(NullPointerException.class, () -> Rnn.create(SPEC, null)).getMessage());
    assertEquals(
        "backend",
        assertThrows(NullPointerException.class, () -> Rnn.create(SPEC, weights, (Backend) null))
            .getMessage());
    assertEquals(
        "options", assertThrows(NullPointerException.class, () -> rnn.session(null)).getMessage());
    assertEquals(
        "x",
        assertThrows(NullPointerException.class, () -> session.forward(1, 1, null)).getMessage());
    assertEquals(
        "state",
        assertThrows(NullPointerException.class, () -> session.step(null, null, null))
            .getMessage());
  }

  @Test
  void weightsMustFit() {
    assertRefused(
        "weight_ih_l0: expected [16, 3], got [20, 3]",
        () -> Rnn.create(SPEC, Networks.weights(RnnSpec.of(Cell.LSTM_REFINE, 3, 5), 1)));
  }

  /** At once: not after a list of the parameters of so many layers. */
  @Test
  void layersBeyondReasonAreRefused() {
    for (int layers : new int[] {10_001, 250_000_000, Integer.MAX_VALUE}) {
      assertRefused(
          "layers: expected at most 10000, got " + layers,
          () -> new RnnSpec(Cell.LSTM, 3, 4, layers, 2, 1, 0, 0));
    }
    assertEquals(80_000, SPEC.withLayers(10_000).withBidirectional(true).parameters().size());
  }

  @Test
  void capacityMustBeSane() {
    assertRefused("maxSteps: expected at least 1, got 0", () -> rnn.session(0, 8));
    assertRefused("maxBatch: expected at least 1, got -1", () -> rnn.session(16, -1));
    assertRefused(
        "threads: expected at least 0, got -2", () -> SessionOptions.of(1, 1).withThreads(-2));
    assertRefused(
        "maxSteps 65536 x maxBatch 65536: expected at most 2^31-1 rows, got 4294967296",
        () -> rnn.session(65536, 65536));
  }

  @Test
  void whatWasAskedForIsTold() {
    assertEquals(Backend.REFERENCE, rnn.backend());
    assertSame(SPEC, session.spec());
    assertEquals(16, session.maxSteps());
    assertEquals(8, session.maxBatch());
    assertTrue(rnn.bytes() >= 4L * (16 * 3 + 16 * 4 + 32), "bytes of the weights");
    assertEquals(Backend.REFERENCE, session.path().backend());
    assertTrue(session.path().toString().startsWith("reference jvm float32, 1 thread, on "));
  }

  @Test
  void loadReadsAFile() {
    GoldenCase golden = GoldenCase.named("lstm_refine.small");
    float[] x = GoldenCase.narrow(golden.x());
    try (Rnn loaded = Rnn.load(golden.path(), golden.spec(), "");
        Rnn created = Rnn.create(golden.spec(), golden.weights());
        Session first = loaded.session(golden.steps(), golden.batch());
        Session second = created.session(golden.steps(), golden.batch())) {
      assertArrayEquals(
          second.forward(golden.steps(), golden.batch(), x),
          first.forward(golden.steps(), golden.batch(), x));
    }
  }

  // ---- Sizes of a call

  @Test
  void beyondTheCapacityNamesTheCapacity() {
    FloatBuffer x = Networks.floats(20 * 8 * 3);
    FloatBuffer y = Networks.floats(20 * 8 * 4);
    assertRefused(
        "steps: expected at most maxSteps 16, got 20", () -> session.forward(20, 8, x, y));
    assertRefused("batch: expected at most maxBatch 8, got 9", () -> session.forward(16, 9, x, y));
    assertRefused("steps: expected at least 1, got 0", () -> session.forward(0, 8, x, y));
    assertRefused("batch: expected at least 1, got -3", () -> session.forward(1, -3, x, y));
    assertRefused(
        "steps: expected at most maxSteps 16, got 20",
        () -> session.forward(20, 8, new float[480]));
    assertRefused(
        "steps: expected at most maxSteps 16, got 2147483647",
        () -> session.forward(Integer.MAX_VALUE, 8, new float[480]));
    ForwardCall call = session.call().input(x).output(y);
    assertRefused("steps: expected at most maxSteps 16, got 17", () -> call.run(17, 1));
  }

  @Test
  void inputMustFit() {
    assertRefused(
        "input: expected [T=2, B=8, I=3] = 48 floats, got 47",
        () -> session.forward(2, 8, new float[47]));
    assertRefused(
        "input: expected [T=2, B=8, I=3] = 48 floats, got 49",
        () -> session.forward(2, 8, new float[49]));
    FloatBuffer y = Networks.floats(64);
    assertRefused(
        "input: expected [T=2, B=8, I=3] = 48 floats, got 47",
        () -> session.forward(2, 8, Networks.floats(47), y));
    assertRefused(
        "input: expected [T=2, B=8, I=3] = 48 floats, got none",
        () -> session.forward(2, 8, null, y));
    assertRefused(
        "input: expected [B=8, T=2, I=3] = 48 floats, got 3",
        () -> session.call().batchMajor(true).input(Networks.floats(3)).output(y).run(2, 8));
  }

  @Test
  void valuesAreCountedFromThePosition() {
    FloatBuffer x = Networks.floats(48).position(1);
    FloatBuffer limited = Networks.floats(100).limit(50).position(3);
    FloatBuffer y = Networks.floats(64);
    assertRefused(
        "input: expected [T=2, B=8, I=3] = 48 floats, got 47", () -> session.forward(2, 8, x, y));
    assertRefused(
        "input: expected [T=2, B=8, I=3] = 48 floats, got 47",
        () -> session.forward(2, 8, limited, y));
    session.forward(2, 8, limited.position(2), y);
    assertEquals(2, limited.position());
    assertEquals(50, limited.limit());
  }

  @Test
  void outputMustFit() {
    FloatBuffer x = Networks.floats(48);
    assertRefused(
        "output: expected [T=2, B=8, D*H=4] = 64 floats, got 63",
        () -> session.forward(2, 8, x, Networks.floats(63)));
    assertRefused(
        "output: expected at least one of output, finalState, logits, logProbabilities and"
            + " targetLogProbabilities, got none",
        () -> session.forward(2, 8, x, null));
  }

  @Test
  void sizesBeyondAnIntAreRefusedInWords() {
    RnnSpec wide = RnnSpec.of(Cell.GRU, 70000, 1);
    try (Rnn network = Rnn.create(wide, Networks.weights(wide, 1), Backend.REFERENCE);
        Session large = network.session(65536, 32767)) {
      assertRefused(
          "input: expected [T=65536, B=32767, I=70000] = 150319267840000 floats"
              + ", more than the 2^29-1 that a buffer can hold",
          () -> large.forward(65536, 32767, new float[1]));
      assertRefused(
          "input: expected [T=65536, B=32767, I=70000] = 150319267840000 floats"
              + " (more than the 2^31-1 that a buffer can hold), got 1",
          () -> large.forward(65536, 32767, Networks.floats(1), Networks.floats(1)));
    }
    assertRefused(
        "state: expected at most 536870911 values, got [L*D=1, B=1073741824, H=4]",
        () -> session.newState(1 << 30));
    assertRefused(
        "state: expected at most 536870911 values, got [L*D=20000, B=10000, H=4]",
        () -> State.zeros(SPEC.withLayers(10_000).withBidirectional(true), 10_000));
    assertRefused("batch: expected at least 1, got 0", () -> session.newState(0));
  }

  @Test
  void aFileMayHoldMoreThanTheRecurrentLayers() {
    Path file = Path.of("models/bytes-ur-lstm-256.safetensors");
    RnnSpec plain = RnnSpec.of(Cell.LSTM_REFINE, 64, 256);
    try (Rnn network = Rnn.load(file, plain, "rnn.");
        Session open = network.session(2, 1)) {
      assertEquals(2 * 256, open.forward(2, 1, new float[2 * 64]).length);
    }
  }

  // ---- Kinds of buffers

  @Test
  void buffersMustBeDirectAndNative() {
    FloatBuffer heap = FloatBuffer.allocate(64);
    ByteOrder other =
        ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN
            ? ByteOrder.LITTLE_ENDIAN
            : ByteOrder.BIG_ENDIAN;
    FloatBuffer swapped = ByteBuffer.allocateDirect(256).order(other).asFloatBuffer();
    FloatBuffer good = Networks.floats(64);
    assertRefused(
        "input: expected a direct buffer, got one on the Java heap",
        () -> session.forward(1, 1, heap, good));
    assertRefused(
        "output: expected a direct buffer, got one on the Java heap",
        () -> session.forward(1, 1, good, heap));
    assertRefused(
        "input: expected the native byte order " + ByteOrder.nativeOrder() + ", got " + other,
        () -> session.forward(1, 1, swapped, good));
    assertRefused(
        "lengths: expected a direct buffer, got one on the Java heap",
        () -> session.call().lengths(IntBuffer.allocate(1)));
    assertRefused(
        "output: expected a writable buffer, got a read-only one",
        () -> session.forward(1, 1, good, good.asReadOnlyBuffer()));
  }

  @Test
  void aRefusedBufferLeavesTheCallAsItWas() {
    FloatBuffer y = Networks.floats(4);
    ForwardCall call = session.call().input(Networks.direct(1f, 2f, 3f)).output(y);
    assertThrows(IllegalArgumentException.class, () -> call.input(FloatBuffer.allocate(3)));
    call.run(1, 1);
    assertArrayEquals(session.forward(1, 1, new float[] {1, 2, 3}), Networks.array(y));
  }

  @Test
  void aReadOnlyInputIsFine() {
    FloatBuffer y = Networks.floats(4);
    session.forward(1, 1, Networks.direct(1f, 2f, 3f).asReadOnlyBuffer(), y);
    assertArrayEquals(session.forward(1, 1, new float[] {1, 2, 3}), Networks.array(y));
  }

  @Test
  void buffersThatTheNetworkHasNoUseForAreRefused() {
    assertRefused(
        "tokens: expected none, since the network has no embedding; set input",
        () -> session.call().tokens(Networks.direct(1)));
    assertRefused(
        "input: expected none, since the network has an embedding; set tokens",
        () -> scoring.forward(1, 1, Networks.floats(3), Networks.floats(4)));
    assertRefused(
        "logits: expected none, since the network has no head (outputs 0)",
        () -> session.call().logits(Networks.floats(6)));
    assertRefused(
        "tokens: expected none, since the network has no embedding; set input",
        () -> session.score(1, 1, new int[1], new int[1], null, null));
  }

  // ---- Values

  @Test
  void lengthsMustBeInRange() {
    float[] x = new float[4 * 3 * 3];
    assertRefused(
        "lengths[b=1]: expected 1 to T=4, got 5",
        () -> session.forward(4, 3, x, new int[] {4, 5, 1}, null));
    assertRefused(
        "lengths[b=2]: expected 1 to T=4, got 0",
        () -> session.forward(4, 3, x, new int[] {4, 4, 0}, null));
    assertRefused(
        "lengths: expected [B=3] = 3 ints, got 2",
        () -> session.forward(4, 3, x, new int[] {4, 4}, null));
    assertRefused(
        "lengths: expected [B=3] = 3 ints, got 2",
        () ->
            session.forward(
                4, 3, Networks.direct(x), Networks.direct(4, 4), null, Networks.floats(48)));
  }

  @Test
  void lengthsAreLookedAtInEachRun() {
    IntBuffer lengths = Networks.direct(2, 1);
    ForwardCall call =
        session.call().input(Networks.floats(12)).lengths(lengths).output(Networks.floats(16));
    call.run(2, 2);
    lengths.put(1, 3);
    assertRefused("lengths[b=1]: expected 1 to T=2, got 3", () -> call.run(2, 2));
    lengths.put(1, 2);
    call.run(2, 2);
  }

  /** The session's own copy is what a run sees, whatever becomes of the array meanwhile. */
  @Test
  @Timeout(value = 60, unit = TimeUnit.SECONDS)
  void lengthsChangedDuringARunAreNotSeen() throws InterruptedException {
    BlockingBackend blocking = new BlockingBackend();
    int[] lengths = {2, 1, 2};
    List<Throwable> failures = new ArrayList<>();
    try (Rnn network = blocking.network(SPEC);
        Session open = network.session(2, 3)) {
      Thread user = new Thread(() -> open.forward(2, 3, new float[18], lengths, null));
      user.setUncaughtExceptionHandler((thread, failure) -> failures.add(failure));
      user.start();
      blocking.running.await();
      Arrays.fill(lengths, 1_000_000);
      IntBuffer seen = (IntBuffer) blocking.bound.get(Argument.LENGTHS);
      int[] values = {seen.get(0), seen.get(1), seen.get(2)};
      blocking.letGo.countDown();
      user.join();
      assertArrayEquals(new int[] {2, 1, 2}, values);
    }
    assertEquals(List.of(), failures);
  }

  @Test
  void lengthsChangedAfterACallAreThoseOfTheNext() {
    float[] x = Networks.normal(2 * 2 * 3, 1);
    int[] lengths = {1, 2};
    float[] y = session.forward(2, 2, x, lengths, null);
    Arrays.fill(lengths, 2);
    float[] full = session.forward(2, 2, x);
    assertArrayEquals(full, session.forward(2, 2, x, lengths, null));
    assertFalse(Arrays.equals(full, y));
    assertArrayEquals(y, session.forward(2, 2, x, new int[] {1, 2}, null));

    int[] tokens = {0, 1, 2, 3};
    lengths[0] = 1;
    float[] first = scoring.score(2, 2, tokens, tokens, lengths, null);
    lengths[0] = 2;
    assertEquals(0, first[2], "past the end of the first sequence");
    assertTrue(scoring.score(2, 2, tokens, tokens, lengths, null)[2] < 0);
    assertTrue(scoring.score(2, 2, tokens, tokens, null, null)[2] < 0);
  }

  @Test
  void tokensMustBeInRange() {
    int[] good = {0, 1, 2, 3, 4, 0};
    assertRefused(
        "tokens[t=1, b=2]: expected 0 to 4, got 5",
        () -> scoring.score(2, 3, new int[] {0, 1, 2, 3, 4, 5}, good, null, null));
    assertRefused(
        "tokens[t=0, b=1]: expected 0 to 4, got -1",
        () -> scoring.score(2, 3, new int[] {0, -1, 2, 3, 4, 0}, good, null, null));
    assertRefused(
        "targets[t=1, b=0]: expected 0 to 5, got 6",
        () -> scoring.score(2, 3, good, new int[] {0, 1, 2, 6, 4, 0}, null, null));
    assertRefused(
        "tokens: expected [T=2, B=3] = 6 ints, got 5",
        () -> scoring.score(2, 3, new int[5], good, null, null));
    assertRefused(
        "targets: expected [T=2, B=3] = 6 ints, got none",
        () ->
            scoring
                .call()
                .tokens(Networks.direct(good))
                .targetLogProbabilities(Networks.floats(6))
                .run(2, 3));
  }

  @Test
  void positionsOfTokensFollowTheLayout() {
    IntBuffer tokens = Networks.direct(0, 1, 2, 3, 9, 0); // [B=3, T=2]: row 2, step 0
    ForwardCall call = scoring.call().batchMajor(true).tokens(tokens).logits(Networks.floats(36));
    assertRefused("tokens[t=0, b=2]: expected 0 to 4, got 9", () -> call.run(2, 3));
    call.lengths(Networks.direct(1, 2, 1));
    tokens.put(4, 0).put(5, 9); // Now it is behind the end of row 2.
    call.run(2, 3);
  }

  // ---- States

  @Test
  void statesMustFit() {
    FloatBuffer x = Networks.floats(48);
    FloatBuffer y = Networks.floats(64);
    assertRefused(
        "state: expected [L*D=1, B, H=4], got [L*D=2, B=8, H=4]",
        () -> session.forward(2, 8, x, null, State.zeros(SPEC.withLayers(2), 8), y));
    assertRefused(
        "state: expected [L*D=1, B, H=4], got [L*D=1, B=8, H=5]",
        () -> session.call().state(State.zeros(RnnSpec.of(Cell.LSTM, 3, 5), 8)));
    assertRefused(
        "initialState: expected a state with a cell state for lstm_refine, got one without",
        () -> session.call().initialState(State.zeros(RnnSpec.of(Cell.GRU, 3, 4), 8)));
    assertRefused(
        "initialState: expected B=8, got B=7",
        () -> session.forward(2, 8, x, null, session.newState(7), y));
    assertRefused(
        "finalState: expected B=1, got B=2",
        () -> session.call().input(x).finalState(session.newState(2)).run(1, 1));
  }

  @Test
  void statesHoldWhatIsSet() {
    State state = session.newState(2);
    assertEquals("State[L*D=1, B=2, H=4]", state.toString());
    float[] h = Networks.normal(8, 1);
    float[] c = Networks.normal(8, 2);
    state.set(h, c);
    State copy = state.copy();
    state.h().put(0, 5f);
    assertEquals(5f, state.hidden()[0]);
    assertArrayEquals(h, copy.hidden());
    assertArrayEquals(c, copy.cell());
    assertTrue(state.h().isDirect() && state.h().order() == ByteOrder.nativeOrder());
    state.h().position(3);
    assertEquals(0, state.h().position(), "positions are the caller's own");
    state.clear();
    assertArrayEquals(new float[8], state.hidden());
    assertArrayEquals(new float[8], state.cell());
    assertRefused(
        "h: expected [L*D=1, B=2, H=4] = 8 floats, got 7", () -> state.set(new float[7], c));
    assertRefused(
        "c: expected [L*D=1, B=2, H=4] = 8 floats, got 9", () -> state.set(h, new float[9]));
    assertRefused("c: expected [L*D=1, B=2, H=4], got none", () -> state.set(h, null));
    assertArrayEquals(new float[8], state.hidden(), "a refused set changes nothing");
  }

  @Test
  void aGruHasNoCellState() {
    State state = State.zeros(RnnSpec.of(Cell.GRU, 3, 4), 1);
    assertFalse(state.hasCell());
    assertEquals(
        "c: a GRU has no cell state",
        assertThrows(IllegalStateException.class, state::c).getMessage());
    assertThrows(IllegalStateException.class, state::cell);
    assertRefused(
        "c: expected none for a GRU, got values", () -> state.set(new float[4], new float[4]));
    state.set(new float[] {1, 2, 3, 4}, null);
    assertArrayEquals(new float[] {1, 2, 3, 4}, state.copy().hidden());
  }

  // ---- Devices

  @Test
  void whatABackendWithoutDevicesLacksIsNamed() {
    ForwardCall call = session.call();
    try (FloatPointer pointer = new FloatPointer(48)) {
      assertRefused(
          "input: expected none, since the reference backend has no device memory; set a buffer",
          () -> call.input(pointer));
      assertRefused(
          "initialState.h: expected none, since the reference backend has no device memory; set a"
              + " buffer",
          () -> call.state(pointer, null));
      assertRefused(
          "stream: expected none, since the reference backend has none",
          () -> call.stream(pointer));
    }
    call.stream(null).input((FloatPointer) null).state(null, null);
    assertRefused(
        "tier: expected auto on the reference backend, got grid",
        () -> rnn.session(SessionOptions.of(1, 1).withTier(Tier.GRID)));
    assertRefused(
        "vendorProducts: expected false on the reference backend, got true",
        () -> rnn.session(SessionOptions.of(1, 1).withVendorProducts(true)));
    assertRefused(
        "device: expected 0 on the reference backend, got 1",
        () ->
            Rnn.create(
                SPEC, Networks.weights(SPEC, 1), RnnOptions.of(Backend.REFERENCE).withDevice(1)));
  }

  @Test
  void enqueueIsRunWhereThereAreNoStreams() {
    float[] x = {1, 2, 3};
    FloatBuffer y = Networks.floats(4);
    ForwardCall call = session.call().input(Networks.direct(x)).output(y);
    call.enqueue(1, 1);
    assertArrayEquals(session.forward(1, 1, x), Networks.array(y));
    session.synchronize();
    assertRefused("steps: expected at most maxSteps 16, got 17", () -> call.enqueue(17, 1));
  }

  @Test
  void precisionsOfTheReferenceRoundOperands() {
    float[] x = {1 + 0x1p-9f, 2, 3};
    float[] rounded = {1, 2, 3};
    Weights weights = Networks.weights(SPEC, 1);
    RnnOptions options = RnnOptions.of(Backend.REFERENCE).withPrecision(Precision.BFLOAT16);
    try (Rnn half = Rnn.create(SPEC, weights, options);
        Session open = half.session(1, 1)) {
      assertEquals("bfloat16", open.path().precision());
      float[] y = open.forward(1, 1, x);
      assertArrayEquals(y, open.forward(1, 1, rounded));
      assertFalse(Arrays.equals(y, session.forward(1, 1, rounded)), "weights are rounded too");
    }
  }

  @Test
  void pinnedMemoryIsPlainWhereNothingIsBetter() {
    PinnedMemory memory = Devices.pinned(Backend.REFERENCE, 10);
    ByteBuffer bytes = memory.bytes();
    assertTrue(bytes.isDirect() && bytes.order() == ByteOrder.nativeOrder());
    assertEquals(10, bytes.capacity());
    assertEquals(2, memory.floats().capacity());
    memory.ints().put(0, 7);
    bytes.position(4);
    assertEquals(7, memory.bytes().getInt(0), "views are of one memory");
    assertEquals(0, memory.bytes().position(), "and have positions of their own");
    memory.close();
    memory.close();
    assertEquals(7, bytes.getInt(0), "a view is good after close");
    for (Executable use : List.<Executable>of(memory::bytes, memory::floats, memory::ints)) {
      assertEquals(
          "pinned memory is closed", assertThrows(IllegalStateException.class, use).getMessage());
    }
    assertRefused(
        "bytes: expected 1 to 2147483647, as many as a buffer can hold; got 0",
        () -> Devices.pinned(Backend.AUTO, 0));
    assertRefused(
        "bytes: expected 1 to 2147483647, as many as a buffer can hold; got 2147483648",
        () -> Devices.pinned(Backend.CPU, 1L << 31));
    try (PinnedMemory best = Devices.pinned(Backend.AUTO, 64)) {
      assertEquals(0, best.ints().get(15));
    }
  }

  @Test
  void aStateMayLieInOthersMemory() {
    FloatBuffer h = Networks.floats(10);
    FloatBuffer c = Networks.floats(8);
    h.position(2);
    State state = State.over(SPEC, 2, h, c);
    state.set(new float[] {1, 2, 3, 4, 5, 6, 7, 8}, new float[8]);
    assertEquals(1, h.get(2));
    session.step(Networks.floats(6), state, null);
    assertEquals(state.hidden()[7], h.get(9));
    assertRefused(
        "h: expected 8 floats, got 7", () -> State.over(SPEC, 2, h.duplicate().position(3), c));
    assertRefused(
        "c: expected a direct buffer, got one on the Java heap",
        () -> State.over(SPEC, 2, h, FloatBuffer.allocate(8)));
    assertRefused(
        "c: expected a buffer for lstm_refine, got none", () -> State.over(SPEC, 2, h, null));
    assertRefused(
        "c: expected none for gru, got a buffer",
        () -> State.over(RnnSpec.of(Cell.GRU, 3, 4), 2, h, c));
  }

  // ---- All ways of running agree

  @Test
  void arraysBuffersCallsAndStepsAgree() {
    int batch = 3;
    float[] x = Networks.normal(4 * batch * 3, 1);
    State first = session.newState(batch);
    float[] expected = session.forward(4, batch, x, null, first);

    FloatBuffer y = Networks.floats(4 * batch * 4);
    session.forward(4, batch, Networks.direct(x), y);
    assertArrayEquals(expected, Networks.array(y));

    State second = session.newState(batch);
    FloatBuffer in = Networks.direct(x);
    FloatBuffer out = Networks.floats(4 * batch * 4);
    for (int t = 0; t < 4; t++) {
      in.position(t * batch * 3);
      out.position(t * batch * 4);
      session.step(in, second, out);
    }
    assertArrayEquals(expected, Networks.array(out));
    assertArrayEquals(first.hidden(), second.hidden());
    assertArrayEquals(first.cell(), second.cell());

    // A method leaves nothing of its own behind: no lengths, no state.
    session.forward(4, batch, x, new int[] {1, 2, 3}, session.newState(batch));
    assertArrayEquals(expected, session.forward(4, batch, x));
  }

  @Test
  void aCallKeepsWhatIsSetUntilItIsReplaced() {
    float[] x = Networks.normal(2 * 2 * 3, 1);
    FloatBuffer y = Networks.floats(2 * 2 * 4);
    ForwardCall call =
        session.call().input(Networks.direct(x)).lengths(Networks.direct(2, 1)).output(y);
    call.run(2, 2);
    assertArrayEquals(session.forward(2, 2, x, new int[] {2, 1}, null), Networks.array(y));
    call.lengths(null).run(2, 2);
    assertArrayEquals(session.forward(2, 2, x), Networks.array(y));
    assertNotSame(call, session.call());
  }

  @Test
  void eachRunHasItsOwnShape() {
    float[] x = Networks.normal(3 * 2 * 3, 1);
    FloatBuffer y = Networks.floats(3 * 2 * 4);
    ForwardCall call = session.call().input(Networks.direct(x)).output(y);
    int[][] shapes = {{3, 2}, {2, 2}, {2, 1}, {1, 2}, {3, 2}};
    for (int[] shape : shapes) {
      call.run(shape[0], shape[1]);
      float[] expected =
          session.forward(shape[0], shape[1], Arrays.copyOf(x, shape[0] * shape[1] * 3));
      assertArrayEquals(expected, Arrays.copyOf(Networks.array(y), expected.length));
    }
    assertRefused("input: expected [T=4, B=2, I=3] = 24 floats, got 18", () -> call.run(4, 2));
    call.run(3, 2);
  }

  @Test
  void scoreIsTheLogOfProbabilities() {
    int[] tokens = {0, 1, 2, 3};
    int[] targets = {1, 2, 3, 4};
    FloatBuffer logs = Networks.floats(4 * 6);
    scoring.call().tokens(Networks.direct(tokens)).logProbabilities(logs).run(4, 1);
    float[] scores = scoring.score(4, 1, tokens, targets, null, null);
    for (int t = 0; t < 4; t++) {
      double sum = 0;
      for (int o = 0; o < 6; o++) {
        sum += Math.exp(logs.get(t * 6 + o));
      }
      assertEquals(1, sum, 1e-6);
      assertEquals(logs.get(t * 6 + targets[t]), scores[t]);
    }
  }

  @Test
  void memoryOfArraysIsCounted() {
    long before = session.bytes();
    session.forward(4, 2, new float[24], new int[] {4, 4}, null);
    assertEquals(before + 4 * (24 + 32 + 2), session.bytes());
    session.forward(2, 2, new float[12]);
    assertEquals(before + 4 * (24 + 32 + 2), session.bytes(), "buffers are used again");
  }

  // ---- Small values

  @Test
  void backendsAreFoundByName() {
    for (Backend backend : Backend.values()) {
      assertSame(backend, Backend.of(backend.id()));
    }
    assertSame(Backend.CPU, Backend.of("CPU"));
    assertRefused(
        "backend: expected one of auto, reference, cpu, cuda, cudnn; got gpu",
        () -> Backend.of("gpu"));
  }

  @Test
  void precisionsAndTiersAreFoundByName() {
    for (Precision precision : Precision.values()) {
      assertSame(precision, Precision.of(precision.id()));
    }
    for (Tier tier : Tier.values()) {
      assertSame(tier, Tier.of(tier.id().toUpperCase(Locale.ROOT)));
    }
    assertRefused(
        "precision: expected one of float32, tf32, bfloat16, float16, int8; got bf16",
        () -> Precision.of("bf16"));
    assertRefused(
        "tier: expected one of auto, alternating, slice, cluster, grid; got fast",
        () -> Tier.of("fast"));
  }

  @Test
  void pathsAndReportsAreOneLine() {
    ExecutionPath path =
        new ExecutionPath(Backend.CPU, "X", "avx2", "float32", 2, "forced", Map.of("tier", "1"));
    assertEquals("cpu avx2 float32, 2 threads, on X; forced; tier 1", path.toString());
    assertThrows(UnsupportedOperationException.class, () -> path.details().put("a", "b"));
    assertEquals(
        "cuda: not available; no driver",
        DeviceReport.missing(Backend.CUDA, "no driver").toString());
    assertEquals("cpu: available, on X", DeviceReport.on(Backend.CPU, "X", "").toString());
    assertEquals(
        "cuda: available, on X and Y; new",
        new DeviceReport(Backend.CUDA, true, List.of("X", "Y"), "new").toString());
  }
}
