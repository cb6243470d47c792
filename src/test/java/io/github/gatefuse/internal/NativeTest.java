// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.internal;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.ContextLostException;
import io.github.gatefuse.DeviceReport;
import io.github.gatefuse.ExecutionPath;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import io.github.gatefuse.testing.Networks;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the native CPU backend adds: statuses, texts, instruction sets, memory. */
class NativeTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 3, 4);

  @AfterEach
  void clear() {
    System.clearProperty(InstructionSet.PROPERTY);
  }

  private static void assumeNative() {
    DeviceReport report = new CpuBackendProvider().probe();
    assumeTrue(report.available(), report::toString);
  }

  private static Rnn create() {
    return Rnn.create(SPEC, Networks.weights(SPEC, 1), Backend.CPU);
  }

  @Test
  void statusesBecomeExceptions() {
    assertInstanceOf(IllegalArgumentException.class, Native.exception(1, "x"));
    assertInstanceOf(IllegalStateException.class, Native.exception(2, "x"));
    Code[] codes = {
      Code.OUT_OF_MEMORY,
      Code.BACKEND_UNAVAILABLE,
      Code.BACKEND_FAILED,
      Code.CONTEXT_LOST,
      Code.INTERNAL
    };
    for (int i = 0; i < codes.length; i++) {
      GatefuseException e = (GatefuseException) Native.exception(3 + i, "why");
      assertEquals(codes[i], e.code());
      assertEquals("why", e.getMessage());
      assertEquals(codes[i] == Code.CONTEXT_LOST, e instanceof ContextLostException);
    }
    GatefuseException unknown = (GatefuseException) Native.exception(99, "why");
    assertEquals(Code.INTERNAL, unknown.code());
    assertEquals("status 99: why", unknown.getMessage());
  }

  @Test
  void textsAreLinesOfFacts() {
    byte[] text = "device=a=b\nreason=\nnothing\nthreads=2\n\0old".getBytes(StandardCharsets.UTF_8);
    assertEquals(Map.of("device", "a=b", "reason", "", "threads", "2"), Native.parse(text));
    ExecutionPath path =
        NativeSession.path(
            Map.of("backend", "cpu", "instruction_set", "avx2", "threads", "3", "tier", "small"));
    assertEquals(Backend.CPU, path.backend());
    assertEquals("avx2", path.instructionSet());
    assertEquals(3, path.threads());
    assertEquals(Map.of("tier", "small"), path.details());
  }

  @Test
  void thePathTellsInstructionSetAndThreads() {
    assumeNative();
    for (InstructionSet set : InstructionSet.available()) {
      System.setProperty(InstructionSet.PROPERTY, set.id());
      try (Rnn rnn = create();
          Session session = rnn.session(SessionOptions.of(2, 2).withThreads(1))) {
        assertEquals(set.id(), session.path().instructionSet());
        assertEquals("float32", session.path().precision());
        assertEquals(1, session.path().threads());
        assertFalse(session.path().device().isEmpty(), "a device is named");
        assertTrue(rnn.bytes() >= 4L * (16 * 3 + 16 * 4), "packed weights are counted");
        assertTrue(session.bytes() > 0, "the workspace is counted");
      }
    }
  }

  @Test
  void theWidestInstructionSetIsTheDefault() {
    assumeNative();
    try (Rnn rnn = create();
        Session session = rnn.session(1, 1)) {
      assertEquals(InstructionSet.available().get(0).id(), session.path().instructionSet());
    }
  }

  @Test
  void anUnknownInstructionSetIsAnErrorThatListsAll() {
    assumeNative();
    System.setProperty(InstructionSet.PROPERTY, "avx1024");
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, NativeTest::create);
    assertEquals(
        "system property gatefuse.cpu.instructionSet: expected one of "
            + InstructionSet.names()
            + ", which this build holds and this processor runs; got avx1024",
        e.getMessage());
  }

  @Test
  void anUnavailableInstructionSetIsAnErrorOfAutoToo() {
    assumeNative();
    for (InstructionSet set : InstructionSet.values()) {
      if (!InstructionSet.available().contains(set)) {
        System.setProperty(InstructionSet.PROPERTY, set.id());
        assertThrows(
            IllegalArgumentException.class,
            () -> Rnn.create(SPEC, Networks.weights(SPEC, 1)).close());
      }
    }
  }

  @Test
  void anUnalignedBufferIsRefused() {
    assumeNative();
    FloatBuffer odd =
        ByteBuffer.allocateDirect(64)
            .position(1)
            .slice()
            .order(ByteOrder.nativeOrder())
            .asFloatBuffer();
    try (Rnn rnn = create();
        Session session = rnn.session(1, 1)) {
      FloatBuffer y = Networks.floats(4);
      assertEquals(
          "input: expected memory aligned to 4 bytes, got a buffer sliced between values",
          assertThrows(IllegalArgumentException.class, () -> session.forward(1, 1, odd, y))
              .getMessage());
    }
  }

  @Test
  void overlapsAreRefused() {
    assumeNative();
    FloatBuffer all = Networks.floats(16);
    try (Rnn rnn = create();
        Session session = rnn.session(1, 1)) {
      FloatBuffer x = all.slice(0, 3);
      assertEquals(
          "output: expected memory of its own, got an overlap with input",
          assertThrows(
                  IllegalArgumentException.class, () -> session.forward(1, 1, x, all.slice(2, 4)))
              .getMessage());
      session.forward(1, 1, x, all.slice(3, 4));
      State state = session.newState(1);
      ForwardCall call = session.call().input(x).state(state).output(state.h());
      assertThrows(IllegalArgumentException.class, () -> call.run(1, 1));
    }
  }

  @Test
  void aRefusedSizeOfMemoryIsAnError() {
    assumeNative();
    // Its states alone would be 562 TB, more than an address space holds, however generous the
    // system.
    RnnSpec deep = RnnSpec.of(Cell.GRU, 1, 16).withLayers(2048);
    try (Rnn rnn = Rnn.create(deep, Networks.weights(deep, 1), Backend.CPU)) {
      GatefuseException e =
          assertThrows(GatefuseException.class, () -> rnn.session(1, Integer.MAX_VALUE));
      assertEquals(Code.OUT_OF_MEMORY, e.code());
      assertTrue(e.getMessage().contains("session"), e.getMessage());
    }
  }

  @Test
  void buffersStayReachableWhileTheyAreSet() {
    assumeNative();
    try (Rnn rnn = create();
        Session session = rnn.session(64, 64)) {
      float[] x = Networks.normal(64 * 64 * 3, 1);
      float[] expected = session.forward(64, 64, x);
      FloatBuffer y = Networks.floats(64 * 64 * 4);
      // Nobody but the call holds the input.
      ForwardCall call = session.call().input(Networks.direct(x)).output(y);
      for (int i = 0; i < 20; i++) {
        System.gc();
        Networks.direct(Networks.normal(64 * 64 * 3, i));
        call.run(64, 64);
        assertArrayEquals(expected, Networks.array(y));
      }
    }
  }
}
