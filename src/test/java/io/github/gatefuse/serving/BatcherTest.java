// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.GatefuseException;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Tier;
import io.github.gatefuse.UnreliableBackend;
import io.github.gatefuse.serving.BatcherOptions.WhenFull;
import io.github.gatefuse.serving.ServingException.Reason;
import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every request gets its own answer, or a reason of its own. */
@Timeout(120)
class BatcherTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 3, 8);
  private static final Duration LONG = Duration.ofSeconds(60);

  private static float[] get(CompletableFuture<float[]> future) throws Exception {
    return future.get(60, TimeUnit.SECONDS);
  }

  private static Throwable failure(CompletableFuture<float[]> future) {
    return assertThrows(ExecutionException.class, () -> get(future)).getCause();
  }

  private static Reason reason(CompletableFuture<float[]> future) {
    return assertInstanceOf(ServingException.class, failure(future)).reason();
  }

  private static Request request(int steps) {
    return Offline.request(SPEC, Output.HIDDEN, steps, new Random(steps));
  }

  // ---- Answers ----

  static Stream<Arguments> networks() {
    RnnSpec plain = RnnSpec.of(Cell.LSTM_REFINE, 5, 12).withLayers(2);
    RnnSpec language = RnnSpec.of(Cell.GRU, 4, 9).withVocabulary(11).withOutputs(7);
    RnnSpec both = RnnSpec.of(Cell.LSTM, 3, 10).withBidirectional(true).withOutputs(4);
    return Stream.of(
        Arguments.of(plain, Output.HIDDEN, Backend.AUTO),
        Arguments.of(plain, Output.LAST_HIDDEN, Backend.AUTO),
        Arguments.of(language, Output.LOGITS, Backend.AUTO),
        Arguments.of(language, Output.LAST_LOGITS, Backend.AUTO),
        Arguments.of(language, Output.LOG_PROBABILITIES, Backend.AUTO),
        Arguments.of(language, Output.TARGET_LOG_PROBABILITIES, Backend.AUTO),
        Arguments.of(both, Output.HIDDEN, Backend.AUTO),
        Arguments.of(both, Output.LAST_HIDDEN, Backend.AUTO),
        Arguments.of(plain, Output.LAST_HIDDEN, Backend.REFERENCE),
        Arguments.of(language, Output.LAST_LOGITS, Backend.REFERENCE));
  }

  /** A request, what was promised, and the thread's own answer. */
  private record Exchange(Request request, CompletableFuture<float[]> future) {}

  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("networks")
  void everyAnswerHasTheBitsOfItsSequenceAlone(RnnSpec spec, Output output, Backend backend)
      throws Exception {
    boolean slow = backend == Backend.REFERENCE;
    int longest = 61;
    int threads = 6;
    int each = slow ? 12 : 150;
    // Requests longer than a native call are run in pieces, where the network allows it.
    int steps = spec.bidirectional() ? longest : 16;
    BatcherOptions options =
        BatcherOptions.of(output)
            .withSizes(7, steps)
            .withQueue(20, WhenFull.BLOCK)
            .withMaxDelay(Duration.ofNanos(200_000))
            .withWorkers(2, 1);
    ConcurrentLinkedQueue<Exchange> exchanges = new ConcurrentLinkedQueue<>();
    try (Rnn rnn = Rnn.create(spec, Networks.weights(spec, 3), backend)) {
      try (Batcher batcher = Batcher.start(rnn, options)) {
        List<Thread> clients = new ArrayList<>();
        for (int i = 0; i < threads; i++) {
          Random random = new Random(100 + i);
          clients.add(
              new Thread(
                  () -> {
                    for (int n = 0; n < each; n++) {
                      int length = 1 + random.nextInt(longest);
                      Request request = Offline.request(spec, output, length, random);
                      Exchange exchange = new Exchange(request, batcher.submit(request));
                      exchanges.add(exchange);
                      if (random.nextInt(3) == 0) {
                        exchange.future.join();
                      }
                    }
                  }));
        }
        clients.forEach(Thread::start);
        for (Thread client : clients) {
          client.join();
        }
      }
      assertEquals(threads * each, exchanges.size());
      try (Offline offline = new Offline(rnn, output, longest)) {
        for (Exchange exchange : exchanges) {
          assertTrue(exchange.future.isDone());
          assertArrayEquals(offline.answer(exchange.request), exchange.future.get());
        }
      }
    }
  }

  /** Requests longer than a native call, whose state is carried on. */
  @Test
  void onADeviceRequestsMayBeOfAnyLength() throws Exception {
    Target cuda = new Target(Backend.CUDA, null, Precision.FLOAT32, Tier.AUTO);
    cuda.assumeAvailable();
    for (Output output : List.of(Output.HIDDEN, Output.LAST_HIDDEN)) {
      try (Rnn rnn = cuda.create(SPEC, Networks.weights(SPEC, 3));
          Rnn cpu = Rnn.create(SPEC, Networks.weights(SPEC, 3), RnnOptions.DEFAULT);
          Offline offline = new Offline(cpu, output, 20);
          Batcher batcher = Batcher.start(rnn, BatcherOptions.of(output).withSizes(4, 6))) {
        List<CompletableFuture<float[]>> answers = new ArrayList<>();
        for (int steps = 1; steps <= 20; steps++) {
          answers.add(batcher.submit(request(steps)));
        }
        for (int steps = 1; steps <= 20; steps++) {
          assertArrayEquals(offline.answer(request(steps)), get(answers.get(steps - 1)), 2e-5f);
        }
      }
    }
  }

  @Test
  void aNetworkThatWasTrainedWithZoneoutIsRunWithIt() throws Exception {
    Regularization zoneout = Regularization.NONE.withZoneout(0.4, 0.25);
    Request request = request(9);
    BatcherOptions options =
        BatcherOptions.of(Output.HIDDEN).withSizes(2, 4).withRegularization(zoneout);
    try (Rnn rnn = Rnn.create(SPEC, Networks.weights(SPEC, 3));
        Session session = rnn.session(SessionOptions.of(9, 1).withRegularization(zoneout));
        Session plain = rnn.session(9, 1);
        Batcher batcher = Batcher.start(rnn, options)) {
      float[] expected = session.forward(9, 1, request.x());
      assertArrayEquals(expected, get(batcher.submit(request)));
      assertFalse(Arrays.equals(expected, plain.forward(9, 1, request.x())));
    }
  }

  @Test
  void aBackendWithoutStateRowsServesWhatFitsACall() throws Exception {
    for (Output output : List.of(Output.HIDDEN, Output.LAST_HIDDEN)) {
      try (UnreliableBackend.Network network =
          UnreliableBackend.network(SPEC, Networks.weights(SPEC, 1))) {
        network.backend().withoutStateRows();
        try (Batcher batcher =
                Batcher.start(
                    network.rnn(), BatcherOptions.of(output).withSizes(4, 9).withWorkers(1, 1));
            Offline offline = new Offline(network.rnn(), output, 9)) {
          List<CompletableFuture<float[]>> futures = new ArrayList<>();
          for (int steps = 1; steps <= 9; steps++) {
            futures.add(batcher.submit(request(steps)));
          }
          for (int steps = 1; steps <= 9; steps++) {
            assertArrayEquals(offline.answer(request(steps)), get(futures.get(steps - 1)));
          }
          assertEquals(
              "request: expected at most maxSteps=9 steps, since the backend cannot carry on states"
                  + " by row; got 10",
              failure(batcher.submit(request(10))).getMessage());
        }
      }
    }
  }

  // ---- Bad requests ----

  @Test
  void onlyThePoisonedRequestFailsAndIsNamed() throws Exception {
    try (UnreliableBackend.Network network =
            UnreliableBackend.network(SPEC, Networks.weights(SPEC, 1));
        Batcher batcher =
            Batcher.start(
                network.rnn(),
                BatcherOptions.of(Output.HIDDEN).withSizes(32, 8).withWorkers(1, 1));
        Offline offline = new Offline(network.rnn(), Output.HIDDEN, 40)) {
      network.backend().hold();
      List<CompletableFuture<float[]>> good = new ArrayList<>();
      List<CompletableFuture<float[]>> bad = new ArrayList<>();
      List<String> sentences = new ArrayList<>();
      for (int i = 0; i < 10; i++) {
        good.add(batcher.submit(request(i + 5)));
        float[] x = request(i + 5).x().clone();
        x[i + 4] = i % 2 == 0 ? Float.NaN : Float.NEGATIVE_INFINITY;
        bad.add(batcher.submit(Request.of(x)));
        sentences.add(
            "x[t=%d, i=%d]: expected a finite number, got %s"
                .formatted((i + 4) / 3, (i + 4) % 3, x[i + 4]));
      }
      bad.add(batcher.submit(Request.of(new float[3 * 4 + 1])));
      sentences.add("x: expected [T, I=3], a multiple of 3 values, got 13");
      bad.add(batcher.submit(Request.of(new float[0])));
      sentences.add("request: expected at least one step, got none");
      bad.add(batcher.submit(Request.of(new int[] {1})));
      sentences.add("request: expected x, since the network has no embedding; got tokens");
      bad.add(batcher.submit(request(2).withTargets(new int[2])));
      sentences.add("targets: expected none for HIDDEN, got some");
      network.backend().letGo();
      for (int i = 0; i < good.size(); i++) {
        assertArrayEquals(offline.answer(request(i + 5)), get(good.get(i)));
      }
      for (int i = 0; i < bad.size(); i++) {
        IllegalArgumentException e =
            assertInstanceOf(IllegalArgumentException.class, failure(bad.get(i)));
        assertEquals(sentences.get(i), e.getMessage());
      }
      assertEquals(bad.size(), batcher.metrics().failed());
      assertEquals(good.size(), batcher.metrics().completed());
    }
  }

  @Test
  void badTokensAndTargetsAreNamed() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 2, 3).withVocabulary(5).withOutputs(4);
    try (Rnn rnn = Rnn.create(spec, Networks.weights(spec, 1));
        Batcher batcher = Batcher.start(rnn, BatcherOptions.of(Output.TARGET_LOG_PROBABILITIES))) {
      Request good = Request.of(new int[] {0, 4});
      assertEquals(
          "targets: expected [T=2] for TARGET_LOG_PROBABILITIES, got none",
          failure(batcher.submit(good)).getMessage());
      assertEquals(
          "targets: expected [T=2], got 1",
          failure(batcher.submit(good.withTargets(new int[1]))).getMessage());
      assertEquals(
          "targets[t=1]: expected 0 to 3, got 4",
          failure(batcher.submit(good.withTargets(new int[] {3, 4}))).getMessage());
      assertEquals(
          "tokens[t=1]: expected 0 to 4, got -1",
          failure(batcher.submit(Request.of(new int[] {0, -1}).withTargets(new int[2])))
              .getMessage());
      assertEquals(
          "request: expected tokens, since the network has an embedding; got x",
          failure(batcher.submit(Request.of(new float[2]))).getMessage());
    }
  }

  @Test
  void twoDirectionsAreNotCut() {
    RnnSpec spec = RnnSpec.of(Cell.GRU, 2, 3).withBidirectional(true);
    try (Rnn rnn = Rnn.create(spec, Networks.weights(spec, 1));
        Batcher batcher = Batcher.start(rnn, BatcherOptions.of(Output.HIDDEN).withSizes(4, 10))) {
      assertEquals(
          "request: expected at most maxSteps=10 steps, since the network has two directions; got"
              + " 11",
          failure(batcher.submit(Request.of(new float[22]))).getMessage());
    }
  }

  // ---- A batch that fails ----

  @Test
  void aFailedBatchFailsItsRequestsAndNothingElse() throws Exception {
    try (UnreliableBackend.Network network =
            UnreliableBackend.network(SPEC, Networks.weights(SPEC, 1));
        Batcher batcher =
            Batcher.start(
                network.rnn(),
                BatcherOptions.of(Output.HIDDEN).withSizes(4, 64).withWorkers(1, 1));
        Offline offline = new Offline(network.rnn(), Output.HIDDEN, 40)) {
      network.backend().hold();
      CompletableFuture<float[]> lost = batcher.submit(request(3));
      network.backend().awaitRuns(1);
      CompletableFuture<float[]> other = batcher.submit(request(4));
      GatefuseException cause =
          new GatefuseException(GatefuseException.Code.BACKEND_FAILED, "the device hiccuped");
      network.backend().failWith(cause);
      network.backend().letGo();
      ServingException e = assertInstanceOf(ServingException.class, failure(lost));
      assertEquals(Reason.BATCH_FAILED, e.reason());
      assertEquals("the run of a batch of 1 requests failed: the device hiccuped", e.getMessage());
      assertSame(cause, e.getCause());
      assertEquals(Reason.BATCH_FAILED, reason(other));
      network.backend().failWith(null);
      assertArrayEquals(offline.answer(request(5)), get(batcher.submit(request(5))));
      assertEquals(2, batcher.metrics().failed());
      // An error that is none of the backend's.
      network.backend().failWith(new ArrayIndexOutOfBoundsException("7"));
      assertEquals(Reason.BATCH_FAILED, reason(batcher.submit(request(5))));
      network.backend().failWith(null);
      assertArrayEquals(offline.answer(request(6)), get(batcher.submit(request(6))));
    }
  }

  @Test
  void anAnswerThatTheHeapDoesNotHoldFailsAlone() throws Exception {
    int steps = 331 * 151;
    int outputs = 2 * 9 * 7 * 11 * 31; // 2^31-2 values, more than an array may have
    RnnSpec spec = RnnSpec.of(Cell.GRU, 1, 2).withVocabulary(3).withOutputs(outputs);
    try (UnreliableBackend.Network network =
            UnreliableBackend.network(spec, Networks.weights(spec, 1));
        Batcher batcher =
            Batcher.start(
                network.rnn(),
                BatcherOptions.of(Output.LOGITS)
                    .withSizes(4, 2)
                    .withMaxDelay(Duration.ZERO)
                    .withWorkers(1, 1))) {
      network.backend().hold();
      CompletableFuture<float[]> before = batcher.submit(Request.of(new int[4]));
      network.backend().awaitRuns(1);
      CompletableFuture<float[]> large = batcher.submit(Request.of(new int[steps]));
      CompletableFuture<float[]> after = batcher.submit(Request.of(new int[3]));
      network.backend().letGo();
      ServingException e = assertInstanceOf(ServingException.class, failure(large));
      assertEquals(Reason.BATCH_FAILED, e.reason());
      assertEquals(
          "request: its answer of 2147483646 values does not fit the heap", e.getMessage());
      assertEquals(4 * outputs, get(before).length);
      assertEquals(3 * outputs, get(after).length);
    }
  }

  // ---- Cancelling and deadlines ----

  /** A batcher of one worker that is held in a run of one request. */
  private static final class Held implements AutoCloseable {
    final UnreliableBackend.Network network =
        UnreliableBackend.network(SPEC, Networks.weights(SPEC, 1));
    final Batcher batcher;
    final CompletableFuture<float[]> first;

    Held(int capacity, WhenFull policy) throws InterruptedException {
      this(BatcherOptions.of(Output.HIDDEN).withQueue(capacity, policy), request(2));
    }

    Held(BatcherOptions options, Request request) throws InterruptedException {
      batcher = Batcher.start(network.rnn(), options.withMaxDelay(Duration.ZERO).withWorkers(1, 1));
      network.backend().hold();
      first = batcher.submit(request);
      network.backend().awaitRuns(1);
    }

    void letGo() {
      network.backend().letGo();
    }

    @Override
    public void close() {
      letGo();
      batcher.close();
      network.close();
    }
  }

  @Test
  void aCancelledRequestIsNotRun() throws Exception {
    try (Held held = new Held(10, WhenFull.REJECT)) {
      CompletableFuture<float[]> kept = held.batcher.submit(request(3));
      CompletableFuture<float[]> cancelled = held.batcher.submit(request(4));
      assertTrue(cancelled.cancel(true));
      assertTrue(held.first.cancel(false)); // runs already
      held.letGo();
      assertEquals(9 * 8, get(held.batcher.submit(request(9))).length);
      assertEquals(3 * 8, get(kept).length);
      assertThrows(CancellationException.class, cancelled::join);
      assertThrows(CancellationException.class, held.first::join);
      BatcherMetrics metrics = held.batcher.metrics();
      assertEquals(2, metrics.cancelled());
      assertEquals(2, metrics.completed());
      assertEquals(3 + 9, metrics.steps());
      assertEquals(0, metrics.queued());
    }
  }

  @Test
  void aRequestWhoseTimeIsUpFailsWhereverItIs() throws Exception {
    try (Held held = new Held(10, WhenFull.REJECT)) {
      CompletableFuture<float[]> waiting =
          held.batcher.submit(request(3).withTimeout(Duration.ofMillis(30)));
      CompletableFuture<float[]> patient = held.batcher.submit(request(3).withTimeout(LONG));
      CompletableFuture<float[]> eternal =
          held.batcher.submit(request(3).withTimeout(Duration.ofSeconds(Long.MAX_VALUE)));
      ServingException e = assertInstanceOf(ServingException.class, failure(waiting));
      assertEquals(Reason.DEADLINE_EXCEEDED, e.reason());
      assertEquals("request was not answered within its PT0.03S", e.getMessage());
      assertFalse(patient.isDone());
      held.letGo();
      assertEquals(3 * 8, get(patient).length);
      assertEquals(3 * 8, get(eternal).length);
      // One that runs.
      held.network.backend().hold();
      CompletableFuture<float[]> running =
          held.batcher.submit(request(3).withTimeout(Duration.ofMillis(30)));
      assertEquals(Reason.DEADLINE_EXCEEDED, reason(running));
      held.letGo();
      assertEquals(2, held.batcher.metrics().expired());
    }
    assertThrows(IllegalArgumentException.class, () -> request(1).withTimeout(Duration.ZERO));
  }

  // ---- A full queue ----

  @Test
  void aFullQueueRejects() throws Exception {
    try (Held held = new Held(2, WhenFull.REJECT)) {
      CompletableFuture<float[]> second = held.batcher.submit(request(3));
      CompletableFuture<float[]> third = held.batcher.submit(request(3));
      ServingException e =
          assertInstanceOf(ServingException.class, failure(held.batcher.submit(request(3))));
      assertEquals(Reason.QUEUE_FULL, e.reason());
      assertEquals(
          "request was not accepted: the queue holds 2 requests, as many as it may",
          e.getMessage());
      third.cancel(false); // makes room
      CompletableFuture<float[]> fourth = held.batcher.submit(request(5));
      held.letGo();
      assertEquals(3 * 8, get(second).length);
      assertEquals(5 * 8, get(fourth).length);
      assertEquals(1, held.batcher.metrics().rejected());
    }
  }

  /** Submits on a thread of its own, which has to wait for room. */
  private static final class Waiting {
    final AtomicReference<CompletableFuture<float[]>> future = new AtomicReference<>();
    final AtomicBoolean interrupted = new AtomicBoolean();
    final Thread thread;

    Waiting(Batcher batcher, Request request) throws InterruptedException {
      thread =
          new Thread(
              () -> {
                future.set(batcher.submit(request));
                interrupted.set(Thread.currentThread().isInterrupted());
              });
      thread.start();
      while (thread.getState() != Thread.State.WAITING) {
        Thread.sleep(1);
      }
    }

    CompletableFuture<float[]> join() throws InterruptedException {
      thread.join(60_000);
      return future.get();
    }
  }

  @Test
  void aFullQueueMayBlock() throws Exception {
    try (Held held = new Held(1, WhenFull.BLOCK)) {
      CompletableFuture<float[]> second = held.batcher.submit(request(3));
      Waiting waiting = new Waiting(held.batcher, request(4));
      Waiting late = new Waiting(held.batcher, request(5).withTimeout(Duration.ofMillis(30)));
      assertEquals(Reason.DEADLINE_EXCEEDED, reason(late.join()));
      Waiting interrupted = new Waiting(held.batcher, request(6));
      interrupted.thread.interrupt();
      assertEquals(Reason.QUEUE_FULL, reason(interrupted.join()));
      assertTrue(interrupted.interrupted.get());
      assertEquals(null, waiting.future.get());
      held.letGo();
      assertEquals(3 * 8, get(second).length);
      assertEquals(4 * 8, get(waiting.join()).length);
    }
  }

  @Test
  void aWorkerNeverWaitsForItself() throws Exception {
    try (Held held = new Held(1, WhenFull.BLOCK)) {
      CompletableFuture<float[]> second = held.batcher.submit(request(3));
      Waiting waiting = new Waiting(held.batcher, request(4));
      // Runs on the only worker, with the queue full.
      CompletableFuture<float[]> chained =
          held.first.thenCompose(answer -> held.batcher.submit(request(5)));
      held.letGo();
      assertEquals(Reason.QUEUE_FULL, reason(chained));
      assertEquals(3 * 8, get(second).length);
      assertEquals(4 * 8, get(waiting.join()).length);
    }
  }

  @Test
  void deadlinesNeverWaitForRoom() throws Exception {
    BatcherOptions options = BatcherOptions.of(Output.HIDDEN).withQueue(1, WhenFull.BLOCK);
    try (Held held = new Held(options, request(2).withTimeout(Duration.ofMillis(200)))) {
      CompletableFuture<float[]> queued = held.batcher.submit(request(3));
      CompletableFuture<float[]> again =
          held.first.exceptionallyCompose(failure -> held.batcher.submit(request(2)));
      assertEquals(Reason.QUEUE_FULL, reason(again));
      held.letGo();
      assertEquals(3 * 8, get(queued).length);
    }
  }

  // ---- The end ----

  @Test
  void afterTheEndADeadlineIsNoOtherFailure() {
    try (Rnn rnn = Rnn.create(SPEC, Networks.weights(SPEC, 1))) {
      Batcher batcher = Batcher.start(rnn, BatcherOptions.of(Output.HIDDEN));
      batcher.close();
      assertEquals(Reason.CLOSED, reason(batcher.submit(request(1))));
      assertEquals(Reason.CLOSED, reason(batcher.submit(request(1).withTimeout(LONG))));
      assertEquals(2, batcher.metrics().rejected());
    }
  }

  @Test
  void closeAnswersAllThatWasAccepted() throws Exception {
    try (UnreliableBackend.Network network =
        UnreliableBackend.network(SPEC, Networks.weights(SPEC, 1))) {
      for (int round = 0; round < 8; round++) {
        Batcher batcher =
            Batcher.start(
                network.rnn(),
                BatcherOptions.of(Output.LAST_HIDDEN).withSizes(8, 16).withWorkers(2, 1));
        ConcurrentLinkedQueue<CompletableFuture<float[]>> futures = new ConcurrentLinkedQueue<>();
        List<Thread> clients = new ArrayList<>();
        CountDownLatch loaded = new CountDownLatch(100);
        for (int i = 0; i < 4; i++) {
          Random random = new Random(round * 4 + i);
          clients.add(
              new Thread(
                  () -> {
                    CompletableFuture<float[]> future;
                    do {
                      future = batcher.submit(request(1 + random.nextInt(40)));
                      futures.add(future);
                      loaded.countDown();
                    } while (!future.isCompletedExceptionally());
                  }));
        }
        clients.forEach(Thread::start);
        loaded.await();
        boolean now = round % 2 == 1;
        if (now) {
          batcher.closeNow();
        } else {
          batcher.close();
        }
        for (Thread client : clients) {
          client.join();
        }
        long answered = 0;
        for (CompletableFuture<float[]> future : futures) {
          assertTrue(future.isDone());
          if (future.isCompletedExceptionally()) {
            Reason reason = reason(future);
            assertTrue(
                reason == Reason.CLOSED || reason == Reason.QUEUE_FULL, () -> reason.toString());
          } else {
            answered++;
          }
        }
        BatcherMetrics metrics = batcher.metrics();
        assertEquals(answered, metrics.completed());
        assertEquals(futures.size(), metrics.submitted());
        assertEquals(futures.size() - answered, metrics.rejected());
        assertEquals(0, metrics.queued());
        batcher.close(); // does nothing
      }
    }
  }

  @Test
  void closeNowFailsTheWaitingByName() throws Exception {
    try (Held held = new Held(1, WhenFull.BLOCK)) {
      CompletableFuture<float[]> queued = held.batcher.submit(request(3));
      Waiting waiting = new Waiting(held.batcher, request(4));
      Thread closer = new Thread(held.batcher::closeNow);
      closer.start();
      ServingException e = assertInstanceOf(ServingException.class, failure(queued));
      assertEquals(Reason.CLOSED, e.reason());
      assertEquals(
          "request was not accepted: the batcher was closed before its turn", e.getMessage());
      assertEquals(Reason.CLOSED, reason(waiting.join()));
      assertEquals(Reason.CLOSED, reason(held.batcher.submit(request(5))));
      held.letGo();
      closer.join();
      assertEquals(2 * 8, get(held.first).length); // it ran already
    }
  }

  @Test
  void aWorkerDoesNotCloseItsOwnBatcher() throws Exception {
    try (Held held = new Held(4, WhenFull.REJECT)) {
      CompletableFuture<Void> closing = held.first.thenRun(held.batcher::close);
      CompletableFuture<Void> closingNow = held.first.thenRun(held.batcher::closeNow);
      held.letGo();
      CompletionException e = assertThrows(CompletionException.class, closing::join);
      assertInstanceOf(IllegalStateException.class, e.getCause());
      e = assertThrows(CompletionException.class, closingNow::join);
      assertInstanceOf(IllegalStateException.class, e.getCause());
      assertEquals(3 * 8, get(held.batcher.submit(request(3))).length);
    }
  }

  @Test
  void anInterruptDoesNotEndCloseEarly() throws Exception {
    try (Held held = new Held(4, WhenFull.REJECT)) {
      CompletableFuture<float[]> queued = held.batcher.submit(request(3));
      AtomicBoolean told = new AtomicBoolean();
      Thread closer =
          new Thread(
              () -> {
                held.batcher.close();
                told.set(Thread.interrupted());
              });
      closer.start();
      closer.interrupt();
      held.letGo();
      closer.join();
      assertTrue(queued.isDone() && held.first.isDone());
      assertTrue(told.get());
    }
  }

  // ---- Batches ----

  @Test
  void aWorkerTakesItsShareOldestFirst() {
    RequestQueue queue = new RequestQueue(BatcherOptions.of(Output.HIDDEN).withSizes(4, 8), 2);
    for (int length = 1; length <= 5; length++) {
      offer(queue, length);
    }
    assertEquals(List.of(1, 2, 3), lengthsOf(queue.take(0)));
    offer(queue, 6);
    offer(queue, 7);
    // Of the seven that wait and run, four are the share of each.
    assertEquals(List.of(4), lengthsOf(queue.take(3)));
    assertEquals(List.of(), lengthsOf(queue.take(4)));
    queue.ended(2);
    queue.close();
    assertEquals(List.of(5), lengthsOf(queue.take(2)));
    assertEquals(List.of(6, 7), lengthsOf(queue.take(0)));
    assertEquals(List.of(), lengthsOf(queue.take(3)));
    assertEquals(null, queue.take(0));
  }

  private static void offer(RequestQueue queue, int length) {
    try {
      Pending pending = new Pending(request(1), length, System.nanoTime());
      assertEquals(RequestQueue.Offer.ACCEPTED, queue.offer(pending, true));
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  private static List<Integer> lengthsOf(List<Pending> batch) {
    return batch.stream().map(pending -> pending.steps).toList();
  }

  @Test
  void requestsJoinThoseThatRun() throws Exception {
    BatcherOptions options = BatcherOptions.of(Output.HIDDEN).withSizes(4, 8);
    try (Held held = new Held(options, request(40)); // five calls
        Offline offline = new Offline(held.network.rnn(), Output.HIDDEN, 40)) {
      CompletableFuture<float[]> shorter = held.batcher.submit(request(11)); // two from the second
      CompletableFuture<Boolean> wasFirst = shorter.thenApply(answer -> !held.first.isDone());
      held.letGo();
      assertArrayEquals(offline.answer(request(40)), get(held.first));
      assertArrayEquals(offline.answer(request(11)), get(shorter));
      assertTrue(wasFirst.join());
      assertEquals(5, held.batcher.metrics().batches());
      assertEquals((5 + 2) / 5.0 / 4, held.batcher.metrics().batchFill());
    }
  }

  @Test
  void whatNobodyWaitsForLeavesAtTheEndOfACall() throws Exception {
    BatcherOptions options = BatcherOptions.of(Output.HIDDEN).withSizes(2, 8);
    try (Held held = new Held(options, request(40));
        Offline offline = new Offline(held.network.rnn(), Output.HIDDEN, 40)) {
      assertTrue(held.first.cancel(false));
      held.letGo();
      assertArrayEquals(offline.answer(request(9)), get(held.batcher.submit(request(9))));
      assertEquals(1 + 2, held.batcher.metrics().batches());
    }
  }

  @Test
  void freeWorkersShareWhatThereIs() throws Exception {
    try (UnreliableBackend.Network network =
            UnreliableBackend.network(SPEC, Networks.weights(SPEC, 1));
        Batcher batcher =
            Batcher.start(
                network.rnn(),
                BatcherOptions.of(Output.HIDDEN)
                    .withMaxDelay(Duration.ofMillis(300))
                    .withWorkers(2, 1))) {
      network.backend().hold();
      CompletableFuture<?>[] futures = new CompletableFuture<?>[8];
      Arrays.setAll(futures, i -> batcher.submit(request(4)));
      network.backend().awaitRuns(2);
      network.backend().letGo();
      CompletableFuture.allOf(futures).get(60, TimeUnit.SECONDS);
      assertEquals(2, batcher.metrics().batches());
      assertEquals(4.0 / 64, batcher.metrics().batchFill());
    }
  }

  // ---- Options and metrics ----

  @Test
  void optionsThatDoNotFitAreNamed() {
    BatcherOptions good = BatcherOptions.of(Output.LOGITS);
    assertThrows(IllegalArgumentException.class, () -> good.withSizes(0, 1));
    assertThrows(IllegalArgumentException.class, () -> good.withSizes(1, 0));
    assertThrows(IllegalArgumentException.class, () -> good.withQueue(0, WhenFull.BLOCK));
    assertThrows(IllegalArgumentException.class, () -> good.withWorkers(-1, 1));
    assertThrows(IllegalArgumentException.class, () -> good.withWorkers(1, 0));
    assertThrows(IllegalArgumentException.class, () -> good.withMaxDelay(Duration.ofNanos(-1)));
    try (Rnn rnn = Rnn.create(SPEC, Networks.weights(SPEC, 1))) {
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> Batcher.start(rnn, good));
      assertEquals(
          "output: expected HIDDEN or LAST_HIDDEN, since the network has no head; got LOGITS",
          e.getMessage());
      // More than a buffer holds: nothing stays open, or the network could not be closed.
      assertThrows(
          IllegalArgumentException.class,
          () -> Batcher.start(rnn, BatcherOptions.of(Output.HIDDEN).withSizes(1 << 15, 1 << 15)));
    }
  }

  @Test
  void metricsTellWhatWasDone() throws Exception {
    try (Rnn rnn = Rnn.create(SPEC, Networks.weights(SPEC, 1));
        Batcher batcher = Batcher.start(rnn, BatcherOptions.of(Output.HIDDEN))) {
      assertEquals(0, batcher.metrics().latency().count());
      for (int steps = 1; steps <= 20; steps++) {
        get(batcher.submit(request(steps)));
      }
      BatcherMetrics metrics = batcher.metrics();
      assertEquals(20, metrics.submitted());
      assertEquals(20, metrics.completed());
      assertEquals(210, metrics.steps());
      assertEquals(20, metrics.batches());
      assertEquals(1.0 / 64, metrics.batchFill());
      assertEquals(20, metrics.latency().count());
      assertEquals(20, metrics.queueTime().count());
      assertTrue(metrics.latency().p50().compareTo(metrics.latency().max()) <= 0);
      assertTrue(metrics.latency().mean().compareTo(metrics.uptime()) < 0);
      assertTrue(metrics.requestsPerSecond() > 0 && metrics.stepsPerSecond() > 0);
      assertEquals(rnn.backend(), metrics.path().backend());
      assertTrue(metrics.bytes() > 0);
    }
  }
}
