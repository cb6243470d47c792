// SPDX-License-Identifier: Apache-2.0
package io.github.gatefuse.benchmark;

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
    try (GateFuseContender ragged = GateFuseContender.of(Race.STANDARD, shape, threads);
        GateFuseContender full = GateFuseContender.of(Race.STANDARD, shape, threads)) {
      ragged.setLengths(lengths);
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
}
