// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.cudnn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.ContextLostException;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.GatefuseException.Code;
import io.github.gatefuse.Opened;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Tier;
import io.github.gatefuse.Weights;
import io.github.gatefuse.cudnn.CudnnApi.Kind;
import io.github.gatefuse.spi.Argument;
import io.github.gatefuse.spi.BackendCall;
import io.github.gatefuse.spi.BackendModel;
import io.github.gatefuse.spi.BackendSession;
import io.github.gatefuse.testing.Networks;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.cuda.global.cudnn;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Whatever call fails, the failure is told with its text and nothing stays behind. */
class CudnnFailureTest {
  private static final RnnOptions OPTIONS = RnnOptions.of(Backend.CUDNN);

  private static final Set<String> DESTRUCTIONS =
      Set.of(
          "cudaFree",
          "cudaStreamDestroy",
          "cudnnDestroy",
          "cudnnDestroyDropoutDescriptor",
          "cudnnDestroyRNNDescriptor",
          "cudnnDestroyRNNDataDescriptor",
          "cudnnDestroyTensorDescriptor");

  private static RnnSpec spec(Cell cell) {
    return RnnSpec.of(cell, 2, 3).withBidirectional(true).withVocabulary(4).withOutputs(2);
  }

  /** Everything that a backend does, from the search for a device to the last close. */
  private static void everything(FakeCudnn fake, RnnSpec spec, Weights weights) {
    CudnnBackendProvider provider = new CudnnBackendProvider(() -> fake);
    if (!provider.probe().available()) {
      throw new GatefuseException(Code.BACKEND_UNAVAILABLE, provider.probe().reason());
    }
    try (BackendModel model = provider.create(spec, weights, OPTIONS);
        BackendSession session = model.session(SessionOptions.of(3, 2))) {
      BackendCall call = session.call();
      call.bind(Argument.TOKENS, Networks.direct(0, 1, 2, 3, 0, 1));
      call.bind(Argument.LENGTHS, Networks.direct(1, 3));
      call.bind(Argument.INITIAL_HIDDEN, Networks.floats(12));
      call.bind(Argument.FINAL_HIDDEN, Networks.floats(12));
      if (spec.cell().hasCellState()) {
        call.bind(Argument.INITIAL_CELL, Networks.floats(12));
        call.bind(Argument.FINAL_CELL, Networks.floats(12));
      }
      call.bind(Argument.LOGITS, Networks.floats(12));
      call.shape(3, 2, false);
      call.run();
      call.run();
      call.bind(Argument.LENGTHS, (IntBuffer) null);
      call.shape(1, 1, true); // Needs more working memory.
      call.run();
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Cell.class,
      names = {"LSTM", "GRU"})
  void nothingStaysBehindWhateverFails(Cell cell) {
    Weights weights = Networks.weights(spec(cell), 1);
    FakeCudnn whole = new FakeCudnn();
    everything(whole, spec(cell), weights);
    assertEquals(0, whole.alive());
    List<String> untold = new ArrayList<>();
    for (int i = 0; i < whole.calls.size(); i++) {
      FakeCudnn fake = new FakeCudnn();
      fake.failing = i;
      String function = whole.calls.get(i);
      try {
        everything(fake, spec(cell), weights);
        untold.add(function);
      } catch (GatefuseException e) {
        assertTrue(e.getMessage().startsWith(function), function + ": " + e.getMessage());
        assertTrue(e.getMessage().contains(" says "), e.getMessage());
        assertEquals(0, e.getSuppressed().length, "failures of the clean-up");
      }
      int stuck = DESTRUCTIONS.contains(function) ? 1 : 0;
      assertEquals(stuck, fake.alive(), "left behind after call " + i + ", of " + function);
    }
    // A device is as good without its name.
    assertEquals(List.of("cuDeviceGetName"), untold);
  }

  private static GatefuseException failure(FakeCudnn fake, String function) {
    FakeCudnn whole = new FakeCudnn();
    RnnSpec spec = spec(Cell.LSTM);
    everything(whole, spec, Networks.weights(spec, 1));
    fake.failing = whole.calls.lastIndexOf(function);
    return assertThrows(
        GatefuseException.class, () -> everything(fake, spec, Networks.weights(spec, 1)));
  }

  @Test
  void failuresCarryTheTextsOfCudnnAndCuda() {
    FakeCudnn fake = new FakeCudnn();
    fake.cudnnFailure = cudnn.CUDNN_STATUS_NOT_SUPPORTED;
    GatefuseException refusal = failure(fake, "cudnnRNNForward");
    assertEquals(Code.BACKEND_FAILED, refusal.code());
    assertEquals(
        "cudnnRNNForward: cuDNN says CUDNN_STATUS_3000 (3000): because of a test",
        refusal.getMessage());
    GatefuseException unknown = failure(new FakeCudnn(), "cudaMemcpyAsync");
    assertEquals(Code.BACKEND_FAILED, unknown.code());
    assertEquals(
        "cudaMemcpyAsync from the device: CUDA says cudaError999 (text of 999)",
        unknown.getMessage());
  }

  @Test
  void aLostContextIsItsOwnCode() {
    FakeCudnn cuda = new FakeCudnn();
    cuda.cudaFailure = cudart.cudaErrorIllegalAddress;
    GatefuseException ofCuda = failure(cuda, "cudaStreamSynchronize");
    assertEquals(Code.CONTEXT_LOST, ofCuda.code());
    assertInstanceOf(ContextLostException.class, ofCuda);
    assertTrue(ofCuda.getMessage().endsWith("; only a new process can use the device again"));
    FakeCudnn cudnn = new FakeCudnn();
    cudnn.lastError = cudart.cudaErrorLaunchFailure;
    GatefuseException ofCudnn = failure(cudnn, "cudnnRNNForward");
    assertEquals(Code.CONTEXT_LOST, ofCudnn.code());
    assertInstanceOf(ContextLostException.class, ofCudnn);
    assertTrue(ofCudnn.getMessage().contains("CUDA says cudaError719 (text of 719)"));
  }

  @Test
  void noMemoryIsItsOwnCode() {
    FakeCudnn cuda = new FakeCudnn();
    cuda.cudaFailure = cudart.cudaErrorMemoryAllocation;
    GatefuseException ofCuda = failure(cuda, "cudaMalloc");
    assertEquals(Code.OUT_OF_MEMORY, ofCuda.code());
    assertTrue(ofCuda.getMessage().startsWith("cudaMalloc of 4000 bytes: "), ofCuda.getMessage());
    FakeCudnn host = new FakeCudnn();
    host.cudnnFailure = cudnn.CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    assertEquals(Code.OUT_OF_MEMORY, failure(host, "cudnnCreateRNNDescriptor").code());
  }

  @Test
  void everyMemberIsClosedAndTheFirstFailureTold() {
    List<String> closed = new ArrayList<>();
    Scope scope = new Scope();
    for (String name : List.of("first", "second", "third")) {
      scope.add(
          () -> {
            closed.add(name);
            throw new IllegalStateException(name);
          });
    }
    IllegalStateException failure = assertThrows(IllegalStateException.class, scope::close);
    assertEquals(List.of("third", "second", "first"), closed);
    assertEquals("third", failure.getMessage());
    assertEquals(2, failure.getSuppressed().length);
    scope.close();
    assertEquals(3, closed.size());
  }

  @Test
  void noDeviceIsASentence() {
    FakeCudnn none = new FakeCudnn();
    none.devices = 0;
    CudnnBackendProvider provider = new CudnnBackendProvider(() -> none);
    assertFalse(provider.probe().available());
    assertEquals("expected a CUDA device, found none", provider.probe().reason());
    RnnSpec spec = spec(Cell.GRU);
    GatefuseException refusal =
        assertThrows(
            GatefuseException.class,
            () -> provider.create(spec, Networks.weights(spec, 1), OPTIONS));
    assertEquals(Code.BACKEND_UNAVAILABLE, refusal.code());
  }

  @Test
  void theReportAndThePathTellDeviceAndVersions() {
    FakeCudnn fake = new FakeCudnn();
    CudnnBackendProvider provider = new CudnnBackendProvider(() -> fake);
    assertEquals(
        "cudnn: available, on A device that is not there; cuDNN 9.25.0, CUDA runtime 13.3",
        provider.probe().toString());
    RnnSpec spec = spec(Cell.GRU);
    try (BackendModel model = provider.create(spec, Networks.weights(spec, 1), OPTIONS);
        BackendSession session = model.session(SessionOptions.of(2, 2))) {
      String path = session.path().toString();
      assertTrue(path.startsWith("cudnn sm_90 float32, 1 thread, on A device"), path);
      assertTrue(path.contains("the contracts about bits do not hold"), path);
      assertTrue(path.endsWith("; cudnn 9.25.0; cuda 13.3"), path);
      assertTrue(model.bytes() > 0 && session.bytes() > 0);
    }
  }

  @ParameterizedTest
  @EnumSource(
      value = Cell.class,
      mode = EnumSource.Mode.EXCLUDE,
      names = {"LSTM", "GRU"})
  void otherCellsAreRefusedByName(Cell cell) {
    FakeCudnn fake = new FakeCudnn();
    CudnnBackendProvider provider = new CudnnBackendProvider(() -> fake);
    RnnSpec spec = RnnSpec.of(cell, 2, 3);
    IllegalArgumentException refusal =
        assertThrows(
            IllegalArgumentException.class,
            () -> provider.create(spec, Networks.weights(spec, 1), OPTIONS));
    assertEquals(
        "cell: expected lstm or gru, the standard cells that cuDNN has; got "
            + (cell.id() + ", which the other backends have"),
        refusal.getMessage());
  }

  private static String refusal(Executable body) {
    return assertThrows(IllegalArgumentException.class, body).getMessage();
  }

  @Test
  void whatItLacksIsRefusedByName() {
    CudnnBackendProvider provider = new CudnnBackendProvider(FakeCudnn::new);
    RnnSpec spec = RnnSpec.of(Cell.GRU, 2, 3);
    Weights weights = Networks.weights(spec, 1);
    RnnOptions half = OPTIONS.withPrecision(Precision.FLOAT16);
    assertEquals(
        "precision: expected float32 on the cudnn backend, got float16",
        refusal(() -> Opened.network(spec, weights, provider, half)));
    RnnOptions second = OPTIONS.withDevice(1);
    assertEquals(
        "device: expected 0 on the cudnn backend, got 1",
        refusal(() -> Opened.network(spec, weights, provider, second)));
    try (Rnn rnn = Opened.network(spec, weights, provider);
        Session session = rnn.session(2, 2)) {
      assertEquals(
          "tier: expected auto on the cudnn backend, got grid",
          refusal(() -> rnn.session(SessionOptions.of(2, 2).withTier(Tier.GRID))));
      ForwardCall call = session.call();
      FloatPointer memory = new FloatPointer(Networks.floats(8));
      assertEquals(
          "input: expected none, since the cudnn backend has no device memory; set a buffer",
          refusal(() -> call.input(memory)));
      assertEquals(
          "stream: expected none, since the cudnn backend has none",
          refusal(() -> call.stream(new Pointer(memory))));
    }
  }

  @Test
  void anEnqueuedCallIsComplete() {
    CudnnBackendProvider provider = new CudnnBackendProvider(FakeCudnn::new);
    RnnSpec spec = RnnSpec.of(Cell.GRU, 2, 3);
    FloatBuffer x = Networks.direct(Networks.normal(8, 1));
    FloatBuffer run = Networks.floats(12);
    FloatBuffer enqueued = Networks.floats(12);
    try (Rnn rnn = Opened.network(spec, Networks.weights(spec, 1), provider);
        Session session = rnn.session(2, 2)) {
      session.call().input(x).output(run).run(2, 2);
      session.call().input(x).output(enqueued).enqueue(2, 2);
      assertArrayEquals(Networks.array(run), Networks.array(enqueued));
      session.synchronize();
    }
  }

  @Test
  void theDeviceThatIsAskedForIsUsed() {
    FakeCudnn fake = new FakeCudnn();
    fake.devices = 2;
    CudnnBackendProvider provider = new CudnnBackendProvider(() -> fake);
    List<String> devices = provider.probe().devices();
    assertEquals(List.of("A device that is not there", "Another that is not there"), devices);
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 2, 3);
    Weights weights = Networks.weights(spec, 1);
    float[] x = Networks.normal(8, 1);
    try (Rnn first = Opened.network(spec, weights, provider);
        Rnn second = Opened.network(spec, weights, provider, OPTIONS.withDevice(1));
        Session onFirst = first.session(2, 2);
        Session onSecond = second.session(2, 2)) {
      assertEquals(devices.get(0), onFirst.path().device());
      assertEquals(devices.get(1), onSecond.path().device());
      for (int i = 0; i < 2; i++) {
        assertArrayEquals(onFirst.forward(2, 2, x), onSecond.forward(2, 2, x));
      }
    }
    assertEquals(0, fake.alive());
  }

