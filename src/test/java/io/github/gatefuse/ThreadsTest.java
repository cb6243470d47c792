// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.gatefuse.testing.Networks;
import io.github.gatefuse.testing.Target;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Many threads share a network, each with a session of its own, and get what one thread gets. */
@Timeout(value = 120, unit = TimeUnit.SECONDS)
class ThreadsTest {
  private static final int THREADS = 6;
  private static final int ROUNDS = 30;
  private static final RnnSpec SPEC =
      RnnSpec.of(Cell.LSTM_REFINE, 9, 40).withLayers(2).withBidirectional(true);

  static Stream<Target> targets() {
    return Target.all().stream();
  }

  private static float[] input(int round) {
    return Networks.normal(6 * batch(round) * SPEC.inputSize(), round);
  }

  private static int batch(int round) {
    return 1 + round % 9;
  }

  private static List<float[]> runAll(Rnn rnn, int threads) {
    List<float[]> results = new ArrayList<>();
    try (Session session = rnn.session(SessionOptions.of(6, 9).withThreads(threads))) {
      for (int round = 0; round < ROUNDS; round++) {
        int[] lengths = Networks.lengths(6, batch(round), round);
        results.add(session.forward(6, batch(round), input(round), lengths, null));
      }
    }
    return results;
  }

  private static <T> List<T> inParallel(Callable<T> body) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(THREADS);
    try {
      CyclicBarrier start = new CyclicBarrier(THREADS);
      List<Future<T>> futures = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        futures.add(
            pool.submit(
                () -> {
                  start.await();
                  return body.call();
                }));
      }
      List<T> results = new ArrayList<>();
      for (Future<T> future : futures) {
        results.add(future.get());
      }
      return results;
    } finally {
      pool.shutdownNow();
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void ownSessionsGiveTheSameBits(Target target) throws Exception {
    target.assumeAvailable();
    try (Rnn rnn = target.create(SPEC, Networks.weights(SPEC, 1))) {
      List<float[]> expected = runAll(rnn, 1);
      for (int threads : new int[] {1, 2}) {
        for (List<float[]> actual : inParallel(() -> runAll(rnn, threads))) {
          for (int round = 0; round < ROUNDS; round++) {
            assertArrayEquals(expected.get(round), actual.get(round), "round " + round);
          }
        }
      }
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void oneSessionIsUsedByOneThreadOrRefused(Target target) throws Exception {
    target.assumeAvailable();
    try (Rnn rnn = target.create(SPEC, Networks.weights(SPEC, 1));
        Session session = rnn.session(6, 9)) {
      float[] x = input(3);
      float[] expected = session.forward(6, batch(3), x);
      List<Integer> done =
          inParallel(
              () -> {
                int finished = 0;
                for (int i = 0; i < 50; i++) {
                  try {
                    assertArrayEquals(expected, session.forward(6, batch(3), x));
                    finished++;
                  } catch (IllegalStateException e) {
                    assertEquals("session is in use by another thread", e.getMessage());
                  }
                }
                return finished;
              });
      assertTrue(done.stream().mapToInt(n -> n).sum() > 0, "some calls ran");
    }
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("targets")
  void closingWhileOthersRunIsSafe(Target target) throws Exception {
    target.assumeAvailable();
    for (int attempt = 0; attempt < 20; attempt++) {
      Rnn rnn = target.create(SPEC, Networks.weights(SPEC, 1));
      Session session = rnn.session(6, 9);
      float[] x = input(8);
      inParallel(
          () -> {
            while (true) {
              try {
                session.forward(6, 9, x);
                session.close();
              } catch (IllegalStateException e) {
                if (e.getMessage().equals("session is closed")) {
                  return null;
                }
              }
            }
          });
      rnn.close();
    }
  }
}
