// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.ContextLostException;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.Devices;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.PinnedMemory;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import io.github.gatefuse.Tier;
import io.github.gatefuse.Weights;
import io.github.gatefuse.binding.GatefuseNative;
import io.github.gatefuse.testing.Networks;
import java.lang.management.ManagementFactory;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.IntPointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/**
 * What reaches a CUDA backend, and what comes back, on a fake one (native/test/fake_device.cpp)
 * that tells in its outputs what it was called with. To it, device memory is host memory.
 */
@Tag("fake-device")
class FakeDeviceTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 3, 6);
  private static final Weights WEIGHTS = Networks.weights(SPEC, 1);
  private static final float HOST = GatefuseNative.GF_MEMORY_HOST;
  private static final float DEVICE = GatefuseNative.GF_MEMORY_DEVICE;
  private static final float ON_RETURN = GatefuseNative.GF_ON_RETURN;
  private static final float ON_STREAM = GatefuseNative.GF_ON_STREAM;

  /** Batches that the fake fails at. */
  private static final int FAILS = 13;

  private static final int LOSES_CONTEXT = 14;

  private Rnn rnn;
  private Session session;
  private final FloatBuffer x = Networks.direct(Networks.normal(20 * 3, 1));
  private final FloatBuffer y = Networks.floats(20 * 6);

  @BeforeEach
  void open() {
    rnn = Rnn.create(SPEC, WEIGHTS, Backend.CUDA);
    session = rnn.session(1, 20);
  }

  @AfterEach
  void close() {
    session.close();
    rnn.close();
  }

  /** What the fake wrote: memory, completion, stream, first input, first of h0, first length. */
  private static void assertTold(FloatBuffer y, float... expected) {
    float[] told = new float[expected.length];
    y.get(0, told);
    assertArrayEquals(expected, told);
  }

  private static void assertRefused(String message, Executable body) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, body).getMessage());
  }

  private static FloatPointer device(float... values) {
    return new FloatPointer(values);
  }

  /** A pointer as others' libraries make them. */
  private static FloatPointer at(long where, long count) {
    return new FloatPointer() {
      {
        address = where;
        capacity(count);
      }
    };
  }

  private static FloatBuffer look(FloatPointer pointer) {
    return pointer.asBuffer();
  }

  // ---- Choosing

  @Test
  void theReportNamesAllDevices() {
    DeviceReport report = new CudaBackendProvider().probe();
    assertTrue(report.available(), report.toString());
    assertEquals(List.of("fake device 0", "fake device 1"), report.devices());
    assertEquals("cuda: available, on fake device 0 and fake device 1", report.toString());
  }

  @Test
  void autoTakesCudaFirstButNotALibraryForTests() {
    String property = System.clearProperty(CudaLibrary.PROPERTY);
    assertTrue(
        new CudaBackendProvider().priority() > new CpuBackendProvider().priority(), "cuda, cpu");
    System.setProperty(CudaLibrary.PROPERTY, property);
    try (Rnn automatic = Rnn.create(SPEC, WEIGHTS)) {
      assertEquals(Backend.CPU, automatic.backend());
    }
  }

  @Test
  void optionsReachTheBackendAndThePathComesBack() {
    RnnOptions options =
        RnnOptions.of(Backend.CUDA).withPrecision(Precision.BFLOAT16).withDevice(1);
    try (Rnn model = Rnn.create(SPEC, WEIGHTS, options);
        Session open =
            model.session(
                SessionOptions.of(1, 1).withTier(Tier.CLUSTER).withVendorProducts(true))) {
      assertEquals("fake device 1", open.path().device());
      assertEquals("" + GatefuseNative.GF_BFLOAT16, open.path().precision());
      assertEquals("the grid is too small", open.path().reason());
      assertEquals(
          Map.of(
              "tier",
              "" + GatefuseNative.GF_TIER_CLUSTER,
              "cluster",
              "4",
              "weights",
              "registers",
              "products",
              "" + GatefuseNative.GF_PRODUCTS_CUBLASLT),
          open.path().details());
      assertTrue(
          open.path().toString().endsWith("; tier 3; cluster 4; weights registers; products 1"),
          open.path().toString());
    }
  }

  @Test
  void whatTheBackendLacksIsRefused() {
    assertRefused(
        "device: expected 0 to 1 on the cuda backend, got 2",
        () -> Rnn.create(SPEC, WEIGHTS, RnnOptions.of(Backend.CUDA).withDevice(2)));
    assertRefused(
        "tier: the grid is too small",
        () -> rnn.session(SessionOptions.of(1, 1).withTier(Tier.GRID)));
    RnnOptions options = RnnOptions.of(Backend.CUDA).withPrecision(Precision.TF32).withDevice(1);
    GatefuseException refusal =
        assertThrows(GatefuseException.class, () -> Rnn.create(SPEC, WEIGHTS, options));
    assertEquals(Code.BACKEND_UNAVAILABLE, refusal.code());
    assertEquals("fake: device 1 has no tf32", refusal.getMessage());
  }

  @Test
  void aSecondLibraryIsNotLoadedInPlaceOfTheFirst() {
    CudaLibrary.load();
    assertTrue(new CudaBackendProvider().probe().available());
  }

  // ---- Memory

  @Test
  void hostBuffersAreSaidToBeHostMemory() {
    assertEquals(1234, rnn.bytes());
    assertEquals(4321, session.bytes());
    session.call().input(x).output(y).run(1, 2);
    assertTold(y, HOST, ON_RETURN, 0, x.get(0), -1, -1);
  }

  @Test
  void pointersAreSaidToBeDeviceMemory() {
    try (FloatPointer in = device(1, 2, 3, 4);
        FloatPointer out = device(new float[7]);
        FloatPointer h = device(5, 6, 7, 8, 9, 10)) {
      in.position(1); // Values count from the position, as they do in buffers.
      out.position(1);
      ForwardCall call =
          session.call().input(in).output(out).initialState(h, null).lengths(Networks.direct(1));
      call.run(1, 1);
      assertTold(look(out), DEVICE, ON_RETURN, 0, 2, 5, 1);
      in.position(0); // Not set again: the call stays as it is.
      call.run(1, 1);
      assertTold(look(out), DEVICE, ON_RETURN, 0, 2, 5, 1);
      call.input(in).run(1, 1);
      assertTold(look(out), DEVICE, ON_RETURN, 0, 1, 5, 1);
    }
  }

  @Test
  void tokensOnTheDeviceAreNotLookedAt() {
    RnnSpec spec = SPEC.withVocabulary(4).withOutputs(2);
    try (Rnn model = Rnn.create(spec, Networks.weights(spec, 1), Backend.CUDA);
        Session open = model.session(1, 1);
        IntPointer tokens = new IntPointer(new int[] {99});
        IntPointer targets = new IntPointer(new int[] {-1});
        FloatPointer out = device(new float[6]);
        FloatPointer scores = device(0)) {
      ForwardCall call = open.call().tokens(tokens).output(out);
      call.run(1, 1);
      call.targets(targets).targetLogProbabilities(scores).run(1, 1);
      assertTold(look(out), DEVICE, ON_RETURN, 0);
      assertRefused(
          "tokens[t=0, b=0]: expected 0 to 3, got 99",
          () -> open.call().tokens(Networks.direct(99)).output(y).run(1, 1));
    }
  }

  @Test
  void theCapacityOfPointersIsChecked() {
    try (FloatPointer in = device(1, 2, 3, 4, 5);
        FloatPointer out = device(new float[12])) {
      ForwardCall call = session.call().input(in).output(out);
      assertRefused("input: expected [T=1, B=2, I=3] = 6 floats, got 5", () -> call.run(1, 2));
      in.position(3);
      call.input(in);
      assertRefused("input: expected [T=1, B=1, I=3] = 3 floats, got 2", () -> call.run(1, 1));
      FloatPointer none = new FloatPointer();
      assertRefused(
          "input: expected a pointer to device memory, got a null pointer", () -> call.input(none));
      FloatPointer unknown = new FloatPointer(out).position(0).limit(0);
      assertRefused(
          "output: expected a pointer whose capacity is set (capacity(n) after its allocation), got"
              + " one of 0 values",
          () -> call.output(unknown));
    }
  }

  @Test
  void memoryIsOfOneKind() {
    try (FloatPointer in = device(1, 2, 3);
        FloatPointer out = device(new float[6]);
        FloatPointer h = device(new float[6])) {
      assertRefused(
          "memory: expected all of it on the host or all on the device, got output on the host and"
              + " input on the device",
          () -> session.call().input(in).output(y).run(1, 1));
      ForwardCall call = session.call().input(in).output(out).state(session.newState(1));
      assertRefused(
          "memory: expected all of it on the host or all on the device, got initialState.h on the"
              + " host and input on the device",
          () -> call.run(1, 1));
      call.state(h, null).run(1, 1);
      assertTold(look(out), DEVICE, ON_RETURN, 0, 1, 0);
      call.state(null).run(1, 1);
      assertTold(look(out), DEVICE, ON_RETURN, 0, 1, -1);
      call.input(x).output(y).run(1, 1);
      assertTold(y, HOST, ON_RETURN, 0, x.get(0));
    }
  }

  @Test
  void overlapsAndOddAddressesAreRefusedOnTheDeviceToo() {
    try (FloatPointer all = device(new float[12])) {
      FloatPointer out = new FloatPointer(all).position(2);
      assertRefused(
          "output: expected memory of its own, got an overlap with input",
          () -> session.call().input(all).output(out).run(1, 1));
      FloatPointer odd = at(all.address() + 1, 3);
      assertRefused(
          "input: expected memory aligned to 4 bytes, got the address 0x"
              + Long.toHexString(odd.address()),
          () -> session.call().input(odd));
      ForwardCall call = session.call().input(new FloatPointer(all).position(9));
      call.output(new FloatPointer(all)).run(1, 1);
    }
  }

  @Test
  void aCellStateIsForCellsThatHaveOne() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 3, 6);
    try (Rnn model = Rnn.create(spec, Networks.weights(spec, 1), Backend.CUDA);
        Session open = model.session(1, 1);
        FloatPointer h = device(new float[6])) {
      assertRefused(
          "initialState.c: expected none, since a gru has no cell state",
          () -> open.call().state(h, h));
    }
  }

  // ---- Streams and completion

  @Test
  void theStreamIsHandedOn() {
    ForwardCall call = session.call().input(x).output(y).stream(at(4096, 0));
    call.run(1, 1);
    assertTold(y, HOST, ON_RETURN, 4096);
    call.stream(null).run(1, 1);
    assertTold(y, HOST, ON_RETURN, 0);
  }

  @Test
  void anEnqueuedCallIsCompleteAfterSynchronize() {
    y.put(0, -5f);
    session.call().input(x).output(y).enqueue(1, 1);
    assertTold(y, -5);
    session.synchronize();
    assertTold(y, HOST, ON_STREAM, 0, x.get(0));
    session.synchronize();
  }

  @Test
  void theNextRunCompletesWhatIsEnqueued() {
    FloatBuffer other = Networks.floats(6);
    ForwardCall call = session.call().input(x).output(y);
    call.enqueue(1, 1);
    session.call().input(x).output(other).run(1, 1);
    assertTold(y, HOST, ON_STREAM);
    assertTold(other, HOST, ON_RETURN);
    call.run(1, 1);
    assertTold(y, HOST, ON_RETURN);
  }

  @Test
  void closeCompletesWhatIsEnqueued() {
    try (Session open = rnn.session(1, 20)) {
      open.call().input(x).output(y).enqueue(1, 1);
    }
    assertTold(y, HOST, ON_STREAM);
    try (Session open = rnn.session(1, 20)) {
      open.call().input(x).output(y).enqueue(1, FAILS); // It is logged.
    }
  }

  @Test
  void anEnqueuedCallIsCheckedLikeAnyOther() {
    assertRefused(
        "input: expected [T=1, B=1, I=3] = 3 floats, got none",
        () -> session.call().output(y).enqueue(1, 1));
    assertRefused(
        "batch: expected at most maxBatch 20, got 21",
        () -> session.call().input(x).output(y).enqueue(1, 21));
  }

  @Test
  void aFailureIsToldByTheNextCallOrByAWait() {
    ForwardCall call = session.call().input(x).output(y);
    call.enqueue(1, FAILS);
    GatefuseException waited = assertThrows(GatefuseException.class, session::synchronize);
    assertEquals(Code.BACKEND_FAILED, waited.code());
    assertEquals("fake: a kernel failed", waited.getMessage());
    call.enqueue(1, FAILS);
    GatefuseException next = assertThrows(GatefuseException.class, () -> call.run(1, 1));
    assertEquals("fake: a kernel failed", next.getMessage());
    call.run(1, 1);
  }

  @Test
  void aLostContextIsAnExceptionOfItsOwn() {
    ForwardCall call = session.call().input(x).output(y);
    ContextLostException lost =
        assertThrows(ContextLostException.class, () -> call.run(1, LOSES_CONTEXT));
    assertEquals(Code.CONTEXT_LOST, lost.code());
    assertEquals("fake: the device is gone", lost.getMessage());
  }

  @Test
  void enqueuedBuffersStayReachable() {
    float[] values = {7, 8, 9};
    session.call().input(Networks.direct(values)).output(y).enqueue(1, 1);
    for (int i = 0; i < 5; i++) {
      System.gc();
      Networks.direct(Networks.normal(3, i));
    }
    session.synchronize();
    assertTold(y, HOST, ON_STREAM, 0, 7);
  }

  @Test
  void enqueueAllocatesNothing() {
    ForwardCall call = session.call().input(x).output(y);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long id = Thread.currentThread().getId();
    long fewest = Long.MAX_VALUE;
    for (int round = 0; round < 6; round++) {
      long before = threads.getThreadAllocatedBytes(id);
      for (int i = 0; i < 1000; i++) {
        call.enqueue(1, 1);
        call.enqueue(1, 2);
        session.synchronize();
      }
      fewest = Math.min(fewest, threads.getThreadAllocatedBytes(id) - before);
    }
    assertEquals(0, fewest);
  }

  // ---- Page-locked memory

  private static int blocks() {
    int number = Native.number(Backend.CUDA);
    return Integer.parseInt(
        Native.describe((text, size) -> GatefuseNative.gf_backend_describe(number, text, size))
            .get("blocks"));
  }

  @Test
  void pinnedMemoryIsFreedAfterCloseWhenNoViewIsLeft() throws InterruptedException {
    int before = blocks();
    PinnedMemory memory = Devices.pinned(Backend.CUDA, 64);
    FloatBuffer view = memory.floats().slice(8, 8);
    assertEquals(before + 1, blocks());
    memory.close();
    memory.close();
    for (int i = 0; i < 5; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertEquals(before + 1, blocks(), "a view is left");
    view.put(7, 1f);
    assertEquals(1f, view.get(7));
    view = null;
    for (int i = 0; i < 200 && blocks() != before; i++) {
      System.gc();
      Thread.sleep(10);
    }
    assertEquals(before, blocks());
  }

  @Test
  void pinnedMemoryIsForEnqueuedCallsAndStates() {
    try (PinnedMemory memory = Devices.pinned(Backend.CUDA, 4 * (3 + 6 + 12))) {
      FloatBuffer all = memory.floats();
      assertEquals(21, all.capacity());
      all.put(0, 4f);
      State state = State.over(SPEC, 1, all.slice(9, 6), all.slice(15, 6));
      state.h().put(0, 0.5f);
      FloatBuffer out = all.slice(3, 6);
      session.call().input(all.slice(0, 3)).state(state).output(out).enqueue(1, 1);
      session.synchronize();
      assertTold(out, HOST, ON_STREAM, 0, 4, 0.5f);
    }
  }

  @Test
  void pinnedMemoryThatCannotBeHadIsAnError() {
    GatefuseException refusal =
        assertThrows(GatefuseException.class, () -> Devices.pinned(Backend.CUDA, 1 << 21));
    assertEquals(Code.OUT_OF_MEMORY, refusal.code());
    assertEquals("fake: no page-locked memory", refusal.getMessage());
  }
}