  @Test
  void aRunMakesNothing() {
    FakeCudnn fake = new FakeCudnn();
    CudnnBackendProvider provider = new CudnnBackendProvider(() -> fake);
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 2, 3);
    try (BackendModel model = provider.create(spec, Networks.weights(spec, 1), OPTIONS);
        BackendSession session = model.session(SessionOptions.of(4, 2))) {
      BackendCall call = session.call();
      call.bind(Argument.INPUT, Networks.floats(16));
      call.bind(Argument.OUTPUT, Networks.floats(24));
      call.shape(4, 2, false);
      call.run();
      List<Integer> before = made(fake);
      fake.calls.clear();
      call.run();
      assertEquals(before, made(fake));
      // The shape is as before, and so nothing is told again.
      assertEquals(
          List.of(
              "cudaSetDevice",
              "cudaMemcpyAsync",
              "cudnnRNNForward",
              "cudaMemcpyAsync",
              "cudaStreamSynchronize"),
          fake.calls);
    }
  }

  private static List<Integer> made(FakeCudnn fake) {
    return Stream.of(Kind.values()).map(fake::made).toList();
  }

  @Test
  void weightsAreUploadedOnceForAllSessions() {
    FakeCudnn fake = new FakeCudnn();
    CudnnBackendProvider provider = new CudnnBackendProvider(() -> fake);
    RnnSpec spec = RnnSpec.of(Cell.GRU, 2, 3);
    try (BackendModel model = provider.create(spec, Networks.weights(spec, 1), OPTIONS)) {
      assertTrue(fake.calls.contains("cudnnGetRNNWeightParams"));
      fake.calls.clear();
      try (BackendSession first = model.session(SessionOptions.of(4, 2));
          BackendSession second = model.session(SessionOptions.of(1, 1))) {
        assertNotNull(first.call());
        assertNotNull(second.call());
        assertFalse(fake.calls.contains("cudnnGetRNNWeightParams"));
      }
    }
    assertEquals(0, fake.alive());
  }
}
