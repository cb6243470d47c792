// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.djl;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.types.Shape;
import ai.djl.repository.zoo.ZooModel;
import ai.djl.translate.TranslateException;
import io.github.gatefuse.Regularization;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.Session;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LifecycleTest {
  @TempDir Path folder;

  @BeforeEach
  void write() {
    Models.write(folder.resolve("model.safetensors"), Models.LSTM);
  }

  private static float[] predict(
      ZooModel<NDList, NDList> model, Predictor<NDList, NDList> predictor, int steps, long seed)
      throws Exception {
    NDArray x = model.getNDManager().create(Models.values(steps * 3, seed), new Shape(1, steps, 3));
    return predictor.predict(new NDList(x)).get("y").toFloatArray();
  }

  private static RecurrentBlock block(ZooModel<NDList, NDList> model) {
    return (RecurrentBlock) model.getBlock();
  }

  private static float[] expected(Session session, int steps, long seed) {
    return session.forward(steps, 1, Models.values(steps * 3, seed));
  }

  private static void assertClosed(
      ZooModel<NDList, NDList> model, Predictor<NDList, NDList> predictor) {
    TranslateException e =
        assertThrows(TranslateException.class, () -> predict(model, predictor, 4, 1));
    assertEquals(IllegalStateException.class, e.getCause().getClass());
  }

  @Test
  void aClosedPredictorHasNoSessionsAndAClosedModelNoNetwork() throws Exception {
    ZooModel<NDList, NDList> model = Models.load(folder, Map.of());
    Predictor<NDList, NDList> first = model.newPredictor();
    Predictor<NDList, NDList> second = model.newPredictor();
    predict(model, first, 4, 1);
    predict(model, second, 4, 1);
    RecurrentBlock block = block(model);
    assertEquals(2, block.pools());
    first.close();
    assertEquals(1, block.pools());
    assertClosed(model, first);
    predict(model, second, 4, 1);
    // The core refuses to close a network with open sessions, so that this shows that there are
    // none.
    model.close();
    assertEquals(0, block.pools());
    assertClosed(model, second);
    model.close();
  }

  @Test
  void aPoolClosesWhatComesBackLate() {
    try (Rnn rnn = Rnn.create(Models.LSTM, Models.weights(Models.LSTM))) {
      ModelOptions options = ModelOptions.of(Map.of(), null);
      SessionPool pool = new SessionPool(rnn, Regularization.NONE, options);
      Session one = pool.take(4, 1);
      Session other = pool.take(4, 1);
      pool.giveBack(other);
      assertEquals(other, pool.take(3, 1));
      pool.giveBack(other);
      pool.close();
      assertThrows(IllegalStateException.class, () -> pool.take(4, 1));
      assertThrows(IllegalStateException.class, rnn::close);
      pool.giveBack(one);
    }
  }

  @Test
  void sessionsGrowToWhatTheyMeetWithinReason() {
    try (Rnn rnn = Rnn.create(Models.LSTM, Models.weights(Models.LSTM));
        SessionPool pool =
            new SessionPool(rnn, Regularization.NONE, ModelOptions.of(Map.of(), null))) {
      pool.giveBack(pool.take(10, 4));
      Session grown = pool.take(20, 2);
      assertEquals(List.of(20, 4), List.of(grown.maxSteps(), grown.maxBatch()));
      pool.giveBack(grown);
      Session other = pool.take(1, 5000);
      assertEquals(List.of(1, 5000), List.of(other.maxSteps(), other.maxBatch()));
      pool.giveBack(other);
    }
  }

  /** The pool keeps the session that it would have taken for the call. */
  @Test
  void aCallThatIsTooLargeLosesNoSession() {
    try (Rnn rnn = Rnn.create(Models.LSTM, Models.weights(Models.LSTM))) {
      SessionPool pool = new SessionPool(rnn, Regularization.NONE, ModelOptions.of(Map.of(), null));
      Session session = pool.take(4, 1);
      pool.giveBack(session);
      assertThrows(IllegalArgumentException.class, () -> pool.take(1 << 16, 1 << 16));
      assertEquals(session, pool.take(4, 1));
      pool.giveBack(session);
      pool.close();
    }
  }

  private void inTwoThreads(boolean onePredictor) throws Exception {
    CyclicBarrier start = new CyclicBarrier(2);
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try (ZooModel<NDList, NDList> model = Models.load(folder, Map.of());
        Predictor<NDList, NDList> shared = model.newPredictor()) {
      List<Future<List<float[]>>> results = new ArrayList<>();
      for (int thread = 0; thread < 2; thread++) {
        int offset = 1000 * thread;
        Callable<List<float[]>> work =
            () -> {
              List<float[]> answers = new ArrayList<>();
              try (Predictor<NDList, NDList> own = model.newPredictor()) {
                start.await();
                for (int i = 0; i < 200; i++) {
                  Predictor<NDList, NDList> used = onePredictor ? shared : own;
                  answers.add(predict(model, used, 1 + i % 50, offset + i));
                }
              }
              return answers;
            };
        results.add(threads.submit(work));
      }
      try (Rnn rnn = Rnn.create(Models.LSTM, Models.weights(Models.LSTM));
          Session session = rnn.session(50, 1)) {
        for (int thread = 0; thread < 2; thread++) {
          List<float[]> answers = results.get(thread).get();
          for (int i = 0; i < 200; i++) {
            float[] expected = expected(session, 1 + i % 50, 1000 * thread + i);
            assertArrayEquals(expected, answers.get(i), "thread " + thread + ", call " + i);
          }
        }
      }
      assertTrue(block(model).pools() <= 1);
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void threadsWithAPredictorEachDoNotMixAnswers() throws Exception {
    inTwoThreads(false);
  }

  @Test
  void threadsMayEvenShareAPredictor() throws Exception {
    inTwoThreads(true);
  }
}
