// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.nio.FloatBuffer;
import org.bytedeco.javacpp.FloatPointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What the CUDA backend adds, on a GPU or in its emulation. */
class CudaTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 3, 8);

  private Rnn rnn;
  private Session session;

  @BeforeEach
  void open() {
    Target cuda = new Target(Backend.CUDA, null, Precision.FLOAT32, Tier.AUTO);
    cuda.assumeAvailable();
    rnn = cuda.create(SPEC, Networks.weights(SPEC, 1));
    session = rnn.session(4, 3);
  }

  @AfterEach
  void close() {
    if (rnn != null) {
      session.close();
      rnn.close();
    }
  }

  @Test
  void thePathNamesTheTierAndWhereTheWeightsAre() {
    ExecutionPath path = session.path();
    assertEquals("float32", path.precision());
    assertEquals("", path.instructionSet());
    assertTrue(Tier.of(path.details().get("tier")) != Tier.AUTO);
    assertTrue(path.details().containsKey("weights"), path.toString());
    assertTrue(path.toString().startsWith("cuda float32, 1 thread, on "), path.toString());
    assertTrue(rnn.bytes() >= 4L * (32 * 3 + 32 * 8), "packed weights are counted");
    assertTrue(session.bytes() > 0, "the workspace is counted");
  }

  @Test
  void aTierThatDoesNotFitSaysWhy() {
    RnnSpec spec = RnnSpec.of(Cell.GRU_RESET_BEFORE, 3, 8);
    try (Rnn gru = Rnn.create(spec, Networks.weights(spec, 1), Backend.CUDA)) {
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> gru.session(SessionOptions.of(1, 1).withTier(Tier.SLICE)))
              .getMessage();
      assertTrue(message.startsWith("tier: ") && message.contains("slice"), message);
    }
  }

  @Test
  void vendorProductsAreThereOrTheErrorSaysWhatWasLookedFor() {
    SessionOptions options = SessionOptions.of(4, 3).withVendorProducts(true);
    try (Session vendor = rnn.session(options)) {
      String products = vendor.path().details().get("products");
      assertTrue(products.startsWith("cublasLt "), products);
    } catch (GatefuseException e) {
      assertEquals(GatefuseException.Code.BACKEND_UNAVAILABLE, e.code());
      assertTrue(e.getMessage().contains("libcublasLt.so.13"), e.getMessage());
    }
    assertFalse(session.path().details().containsKey("products"), session.path().toString());
  }

  @Test
  void enqueuedBuffersMustBePageLocked() {
    ForwardCall call = session.call().input(Networks.floats(36)).output(Networks.floats(96));
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> call.enqueue(4, 3));
    assertTrue(refusal.getMessage().contains("page-locked"), refusal.getMessage());
    call.run(4, 3);
  }

  @Test
  void hostMemoryIsNotTakenForDeviceMemory() {
    try (FloatPointer x = new FloatPointer(36);
        FloatPointer y = new FloatPointer(96)) {
      IllegalArgumentException refusal =
          assertThrows(
              IllegalArgumentException.class, () -> session.call().input(x).output(y).run(4, 3));
      assertTrue(refusal.getMessage().contains("device memory"), refusal.getMessage());
    }
  }

  @Test
  void aRefusedCallLeavesTheSessionAsItWas() {
    float[] x = Networks.normal(36, 1);
    float[] expected = session.forward(4, 3, x);
    assertThrows(
        IllegalArgumentException.class,
        () -> session.call().input(Networks.floats(36)).output(Networks.floats(96)).enqueue(4, 3));
    assertArrayEquals(expected, session.forward(4, 3, x));
    session.synchronize();
  }

  @Test
  void sessionsOfOneNetworkMayBeEnqueuedTogether() {
    float[] x = Networks.normal(36, 1);
    float[] expected = session.forward(4, 3, x);
    try (Session other = rnn.session(4, 3);
        PinnedMemory memory = Devices.pinned(Backend.CUDA, 4 * (36 + 96 + 96))) {
      FloatBuffer all = memory.floats();
      FloatBuffer in = all.slice(0, 36).put(0, x);
      FloatBuffer first = all.slice(36, 96);
      FloatBuffer second = all.slice(132, 96);
      session.call().input(in).output(first).enqueue(4, 3);
      other.call().input(in).output(second).enqueue(4, 3);
      session.synchronize();
      other.synchronize();
      assertArrayEquals(expected, Networks.array(first));
      assertArrayEquals(expected, Networks.array(second));
    }
  }

  @Test
  void float16WeightsBeyondItsRangeAreInfinite() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 1, 1);
    Weights.Builder weights = Weights.builder();
    for (RnnSpec.Parameter p : spec.parameters()) {
      float[] values = new float[(int) p.count()];
      if (p.name().equals("weight_ih_l0")) {
        values[3] = 70000; // The output gate: open or shut, whatever the input.
      }
      weights.add(p.name(), values, p.shape());
    }
    RnnOptions options = RnnOptions.of(Backend.CUDA).withPrecision(Precision.FLOAT16);
    try (Rnn half = Rnn.create(spec, weights.build(), options);
        Session open = half.session(1, 2)) {
      assertEquals("float16", open.path().precision());
      float[] y = open.forward(1, 2, new float[] {1, 0});
      assertEquals(0f, y[0], "candidate 0, gate open");
      assertTrue(Float.isNaN(y[1]), "infinite times 0");
    }
  }
}
