// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.serving;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.Parameters;
import io.github.gatefuse.Precision;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.RnnSpec;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.Tier;
import io.github.gatefuse.UnreliableBackend;
import io.github.gatefuse.Weights;
import io.github.gatefuse.serving.ServingException.Reason;
import io.github.gatefuse.serving.StreamPoolOptions.WhenFull;
import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import io.github.gatefuse.testing.TestDevice;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Every stream goes its own way, whoever else is in the pool. */
@Timeout(120)
class StreamPoolTest {
  private static final RnnSpec SPEC = RnnSpec.of(Cell.LSTM_REFINE, 3, 8);

  private static Rnn network(RnnSpec spec) {
    return Rnn.create(spec, Networks.weights(spec, 1));
  }

  private static StreamPoolOptions hidden(int capacity) {
    return StreamPoolOptions.of(capacity, Output.HIDDEN).withThreads(1);
  }

  private static Reason reason(Runnable body) {
    return assertThrows(ServingException.class, body::run).reason();
  }

  // ---- Steps ----

  static Stream<Arguments> networks() {
    RnnSpec stacked = RnnSpec.of(Cell.LSTM_REFINE, 5, 12).withLayers(2);
    RnnSpec language = RnnSpec.of(Cell.GRU, 4, 9).withVocabulary(11).withOutputs(7);
    RnnOptions best = RnnOptions.DEFAULT;
    RnnOptions reference = RnnOptions.of(Backend.REFERENCE);
    return Stream.of(
        Arguments.of(stacked, Output.HIDDEN, best),
        Arguments.of(stacked, Output.HIDDEN, best.withPrecision(Precision.BFLOAT16)),
        Arguments.of(stacked, Output.HIDDEN, best.withPrecision(Precision.INT8)),
        Arguments.of(language, Output.LOGITS, best),
        Arguments.of(language, Output.LOG_PROBABILITIES, best),
        Arguments.of(stacked, Output.HIDDEN, reference),
        Arguments.of(language, Output.LOGITS, reference));
  }

  /** A stream and all that it was given and gave. */
  private static final class History {
    final long stream;
    final List<float[]> inputs = new ArrayList<>();
    final List<Integer> tokens = new ArrayList<>();
    final List<float[]> answers = new ArrayList<>();

    History(long stream) {
      this.stream = stream;
    }

    Request request() {
      if (inputs.isEmpty()) {
        return Request.of(tokens.stream().mapToInt(Integer::intValue).toArray());
      }
      int width = inputs.get(0).length;
      float[] x = new float[inputs.size() * width];
      for (int t = 0; t < inputs.size(); t++) {
        System.arraycopy(inputs.get(t), 0, x, t * width, width);
      }
      return Request.of(x);
    }

    float[] answer() {
      int width = answers.get(0).length;
      float[] all = new float[answers.size() * width];
      for (int t = 0; t < answers.size(); t++) {
        System.arraycopy(answers.get(t), 0, all, t * width, width);
      }
      return all;
    }
  }

