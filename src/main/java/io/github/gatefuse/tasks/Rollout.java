// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.tasks;

import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import io.github.gatefuse.State;
import io.github.gatefuse.training.Batch;
import io.github.gatefuse.training.Trainer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;

/**
 * What happened in rooms in which a network acted.
 *
 * @param rooms as they were left
 * @param batch what was seen and done: actions as classes, a weight where an action counted
 */
record Rollout(MatchRooms rooms, Batch batch) {
  /**
   * Lets a network act, each action drawn by its probability. It acts with the zoneout that it is
   * trained with, which is part of what it computes.
   *
   * @param rooms freshly opened
   * @param draw for the actions
   */
  static Rollout run(Trainer trainer, MatchRooms rooms, int delay, int count, Draw draw) {
    Rnn rnn = trainer.rnn();
    int steps = MatchRooms.steps(delay);
    int width = count * MatchRooms.INPUTS;
    int outputs = rnn.spec().outputs();
    float[] x = new float[steps * width];
    int[] actions = new int[steps * count];
    float[] weights = new float[steps * count];
    int watched = rooms.firstChoice();
    for (int t = 0; t < watched; t++) {
      rooms.look(t, x, t * width);
    }
    FloatBuffer input = floats(watched * width);
    FloatBuffer logits = floats(watched * count * outputs);
    State state = State.zeros(rnn.spec(), count);
    SessionOptions options =
        SessionOptions.of(watched, count)
            .withThreads(trainer.options().threads())
            .withRegularization(trainer.options().regularization());
    try (Session session = rnn.session(options)) {
      ForwardCall call = session.call().input(input).state(state).logits(logits);
      input.put(0, x, 0, watched * width);
      call.run(watched, count);
      for (int t = watched; t < steps; t++) {
        rooms.look(t, x, t * width);
        input.put(0, x, t * width, width);
        call.run(1, count);
        act(rooms, t, logits, outputs, draw, actions, weights, count);
      }
    }
    Batch batch = Batch.of(steps, count, x, actions).withWeights(weights);
    return new Rollout(rooms, batch);
  }

  private static void act(
      MatchRooms rooms,
      int t,
      FloatBuffer logits,
      int outputs,
      Draw draw,
      int[] actions,
      float[] weights,
      int count) {
    float[] own = new float[outputs];
    double[] p = new double[MatchRooms.ACTIONS];
    for (int b = 0; b < count; b++) {
      logits.get(b * outputs, own);
      ActorCritic.softmax(own, 0, p);
      double point = draw.unit();
      int action = 0;
      while (action < p.length - 1 && point >= p[action]) {
        point -= p[action++];
      }
      if (rooms.isOpen(t, b)) {
        weights[t * count + b] = 1;
        actions[t * count + b] = action;
        rooms.act(t, b, action);
      }
    }
  }

  /** The return of each place: 1 for a match, less for each step until then. */
  float[] returns(double discount) {
    float[] out = new float[batch.steps() * batch.sequences()];
    for (int b = 0; b < batch.sequences(); b++) {
      if (rooms.isMatched(b)) {
        int end = rooms.endedAt(b);
        for (int t = rooms.firstChoice(); t <= end; t++) {
          out[t * batch.sequences() + b] = (float) Math.pow(discount, end - t);
        }
      }
    }
    return out;
  }

  /** How many rooms ended with a match. */
  int matches() {
    int count = 0;
    for (int b = 0; b < batch.sequences(); b++) {
      count += rooms.isMatched(b) ? 1 : 0;
    }
    return count;
  }

  private static FloatBuffer floats(int count) {
    return ByteBuffer.allocateDirect(Math.multiplyExact(4, count))
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer();
  }
}
