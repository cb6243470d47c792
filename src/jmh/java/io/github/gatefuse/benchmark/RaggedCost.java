// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

import io.github.gatefuse.Backend;
import io.github.gatefuse.Cell;
import io.github.gatefuse.ForwardCall;
import io.github.gatefuse.Rnn;
import io.github.gatefuse.RnnOptions;
import io.github.gatefuse.Session;
import io.github.gatefuse.SessionOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * What a batch of sequences of uneven lengths costs, beside the same batch with all sequences at
 * full length, in turns. Immutable.
 *
 * @param shape with the greatest length as steps
 * @param threads of the session
 * @param share of the steps that are valid
 * @param ragged nanoseconds per call, by round
 * @param full the same with all sequences at full length
 */
record RaggedCost(Shape shape, int threads, double share, double[] ragged, double[] full) {
  private static final int LEAST_LENGTH = 10;
  private static final List<Shape> SHAPES =
      List.of(
          new Shape(8, 200, 256),
          new Shape(32, 200, 128),
          new Shape(32, 200, 256),
          new Shape(64, 200, 256),
          new Shape(64, 200, 512));

  /** All shapes with a number of threads. */
  static List<RaggedCost> run(int threads, boolean quick) {
    RoundRobin turns = new RoundRobin(quick ? Effort.QUICK : Effort.FULL);
    return SHAPES.stream().map(shape -> run(shape, threads, turns)).toList();
  }

  private static RaggedCost run(Shape shape, int threads, RoundRobin turns) {
    int[] lengths = lengths(shape);
    try (Rnn rnn =
            Rnn.create(
                shape.spec(Cell.LSTM), shape.weights(Cell.LSTM), RnnOptions.of(Backend.CPU));
        Session session =
            rnn.session(SessionOptions.of(shape.steps(), shape.batch()).withThreads(threads))) {
      Contender ragged = new OneCall("ragged", session, shape, lengths);
      Contender full = new OneCall("full", session, shape, null);
      double[][] nanos = turns.time(List.of(ragged, full));
      double valid = IntStream.of(lengths).sum();
      double share = valid / shape.batch() / shape.steps();
      return new RaggedCost(shape, threads, share, nanos[0], nanos[1]);
    }
  }

  /** Uniform up to the shape's steps, the same each time; one sequence is that long. */
  private static int[] lengths(Shape shape) {
    SplittableRandom random = new SplittableRandom(7);
    int[] lengths =
        random.ints(shape.batch(), LEAST_LENGTH, shape.steps() + 1).limit(shape.batch()).toArray();
    lengths[0] = shape.steps();
    return lengths;
  }

  /** Time over that of as many steps of the full batch: 1 if only valid steps cost something. */
  Spread cost() {
    double[] works = new double[full.length];
    for (int i = 0; i < works.length; i++) {
      works[i] = full[i] * share;
    }
    return Spread.ofRatio(ragged, works);
  }

  /** For JSON. */
  Map<String, Object> facts() {
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("shape", shape.toString());
    facts.put("threads", threads);
    facts.put("valid_share", share);
    facts.put("cost_over_work", cost().facts());
    return facts;
  }

  /** One prepared call of a session that others use too, which closes it. */
  private static final class OneCall implements Contender {
    private final String name;
    private final Session session;
    private final Shape shape;
    private final FloatBuffer output;
    private final ForwardCall call;

    OneCall(String name, Session session, Shape shape, int[] lengths) {
      this.name = name;
      this.session = session;
      this.shape = shape;
      output = shape.zeros();
      call = session.call().input(shape.input()).output(output);
      if (lengths != null) {
        ByteBuffer memory = ByteBuffer.allocateDirect(Integer.BYTES * lengths.length);
        call.lengths(memory.order(ByteOrder.nativeOrder()).asIntBuffer().put(lengths).flip());
      }
    }

    @Override
    public String name() {
      return name;
    }

    @Override
    public String path() {
      return session.path().toString();
    }

    @Override
    public void run() {
      call.run(shape.steps(), shape.batch());
    }

    @Override
    public FloatBuffer output() {
      return output;
    }

    @Override
    public void close() {}
  }
}