  /** Threads that each step streams of their own, in batches of any size, opening and closing. */
  @ParameterizedTest(name = "{0} {1} {2}")
  @MethodSource("networks")
  void everyStreamHasTheBitsOfItsSequence(RnnSpec spec, Output output, RnnOptions options)
      throws Exception {
    int rounds = options.backend() == Backend.REFERENCE ? 15 : 80;
    List<List<History>> all = new ArrayList<>();
    try (Rnn rnn = Rnn.create(spec, Networks.weights(spec, 3), options)) {
      try (StreamPool pool = StreamPool.create(rnn, StreamPoolOptions.of(64, output))) {
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
          List<History> histories = new ArrayList<>();
          all.add(histories);
          Random random = new Random(i);
          threads.add(new Thread(() -> client(pool, spec, histories, random, rounds)));
        }
        threads.forEach(Thread::start);
        for (Thread thread : threads) {
          thread.join();
        }
      }
      try (Offline offline = new Offline(rnn, output, rounds)) {
        int compared = 0;
        for (List<History> histories : all) {
          for (History history : histories) {
            if (!history.answers.isEmpty()) {
              assertArrayEquals(offline.answer(history.request()), history.answer());
              compared++;
            }
          }
        }
        assertTrue(compared > rounds, "compared " + compared);
      }
    }
  }

  // ---- On a device ----

  private static final Target CUDA = new Target(Backend.CUDA, null, Precision.FLOAT32, Tier.AUTO);

  /** The same streams as on the CPU, but for the last bits; and nothing is left on the device. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("networksOnDevice")
  void onADeviceEveryStreamIsItsSequenceToo(RnnSpec spec, Output output) {
    CUDA.assumeAvailable();
    TestDevice.of(CUDA).close(); // It is there.
    long before = TestDevice.alive();
    Weights weights = Networks.weights(spec, 3);
    List<History> histories = new ArrayList<>();
    try (Rnn rnn = CUDA.create(spec, weights);
        Rnn cpu = Rnn.create(spec, weights, RnnOptions.DEFAULT);
        Offline offline = new Offline(cpu, output, 10)) {
      try (StreamPool pool = StreamPool.create(rnn, StreamPoolOptions.of(21, output))) {
        client(pool, spec, histories, new Random(1), 10);
        StreamPoolMetrics metrics = pool.metrics();
        assertTrue(metrics.deviceBytes() > metrics.stateBytes());
        assertTrue(metrics.bytes() > metrics.deviceBytes());
      }
      for (History history : histories) {
        if (!history.answers.isEmpty()) {
          assertArrayEquals(offline.answer(history.request()), history.answer(), 2e-5f);
        }
      }
    }
    if (CUDA.isEmulated()) {
      assertEquals(before, TestDevice.alive(), "device memory and streams");
    }
  }

  static Stream<Arguments> networksOnDevice() {
    return networks().filter(of -> of.get()[2] == RnnOptions.DEFAULT).limit(2);
  }

  /** Off the device and back, to a pool on the host and back; evicted, and the row used again. */
  @Test
  void statesOfADeviceGoWhereverBytesGo() {
    CUDA.assumeAvailable();
    RnnSpec spec = SPEC.withLayers(2);
    Weights weights = Networks.weights(spec, 1);
    try (Rnn rnn = CUDA.create(spec, weights);
        Rnn cpu = Rnn.create(spec, weights, RnnOptions.DEFAULT);
        StreamPool pool = StreamPool.create(rnn, hidden(3));
        StreamPool host = StreamPool.create(cpu, hidden(3))) {
      byte[] zeros = host.exportState(host.open());
      long first = pool.open();
      long stream = pool.open();
      assertArrayEquals(zeros, pool.exportState(stream));
      pool.step(new long[] {stream}, new float[] {1, -2, 3});
      assertArrayEquals(zeros, pool.exportState(first));
      byte[] state = pool.exportState(stream);
      long away = host.importState(state);
      assertArrayEquals(state, host.exportState(away));
      long back = pool.importState(host.exportState(away));
      float[] x = {0.5f, 0.25f, -1};
      float[] answer = pool.step(new long[] {stream}, x);
      assertArrayEquals(answer, pool.step(new long[] {back}, x));
      assertArrayEquals(answer, host.step(new long[] {away}, x), 2e-5f);
      assertEquals(Reason.POOL_FULL, reason(pool::open));
      assertArrayEquals(new long[] {first, stream}, pool.evict(2));
      assertArrayEquals(zeros, pool.exportState(pool.open()));
      assertArrayEquals(zeros, pool.exportState(pool.open()));
      pool.close(back);
      assertEquals(0, host.metrics().deviceBytes());
    }
  }

  private static void client(
      StreamPool pool, RnnSpec spec, List<History> histories, Random random, int rounds) {
    List<History> open = new ArrayList<>();
    for (int round = 0; round < rounds; round++) {
      while (open.size() < 20) {
        History history = new History(pool.open());
        open.add(history);
        histories.add(history);
      }
      Collections.shuffle(open, random);
      List<History> chosen = open.subList(0, 1 + random.nextInt(open.size()));
      step(pool, spec, chosen, random);
      for (int i = 0; i < 3; i++) {
        pool.close(open.remove(random.nextInt(open.size())).stream);
      }
    }
    open.forEach(history -> pool.close(history.stream));
  }

  private static void step(StreamPool pool, RnnSpec spec, List<History> chosen, Random random) {
    long[] streams = chosen.stream().mapToLong(history -> history.stream).toArray();
    int count = streams.length;
    float[] answer;
    if (spec.vocabulary() > 0) {
      int[] tokens = random.ints(count, 0, spec.vocabulary()).toArray();
      answer = pool.step(streams, tokens);
      for (int i = 0; i < count; i++) {
        chosen.get(i).tokens.add(tokens[i]);
      }
    } else {
      int width = spec.inputSize();
      float[] x = Networks.normal(count * width, random.nextLong());
      answer = pool.step(streams, x);
      for (int i = 0; i < count; i++) {
        chosen.get(i).inputs.add(Arrays.copyOfRange(x, i * width, (i + 1) * width));
      }
    }
    int width = answer.length / count;
    for (int i = 0; i < count; i++) {
      chosen.get(i).answers.add(Arrays.copyOfRange(answer, i * width, (i + 1) * width));
    }
  }

  @Test
  void buffersAreUsedInPlace() {
    try (Rnn rnn = network(SPEC);
        StreamPool pool = StreamPool.create(rnn, hidden(4));
        StreamPool same = StreamPool.create(rnn, hidden(4))) {
      long[] streams = {pool.open(), pool.open(), pool.open()};
      long[] others = {same.open(), same.open()};
      float[] x = Networks.normal(6, 1);
      FloatBuffer in = Networks.floats(8).position(2).put(2, x);
      FloatBuffer out = Networks.floats(17).position(1);
      pool.step(2, streams, in, out);
      float[] expected = same.step(others, x);
      float[] actual = new float[16];
      out.get(1, actual);
      assertArrayEquals(expected, actual);
      assertThrows(
          IllegalArgumentException.class,
          () -> pool.step(3, streams, Networks.floats(8), Networks.floats(24)));
      assertThrows(
          IllegalArgumentException.class,
          () -> pool.step(2, streams, Networks.floats(6), Networks.floats(15)));
    }
  }

  // ---- What does not fit ----

  @Test
  void aBadStepIsNamedAndNobodyTakesIt() {
    try (Rnn rnn = network(SPEC);
        StreamPool pool = StreamPool.create(rnn, hidden(4))) {
      long a = pool.open();
      long b = pool.open();
      pool.step(new long[] {a, b}, Networks.normal(6, 1));
      byte[] before = pool.exportState(a);

      float[] poisoned = Networks.normal(6, 2);
      poisoned[4] = Float.NaN;
      assertSentence(
          "x of stream " + b + " [1, 1]: expected a finite number, got NaN",
          () -> pool.step(new long[] {a, b}, poisoned));
      assertSentence(
          "streams[1]: expected each stream once, got " + a + " a second time",
          () -> pool.step(new long[] {a, a}, Networks.normal(6, 2)));
      assertSentence(
          "x: expected [2, 3] = 6 values, got 5", () -> pool.step(new long[] {a, b}, new float[5]));
      assertSentence(
          "streams: expected at least one, got none", () -> pool.step(new long[0], new float[0]));
      assertThrows(IllegalArgumentException.class, () -> pool.step(new long[] {a}, new int[] {1}));
      for (long none : new long[] {-1, 0, 5, Long.MAX_VALUE, a + (1L << 32), a + 3}) {
        ServingException e =
            assertThrows(
                ServingException.class, () -> pool.step(new long[] {a, none}, new float[6]));
        assertEquals(Reason.NO_SUCH_STREAM, e.reason());
        assertTrue(e.getMessage().startsWith("stream " + none + ": expected an open stream"));
        assertFalse(pool.isOpen(none));
      }
      assertArrayEquals(before, pool.exportState(a));
      pool.step(new long[] {b, a}, Networks.normal(6, 3));
      assertEquals(4, pool.metrics().steps());
    }
  }

  private static void assertSentence(String sentence, Runnable body) {
    assertEquals(sentence, assertThrows(IllegalArgumentException.class, body::run).getMessage());
  }

  @Test
  void aNetworkThatWasTrainedWithZoneoutIsRunWithIt() {
    Regularization zoneout = Regularization.NONE.withZoneout(0.4, 0.25);
    float[] x = Networks.normal(3, 1);
    try (Rnn rnn = network(SPEC);
        Session session = rnn.session(SessionOptions.of(1, 1).withRegularization(zoneout));
        StreamPool pool = StreamPool.create(rnn, hidden(2).withRegularization(zoneout));
        StreamPool plain = StreamPool.create(rnn, hidden(2))) {
      float[] expected = session.forward(1, 1, x);
      assertArrayEquals(expected, pool.step(new long[] {pool.open()}, x));
      assertFalse(Arrays.equals(expected, plain.step(new long[] {plain.open()}, x)));
    }
  }

  @Test
  void aNumberIsNeverGivenAgain() {
    try (Rnn rnn = network(SPEC);
        StreamPool pool = StreamPool.create(rnn, hidden(1))) {
      long before = pool.open();
      pool.step(new long[] {before}, new float[] {1, 2, 3});
      pool.close(before);
      long after = pool.open(); // the same row
      assertFalse(pool.isOpen(before));
      assertTrue(pool.isOpen(after));
      assertEquals(Reason.NO_SUCH_STREAM, reason(() -> pool.close(before)));
      assertEquals(Reason.NO_SUCH_STREAM, reason(() -> pool.exportState(before)));
      // It begins with zeros, as one in a new pool does.
      try (StreamPool fresh = StreamPool.create(rnn, hidden(1))) {
        assertArrayEquals(fresh.exportState(fresh.open()), pool.exportState(after));
      }
    }
  }

  @Test
  void networksThatCannotStreamAreNamed() {
    RnnSpec both = SPEC.withBidirectional(true);
    try (Rnn rnn = network(both)) {
      assertThrows(IllegalArgumentException.class, () -> StreamPool.create(rnn, hidden(1)));
    }
    try (Rnn rnn = network(SPEC)) {
      assertThrows(
          IllegalArgumentException.class,
          () -> StreamPool.create(rnn, StreamPoolOptions.of(1, Output.LOGITS)));
    }
    for (Output output :
        List.of(Output.LAST_HIDDEN, Output.LAST_LOGITS, Output.TARGET_LOG_PROBABILITIES)) {
      assertThrows(IllegalArgumentException.class, () -> StreamPoolOptions.of(1, output));
    }
    assertThrows(IllegalArgumentException.class, () -> hidden(0));
    assertThrows(IllegalArgumentException.class, () -> hidden(1).withThreads(-1));
    try (UnreliableBackend.Network network =
        UnreliableBackend.network(SPEC, Networks.weights(SPEC, 1))) {
      network.backend().withoutStateRows();
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> StreamPool.create(network.rnn(), hidden(1)));
      assertTrue(e.getMessage().startsWith("network: expected a backend that picks states by row"));
    }
    try (Rnn rnn = network(SPEC)) {
      rnn.update(Parameters.of(SPEC, Networks.weights(SPEC, 2)));
      assertThrows(IllegalStateException.class, () -> StreamPool.create(rnn, hidden(1)));
    }
  }

  // ---- States as bytes ----

  @Test
  void anImportedStreamGoesOnToTheSameBits() {
    for (RnnSpec spec : List.of(SPEC.withLayers(2), RnnSpec.of(Cell.GRU, 3, 5))) {
      Weights weights = Networks.weights(spec, 1);
      try (Rnn rnn = Rnn.create(spec, weights);
          Rnn again = Rnn.create(spec, weights);
          Rnn reference = Rnn.create(spec, weights, Backend.REFERENCE);
          StreamPool pool = StreamPool.create(rnn, hidden(3));
          StreamPool other = StreamPool.create(again, hidden(5));
          StreamPool elsewhere = StreamPool.create(reference, hidden(2))) {
        pool.open();
        long stream = pool.open();
        pool.step(new long[] {stream}, new float[] {1, -2, 3});
        byte[] state = pool.exportState(stream);
        other.open();
        other.open();
        long imported = other.importState(state);
        assertArrayEquals(state, other.exportState(imported));
        assertArrayEquals(state, elsewhere.exportState(elsewhere.importState(state)));
        float[] x = {0.5f, 0.25f, -1};
        assertArrayEquals(pool.step(new long[] {stream}, x), other.step(new long[] {imported}, x));
      }
    }
  }

  @Test
  void everyFlippedBitIsRefused() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 2, 2);
    try (Rnn rnn = network(spec);
        StreamPool pool = StreamPool.create(rnn, hidden(2))) {
      long stream = pool.open();
      pool.step(new long[] {stream}, new float[] {1, 2});
      byte[] state = pool.exportState(stream);
      for (int bit = 0; bit < 8 * state.length; bit++) {
        byte[] flipped = state.clone();
        flipped[bit / 8] ^= (byte) (1 << bit % 8);
        assertEquals(Reason.BAD_STATE, reason(() -> pool.importState(flipped)));
      }
      for (int length = 0; length < state.length; length++) {
        byte[] cut = Arrays.copyOf(state, length);
        assertEquals(Reason.BAD_STATE, reason(() -> pool.importState(cut)));
      }
      assertEquals(
          Reason.BAD_STATE, reason(() -> pool.importState(Arrays.copyOf(state, state.length + 4))));
      assertEquals(1, pool.metrics().open());
      pool.importState(state);
      assertEquals(2, pool.metrics().open());
    }
  }

  @Test
  void aLaterFormatIsRefused() {
    try (Rnn rnn = network(SPEC);
        StreamPool pool = StreamPool.create(rnn, hidden(2))) {
      byte[] state = pool.exportState(pool.open());
      ByteBuffer bytes = ByteBuffer.wrap(state).order(ByteOrder.LITTLE_ENDIAN);
      assertEquals(1, bytes.getInt(Long.BYTES));
      bytes.putInt(Long.BYTES, 2);
      CRC32C sum = new CRC32C();
      sum.update(state, 0, state.length - Integer.BYTES);
      bytes.putInt(state.length - Integer.BYTES, (int) sum.getValue());
      ServingException e = assertThrows(ServingException.class, () -> pool.importState(state));
      assertEquals("state of a stream: expected version 1 of the format, got 2", e.getMessage());
    }
  }

  @Test
  void theStateOfAnotherNetworkIsRefused() {
    RnnSpec spec = RnnSpec.of(Cell.LSTM, 2, 2);
    Weights weights = Networks.weights(spec, 1);
    float[] changed = weights.floats("weight_hh_l0");
    changed[3] = Math.nextUp(changed[3]);
    Weights.Builder builder = Weights.builder();
    for (RnnSpec.Parameter parameter : spec.parameters()) {
      boolean isChanged = parameter.name().equals("weight_hh_l0");
      float[] values = isChanged ? changed : weights.floats(parameter.name());
      builder.add(parameter.name(), values, parameter.shape());
    }
    RnnSpec tied = RnnSpec.of(Cell.LSTM_REFINE, 2, 2); // parameters of the same shapes
    try (Rnn rnn = Rnn.create(spec, weights);
        Rnn other = Rnn.create(spec, builder.build());
        Rnn cell = Rnn.create(tied, weights);
        StreamPool pool = StreamPool.create(rnn, hidden(1));
        StreamPool otherPool = StreamPool.create(other, hidden(1));
        StreamPool cellPool = StreamPool.create(cell, hidden(1))) {
      byte[] state = pool.exportState(pool.open());
      for (StreamPool wrong : List.of(otherPool, cellPool)) {
        ServingException e = assertThrows(ServingException.class, () -> wrong.importState(state));
        assertEquals(Reason.BAD_STATE, e.reason());
        assertEquals(
            "state of a stream: it belongs to another network: specification or parameters differ",
            e.getMessage());
      }
    }
  }

  // ---- Eviction ----

  @Test
  void theLongestIdleStreamsAreEvictedFirst() {
    AtomicLong now = new AtomicLong(1_000);
    try (Rnn rnn = network(SPEC);
        StreamPool pool = StreamPool.create(rnn, hidden(4), now::get)) {
      long a = open(pool, now);
      long b = open(pool, now);
      long c = open(pool, now);
      long d = open(pool, now);
      assertEquals(Reason.POOL_FULL, reason(pool::open));
      byte[] state = pool.exportState(a);
      assertEquals(Reason.POOL_FULL, reason(() -> pool.importState(state)));
      now.addAndGet(100);
      pool.step(new long[] {a, c}, new float[6]); // b and d are idle
      assertArrayEquals(new long[0], pool.evictIdle(Duration.ofNanos(200)));
      assertArrayEquals(new long[] {b}, pool.evict(1));
      assertArrayEquals(new long[] {d}, pool.evictIdle(Duration.ofNanos(50)));
      now.addAndGet(10);
      pool.step(new long[] {a}, new float[3]);
      assertArrayEquals(new long[0], pool.evictIdle(Duration.ofSeconds(Long.MAX_VALUE)));
      assertThrows(IllegalArgumentException.class, () -> pool.evictIdle(Duration.ofNanos(-1)));
      assertArrayEquals(new long[] {c, a}, pool.evict(7));
      assertArrayEquals(new long[0], pool.evict(1));
      assertEquals(4, pool.metrics().evicted());
      assertEquals(0, pool.metrics().open());
      assertEquals(Reason.NO_SUCH_STREAM, reason(() -> pool.step(new long[] {a}, new float[3])));
    }
  }

  private static long open(StreamPool pool, AtomicLong now) {
    now.incrementAndGet();
    return pool.open();
  }

  @Test
  void aFullPoolMayEvictForANewStream() {
    try (Rnn rnn = network(SPEC);
        StreamPool pool = StreamPool.create(rnn, hidden(2).withWhenFull(WhenFull.EVICT))) {
      long a = pool.open();
      long b = pool.open();
      pool.step(new long[] {a}, new float[3]);
      byte[] state = pool.exportState(a);
      long c = pool.open();
      assertFalse(pool.isOpen(b));
      assertTrue(pool.isOpen(a) && pool.isOpen(c));
      long d = pool.importState(state);
      assertFalse(pool.isOpen(a));
      assertTrue(pool.isOpen(c) && pool.isOpen(d));
      assertArrayEquals(state, pool.exportState(d));
    }
  }

  // ---- The end, and metrics ----

  @Test
  void aClosedPoolRefusesAll() {
    try (Rnn rnn = network(SPEC)) {
      StreamPool pool = StreamPool.create(rnn, hidden(2));
      long stream = pool.open();
      byte[] state = pool.exportState(stream);
      pool.close();
      pool.close();
      assertEquals(Reason.CLOSED, reason(pool::open));
      assertEquals(Reason.CLOSED, reason(() -> pool.step(new long[] {stream}, new float[3])));
      assertEquals(Reason.CLOSED, reason(() -> pool.exportState(stream)));
      assertEquals(Reason.CLOSED, reason(() -> pool.importState(state)));
      assertEquals(Reason.CLOSED, reason(() -> pool.close(stream)));
      assertEquals(Reason.CLOSED, reason(() -> pool.evict(1)));
      assertEquals(Reason.CLOSED, reason(() -> pool.evictIdle(Duration.ZERO)));
      assertFalse(pool.isOpen(stream));
      assertEquals(0, pool.metrics().open());
    }
  }

  @Test
  void metricsTellWhatWasDone() {
    try (Rnn rnn = network(SPEC);
        StreamPool pool = StreamPool.create(rnn, hidden(100))) {
      long[] streams = new long[10];
      Arrays.setAll(streams, i -> pool.open());
      pool.step(streams, new float[30]);
      pool.close(streams[0]);
      StreamPoolMetrics metrics = pool.metrics();
      assertEquals(9, metrics.open());
      assertEquals(100, metrics.capacity());
      assertEquals(10, metrics.opened());
      assertEquals(1, metrics.closed());
      assertEquals(1, metrics.calls());
      assertEquals(10, metrics.steps());
      assertEquals(1, metrics.callTime().count());
      assertEquals(100 * 2 * 8 * Float.BYTES, metrics.stateBytes());
      assertTrue(metrics.bytes() > metrics.stateBytes());
      assertEquals(metrics.bytes() / 100.0, metrics.bytesPerStream());
      assertTrue(metrics.stepsPerSecond() > 0);
      assertEquals(rnn.backend(), metrics.path().backend());
    }
  }
}
